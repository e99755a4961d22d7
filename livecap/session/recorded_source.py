"""A recorded session as a source: its sound, track by track, with the gaps and in the pieces in which it was heard."""

from pathlib import Path

from livecap.archive.folder import EVENTS, saved_sounds
from livecap.archive.reader import LogReader
from livecap.archive.steps import recorded_steps
from livecap.audio_in.replay import LIVE_BLOCK_SAMPLES, UNPACED_BLOCK_SAMPLES, Replay
from livecap.audio_in.source import OnNotice
from livecap.errors import AudioError, SettingsError
from livecap.session.tracks import TrackSource
from livecap.transcript import AudioGap


def session_sounds(folder: Path) -> dict[str, Path]:
    """Track to its sound file, for the recorded session in `folder`, in its order: the microphone first.

    Raises:
        AudioError: the session has no sound.
        LogError: its log was not written by livecap.
    """
    sounds = saved_sounds(folder)
    if not sounds:
        if (folder / EVENTS).exists():
            raise AudioError(f"The session {folder.name} has no sound: --save-audio keeps it when one is recorded.")
        raise AudioError(f"Cannot read {folder}: this folder is not a session. Give a recording in it.")
    order = LogReader(folder / EVENTS).started.tracks
    return dict(sorted(sounds.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def open_session(
    folder: Path,
    pace: float | None,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    on_notice: OnNotice | None = None,
    same_steps: bool = True,
) -> list[TrackSource]:
    """The tracks of the session in `folder` that have sound in the wanted part.

    Args:
        same_steps: repeat the steps that were recorded with the sound; False makes those of a live session.

    Raises:
        AudioError: the session has no sound, or sound that cannot be read.
        SettingsError: no track has sound in this part.
        LogError: its log was not written by livecap.
    """
    sounds = session_sounds(folder)
    gaps: dict[str, list[tuple[int, int]]] = {}
    for _, event in LogReader(folder / EVENTS).events():
        if isinstance(event, AudioGap):
            gaps.setdefault(event.track, []).append((event.start_sample, event.end_sample))
    recorded = recorded_steps(folder)
    tracks: list[TrackSource] = []
    missing: SettingsError | None = None
    try:
        for label, path in sounds.items():
            steps = recorded.get(label, ()) if same_steps else ()
            try:
                source = Replay(
                    path,
                    pace,
                    start_seconds=start_seconds,
                    end_seconds=end_seconds,
                    cuts=[step.end_sample for step in steps],
                    gaps=gaps.get(label, ()),
                    on_notice=on_notice,
                    unpaced_block_samples=UNPACED_BLOCK_SAMPLES if same_steps else LIVE_BLOCK_SAMPLES,
                )
            except SettingsError as error:  # it has ended before the part to hear; another track may go on
                missing = error
                continue
            tracks.append(TrackSource(label, source, steps))
    except BaseException:
        for track in tracks:
            track.source.close()
        raise
    if missing is not None and not tracks:
        raise missing
    return tracks
