"""Steps: what the transcriber of a track was asked to do and when, kept beside saved sound so that a replay does just
the same.

What a step hears depends on how fast the machine was: a late step takes more sound, and where steps follow their cost
they have other lengths. All the rest follows from the sound.

    steps.jsonl     {"track": "", "end_sample": 15840, "step_samples": 8000, "closes": false}
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import TextIOWrapper
from pathlib import Path

from livecap.archive.folder import AUDIO

STEPS = "steps.jsonl"


@dataclass(frozen=True, slots=True)
class Step:
    """One request to a transcriber that had accepted all sound up to `end_sample`."""

    end_sample: int
    step_samples: int
    """So much new sound made a step worth its cost then."""
    closes: bool = False
    """All that was heard became stable: listening paused, a person wanted a new paragraph, or the sound ended."""


class StepsFile:
    """The steps of a session that runs, in its folder of sound. A disk that does not take them is no trouble: a replay
    then makes steps of its own."""

    def __init__(self, audio_folder: Path) -> None:
        self._path = audio_folder / STEPS
        self._file: TextIOWrapper | None = None

    def note(self, track: str, step: Step) -> None:
        """This was asked for."""
        with suppress(OSError):
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
                self._file = open(os.open(self._path, flags, 0o600), "a", encoding="utf-8", buffering=1)
            self._file.write(json.dumps({"track": track, **asdict(step)}) + "\n")

    def close(self) -> None:
        """There will be no more."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()


def recorded_steps(session_folder: Path) -> dict[str, tuple[Step, ...]]:
    """Of each track, the steps in the order they were made; empty where they were not recorded."""
    steps: dict[str, list[Step]] = {}
    with suppress(OSError, ValueError, KeyError, TypeError):  # a line that was cut off ends the list
        for line in (session_folder / AUDIO / STEPS).read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            step = Step(int(record["end_sample"]), int(record["step_samples"]), bool(record["closes"]))
            before = steps.setdefault(str(record["track"]), [])
            if before and step.end_sample < before[-1].end_sample:
                break
            before.append(step)
    return {track: tuple(each) for track, each in steps.items() if each}
