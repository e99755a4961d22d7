"""A session with a microphone beside loudspeakers: what the others say is written once, what the user says is kept, and
one notice says what is done."""

from pathlib import Path

import numpy as np
import soundfile

from benchmarks.echoes import SECOND, echo, hiss, voice
from livecap.archive.log import SessionLog
from livecap.audio_in.replay import Replay
from livecap.engine import EngineSettings
from livecap.eval.wer import normalise, word_error_rate
from livecap.session.echo import without_echo
from livecap.session.live import LiveSession
from livecap.session.notices import Notices
from livecap.session.tracks import TrackSource
from livecap.transcript import CaptureReport, Notice, UtteranceEnded
from tests.archive.when import STARTED
from tests.session.scripted import ScriptedSource

THEM = voice("meeting", 10, 12)


def texts(folder: Path, me: np.ndarray) -> tuple[str, str, list[str]]:
    """What each track of a session said, and its notices."""
    folder.mkdir()
    sources = []
    for label, sound in (("me", me), ("them", THEM)):
        soundfile.write(folder / f"{label}.wav", sound, SECOND, "FLOAT")
        sources.append(TrackSource(label, Replay(folder / f"{label}.wav", None)))
    notices = Notices()
    told: list[object] = []
    session = LiveSession(
        sources, EngineSettings("tiny"), SessionLog(folder, STARTED), notices=notices, removes_echo=True
    )
    session.start(told.append)
    assert session.wait(120) and session.status.error is None
    for report in (item for item in told if isinstance(item, CaptureReport)):
        assert report.captured_samples == report.decoded_samples + report.silence_samples == len(THEM)
    said = [
        " ".join(item.text for item in told if isinstance(item, UtteranceEnded) and item.track == label)
        for label in ("me", "them")
    ]
    return said[0], said[1], [item.message for item in told if isinstance(item, Notice)]


def test_words_that_loudspeakers_play_are_written_once(tmp_path: Path) -> None:
    heard = hiss(len(THEM)) + echo(THEM, 150, 10)
    mine, theirs, notices = texts(tmp_path / "auto", heard)
    assert not normalise(mine) and len(normalise(theirs)) > 15
    assert [notice for notice in notices if "plays" in notice] == notices and len(notices) == 1


def test_a_voice_over_the_echo_is_understood_as_without_it(tmp_path: Path) -> None:
    alone = voice("continuous", 0, 12)
    mine, _, notices = texts(tmp_path / "alone", alone)
    assert not notices
    mixed, _, notices = texts(tmp_path / "echo", alone + echo(THEM, 100, 6))
    assert len(notices) == 1 and word_error_rate(mine, mixed) <= 0.15


def test_one_track_is_left_alone() -> None:
    tracks = [TrackSource("", ScriptedSource([0]))]
    assert without_echo(tracks, Notices()) == tracks
