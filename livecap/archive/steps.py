"""Steps: what the transcriber of a track was asked to do and when, stored with saved sound so that a replay repeats it
exactly.

The sound of a step depends on how fast the machine was: a late step takes more, and step lengths may follow their cost.
Everything else follows from the sound.

    steps.jsonl     {"track": "", "end_sample": 15840, "step_samples": 8000, "closes": false}
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import TextIOWrapper
from pathlib import Path

from livecap.archive.folder import AUDIO
from livecap.files import read_regular

STEPS = "steps.jsonl"
MOST_BYTES = 64 << 20
"""Size of the file: a week of steps of half a second. A larger one is not read."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request to a transcriber that had accepted all sound up to `end_sample`."""

    end_sample: int
    step_samples: int
    """New sound that the step waited for."""
    closes: bool = False
    """The utterance was closed: by a pause, a new paragraph asked for by the user, or the end of the sound."""


class StepsFile:
    """Writes the steps of a running session into its `audio` folder. Disk errors are ignored: without this file a
    replay makes its own steps. Used from one thread."""

    def __init__(self, audio_folder: Path) -> None:
        self._path = audio_folder / STEPS
        self._file: TextIOWrapper | None = None

    def note(self, track: str, step: Step) -> None:
        """Append a step."""
        with suppress(OSError):
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
                self._file = open(os.open(self._path, flags, 0o600), "a", encoding="utf-8", buffering=1)
            self._file.write(json.dumps({"track": track, **asdict(step)}) + "\n")

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()


def recorded_steps(session_folder: Path) -> dict[str, tuple[Step, ...]]:
    """Track to its steps in order; empty if they were not recorded."""
    steps: dict[str, list[Step]] = {}
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):  # an incomplete line ends the list
        for line in read_regular(session_folder / AUDIO / STEPS, MOST_BYTES).splitlines():
            record = json.loads(line)
            step = Step(record["end_sample"], record["step_samples"], bool(record["closes"]))
            before = steps.setdefault(str(record["track"]), [])
            least = before[-1].end_sample if before else 0
            counts = (step.end_sample, step.step_samples)
            if not all(type(n) is int and 0 <= n < 1 << 48 for n in counts) or step.end_sample < least:
                break
            before.append(step)
    return {track: tuple(each) for track, each in steps.items() if each}
