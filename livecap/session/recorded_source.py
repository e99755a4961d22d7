"""A recorded session heard again: its sound, track by track, with the gaps and in the pieces in which it was heard."""

from collections.abc import Callable
from pathlib import Path

from livecap.archive.folder import EVENTS, saved_sounds
from livecap.archive.reader import LogReader
from livecap.archive.steps import Step, recorded_steps
from livecap.audio_in.replay import Replay
from livecap.audio_in.source import AudioSource
from livecap.errors import AudioError
from livecap.transcript import AudioGap


class RecordedSound(Replay):
    """The sound of one track of a recorded session, in the pieces of its steps."""

    steps: tuple[Step, ...] = ()
    """That were made with it, where that was recorded."""


def open_session(
    folder: Path,
    pace: float | None,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    on_notice: Callable[[str], None] | None = None,
) -> list[tuple[str, AudioSource]]:
    """(label, source) of each track of the session in `folder`.

    Raises:
        AudioError: it has no sound, or sound that cannot be read.
        LogError: its log is none of livecap's.
    """
    sounds = saved_sounds(folder)
    if not sounds:
        if (folder / EVENTS).exists():
            raise AudioError(f"The session {folder.name} has no sound: --save-audio keeps it when one is recorded.")
        raise AudioError(f"Cannot replay {folder}: it is a folder, and no session. Give a recording in it.")
    reader = LogReader(folder / EVENTS)
    gaps: dict[str, list[tuple[int, int]]] = {}
    for _, event in reader.events():
        if isinstance(event, AudioGap):
            gaps.setdefault(event.track, []).append((event.start_sample, event.end_sample))
    steps = recorded_steps(folder)
    # In the order of the session, the microphone first.
    labels = [label for label in reader.started.tracks if label in sounds]
    labels += [label for label in sorted(sounds) if label not in labels]
    opened: list[tuple[str, AudioSource]] = []
    try:
        for label in labels:
            replay = RecordedSound(
                sounds[label],
                pace,
                start_seconds=start_seconds,
                end_seconds=end_seconds,
                cuts=[step.end_sample for step in steps.get(label, ())],
                gaps=gaps.get(label, ()),
                on_notice=on_notice,
            )
            replay.steps = steps.get(label, ())
            opened.append((label, replay))
    except BaseException:
        for _, source in opened:
            source.close()
        raise
    return opened
