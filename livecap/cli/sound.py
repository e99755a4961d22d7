"""The sound of a session, opened: devices, a recording, a recorded session or a pipe, each with its label.

Imports at the top are light; what loads NumPy is imported once a device is open.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from livecap.audio_in.device.capture import EarlyCapture
from livecap.audio_in.device.devices import find_input
from livecap.errors import AudioError, SettingsError
from livecap.files import make_folder, read_regular, replace_file
from livecap.settings.fields import Settings
from livecap.settings.sources import user_folder
from livecap.steady_clock import steady_seconds
from livecap.text.printing import keys_from_terminal
from livecap.text.scripts import folded_name

if TYPE_CHECKING:
    from livecap.audio_in.source import AudioSource, OnNotice
    from livecap.session.tracks import TrackSource

LABELS = ("me", "them")
"""The labels of two tracks: the microphone, and what the computer plays."""

EARLY_SECONDS = 0.2
"""How long to wait for a device to open before loading more code, which would slow the opening down."""


def is_live(settings: Settings) -> bool:
    """Whether sound comes from a device or a pipe, so that what is not captured now is lost."""
    return settings.replay is None


def labels_of(settings: Settings, n_tracks: int) -> tuple[str, ...]:
    """The label of each track.

    Raises:
        SettingsError: the number of labels is wrong, two are alike, or one cannot be the name of a file.
    """
    labels = settings.labels or (LABELS if n_tracks == 2 else ("",) * n_tracks)
    if len(labels) != n_tracks:
        tracks = "1 track" if n_tracks == 1 else f"{n_tracks} tracks"
        raise SettingsError(f"There are {len(labels)} labels for {tracks}. Give --label once per track.")
    for one, other in combinations(labels, 2):
        if folded_name(one) == folded_name(other):  # a Mac's disk takes them for the name of one file
            two = f'the label "{one}"' if one == other else f'the labels "{one}" and "{other}", which differ too little'
            raise SettingsError(f"Two tracks have {two}. Give each its own --label.")
    for label in labels:
        if (
            label != label.strip()
            or "/" in label
            or not label.isprintable()
            or label.startswith(".")
            or label.casefold() == "sound"  # the file of a track without a label
            or len(label) > 40
        ):
            raise SettingsError(
                f"{label!r} cannot be a label. Use one or two short words other than sound, without / and without a "
                "leading dot."
            )
    return labels


def check_sound(settings: Settings) -> None:
    """Check what the user asked for before anything is loaded or downloaded.

    Raises:
        LivecapError: no such device, or standard input is a terminal.
    """
    if settings.replay is not None:
        return
    if settings.stdin:
        if sys.stdin is None or sys.stdin.isatty():
            raise AudioError(
                "--stdin reads what another program pipes in, but standard input is the terminal. "
                "Example: ffmpeg -i talk.m4a -f s16le -ac 1 -ar 16000 - | livecap --stdin"
            )
        return
    chosen = [find_input(query) for query in _queries(settings)]
    labels_of(settings, len(chosen))
    if len(chosen) == 2 and chosen[0].index == chosen[1].index:
        raise SettingsError(f'--mic and --device are the same input, "{chosen[0].name}". Two tracks need two inputs.')


def open_sound(settings: Settings, on_notice: "OnNotice") -> "list[TrackSource]":
    """Open the source of every track. Devices capture from now on.

    Raises:
        LivecapError: a device or a recording cannot be opened.
    """
    if settings.replay is not None:
        return _open_recording(settings, settings.replay, on_notice)
    if settings.stdin:
        from livecap.audio_in.pcm import PcmFormat
        from livecap.audio_in.pipe import Pipe

        [label] = labels_of(settings, 1)
        raw = PcmFormat(settings.rate, settings.channels)
        return [_track(label, Pipe(_take_standard_input(), raw, on_notice=on_notice))]
    queries = _queries(settings)
    labels = labels_of(settings, len(queries))
    early = [EarlyCapture(query) for query in queries]
    for each in early:
        each.wait(EARLY_SECONDS)

    # Loading NumPy takes longer than opening a device.
    from livecap.audio_in.device.microphone import Microphone

    since = None
    if len(early) > 1:  # the tracks are in step from the first sound of any
        heard = [each.heard_from for each in early]
        since = min((at for at in heard if at is not None), default=steady_seconds())
    tracks: list[TrackSource] = []
    with closed_on_failure(tracks):
        for label, query, opened in zip(labels, queries, early, strict=True):
            others = partial(_names_of_others, tracks, label)
            tracks.append(
                _track(label, Microphone(query, on_notice=on_notice, early=opened, taken=others, since=since))
            )
    return tracks


def _names_of_others(tracks: "Sequence[TrackSource]", label: str) -> list[str]:
    return [track.source.name for track in tracks if track.label != label]


def _track(label: str, source: "AudioSource") -> "TrackSource":
    from livecap.session.tracks import TrackSource  # not before a device is open

    return TrackSource(label, source)


def remember_device(settings: Settings, name: str) -> None:
    """Store the input of a session whose devices are open, so that `livecap` alone uses it again.

    Args:
        name: of the input that `settings.device` means.
    """
    if settings.replay is not None or settings.stdin:
        return
    with suppress(OSError, SettingsError):  # only a convenience: without it the next start uses the default input
        path = _device_file()
        make_folder(path.parent)
        replace_file(path, [json.dumps({"device": settings.device, "name": name, "mic": settings.mic}), "\n"])


def recall_device(settings: Settings) -> tuple[Settings, str | None]:
    """The settings with the input used last, where the user chose none; and a sentence that says so."""
    if settings.mic or settings.device is not None or settings.replay is not None or settings.stdin:
        return settings, None
    try:
        last = json.loads(read_regular(_device_file(), 10_000))
        device, mic, name = last["device"], last["mic"], str(last.get("name", ""))
    except (OSError, SettingsError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return settings, None
    if not isinstance(device, str):
        return settings, None
    try:
        device = _not_an_old_index(device, name)
        found = find_input(device)
    except AudioError:
        return settings, f'"{name or device}", the input used last, is not connected; using the default input.'
    name, is_one = found.name, mic is True and found.is_default
    both = "the default input and " if mic is True else ""
    sentence = f'Listening to {both}"{name}", as last time; --mic uses the default input alone.'
    if is_one:
        sentence = f'"{name}", used last beside the default input, is the default input now: listening to it alone.'
    return replace(settings, device=device, mic=mic is True and not is_one), sentence


def _not_an_old_index(query: str, name: str) -> str:
    """The query for the input used last: its name where it was chosen by an index that means no or another input now.

    Args:
        name: of that input; "" if it is not known.
    """
    if not (query.strip().isdecimal() and name):
        return query
    with suppress(AudioError):
        if find_input(query).name == name:
            return query
    return name


def _device_file() -> Path:
    return user_folder("state") / "last_device.json"


@contextmanager
def closed_on_failure(tracks: "Sequence[TrackSource]") -> Iterator[None]:
    """Close all sources if the block raises."""
    try:
        yield
    except BaseException:
        for track in tracks:
            track.source.close()
        raise


def _queries(settings: Settings) -> list[str | None]:
    if settings.mic and settings.device is not None:
        return [None, settings.device]
    return [settings.device]


def asks_for_steps(settings: Settings) -> bool:
    """True if the user chose how long steps are, `auto` included: a replay at full speed then takes those of a live
    session."""
    fixed = settings.chunk_seconds is not None or settings.step_cost_seconds is not None
    return fixed or "chunk_seconds" in settings.given


def _open_recording(settings: Settings, path: Path, on_notice: "OnNotice") -> "list[TrackSource]":
    from livecap.audio_in.replay import LIVE_BLOCK_SAMPLES, UNPACED_BLOCK_SAMPLES, Replay

    if path.is_dir():
        from livecap.session.recorded_source import open_session

        part = settings.start_seconds, settings.end_seconds
        tracks = open_session(path, settings.pace, *part, on_notice, same_steps=not asks_for_steps(settings))
        if settings.labels:
            with closed_on_failure(tracks):
                labels = labels_of(settings, len(tracks))
            tracks = [replace(track, label=label) for label, track in zip(labels, tracks, strict=True)]
        return tracks
    [label] = labels_of(settings, 1)
    replay = Replay(
        path,
        settings.pace,
        start_seconds=settings.start_seconds,
        end_seconds=settings.end_seconds,
        on_notice=on_notice,
        unpaced_block_samples=LIVE_BLOCK_SAMPLES if asks_for_steps(settings) else UNPACED_BLOCK_SAMPLES,
    )
    return [_track(label, replay)]


def _take_standard_input() -> int:
    """A descriptor of the pipe. Standard input becomes the terminal, if there is one, so that the screen gets keys."""
    pipe = os.dup(0)
    if not keys_from_terminal():
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
    return pipe
