"""Replaying a recorded session gives the same text in the same steps, however the live session was disturbed."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap import engine
from livecap.archive.log import SessionLog
from livecap.archive.steps import Step, StepsFile, recorded_steps
from livecap.audio_in.replay import Replay
from livecap.audio_in.source import AudioBlock, AudioSource
from livecap.audio_in.spool import Spool
from livecap.cli.recognition import engine_settings
from livecap.cli.run import make_session
from livecap.cli.sound import open_sound
from livecap.errors import AudioError, SettingsError
from livecap.session.live import LiveSession
from livecap.session.notices import Notices
from livecap.session.recorded_source import open_session
from livecap.session.sound_folder import SoundFolder
from livecap.session.tracks import TrackSource
from livecap.settings.fields import Settings
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import AudioGap, SessionEvent, TextCommitted, TranscriptUpdate, UtteranceEnded, UtteranceSettled
from tests.archive.facts import header, said, write
from tests.archive.when import STARTED
from tests.audio_in.waiting import blocks

SECOND = 16_000
RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"

Act = int | str
"""A number of samples that arrive, or that are lost if it is negative; or an event by its name."""
LIVE: list[Act] = [
    *[1600] * 12,  # the decoder keeps up
    23_000,  # it lags
    *[800] * 30,
    -9_000,  # sound is lost
    *[1777] * 8,
    "pause",
    -4_321,  # the last thing before the pause is a gap
    *[1600] * 9,
    "new paragraph",
    70_001,  # it lags a lot
    *[1600] * 5,
    -SECOND,
    "pause",
    *[320] * 40,
]


class Scripted(AudioSource):
    """A device with its capture thread, played by hand: sound goes into the spool and is taken from there."""

    name, live, first_sample, level = "script", True, 0, 0.0

    def __init__(self, sound: np.ndarray, acts: list[Act]) -> None:
        self._spool = Spool()
        self._sound, self._acts = sound, list(acts)
        self.do: Callable[[Act], None] = lambda act: None

    @property
    def spool(self) -> Spool:
        return self._spool

    @property
    def arrived_samples(self) -> int:
        return self.spool.end_sample

    @property
    def ended(self) -> bool:
        return not self._acts and not self.spool.waiting_samples

    def take(self) -> AudioBlock | None:
        if not self.spool.waiting_samples and self._acts:
            act = self._acts.pop(0)
            if act == "pause":
                return AudioBlock(self.spool.end_sample, np.zeros(0, np.float32))
            if isinstance(act, str):
                self.do(act)
            elif act < 0:
                self.spool.append_gap(-act)
            else:
                self.spool.append(self._sound[self.spool.end_sample :][:act])
        taken = self.spool.take()
        return AudioBlock(*taken) if taken else None

    def wake(self, event: object) -> None: ...

    def close(self) -> None: ...


Said = list[tuple[object, ...]]


def said_by(session: LiveSession) -> Said:
    """All events of a session that have to do with text."""
    told: list[SessionEvent | TranscriptUpdate] = []
    session.start(told.append)
    assert session.wait(120) and session.status.error is None
    kinds = (TextCommitted, UtteranceEnded, UtteranceSettled, AudioGap, TranscriptUpdate)
    return [(type(item).__name__, item) for item in told if isinstance(item, kinds)]


@pytest.fixture
def uneven_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measured costs of steps vary, so that the length of chunks goes up and down."""
    moments = itertools.accumulate(itertools.cycle([0.0, 0.9, 0.0, 0.1, 0.0, 0.4, 0.0, 1.8, 0.0, 0.05]))

    class Uneven(StreamingTranscriber):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, now=lambda: next(moments), **options)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "StreamingTranscriber", Uneven)


@pytest.mark.usefixtures("uneven_costs")
@pytest.mark.parametrize("pace", [None, 40.0])
def test_a_disturbed_session_is_replayed_with_the_same_text_and_steps(tmp_path: Path, pace: float | None) -> None:
    sound, _ = soundfile.read(RECORDING, dtype="float32", frames=20 * SECOND)
    settings = Settings(model="tiny", log_dir=tmp_path)
    log = SessionLog(tmp_path, STARTED)
    source, folder = Scripted(sound, LIVE), SoundFolder(log.folder, save=True)
    folder.add("", source.spool)
    live = LiveSession([TrackSource("", source)], engine_settings(settings), log, sound_folder=folder)
    source.do = lambda act: live.requests.end_utterance()
    first = said_by(live)
    steps = recorded_steps(live.log_folder)[""]
    assert len({step.step_samples for step in steps}) > 5, "its steps were of many lengths"
    assert sum(step.closes for step in steps) == 4
    again = make_session(replace(settings, replay=live.log_folder, pace=pace))
    texts = [item.text for name, item in first if name == "UtteranceEnded"]  # type: ignore[attr-defined]
    assert len(texts) >= 4 and any(name == "AudioGap" for name, _ in first)
    assert list(differences(first, said_by(again))) == []


def differences(first: Said, second: Said) -> Iterator[tuple[object, object]]:
    """Pairs of items that differ. Settled text is compared separately, since its order depends on the time."""
    for settled in (False, True):
        told = [[item for name, item in said if (name == "UtteranceSettled") == settled] for said in (first, second)]
        yield from ((one, two) for one, two in itertools.zip_longest(*told) if one != two)


def test_recorded_steps_are_repeated_unless_the_user_asks_for_another_chunk(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    (folder / "audio").mkdir(parents=True)
    (folder / "session.jsonl").write_bytes((write(tmp_path, said(["Good."])) / "session.jsonl").read_bytes())
    soundfile.write(folder / "audio" / "sound.wav", np.zeros(2 * SECOND), SECOND)
    step = Step(SECOND, 8_000)
    steps_file = StepsFile(folder / "audio")
    steps_file.note("", step)
    steps_file.close()
    for chunk_seconds, steps in [(None, (step,)), (2.0, ())]:
        [track] = open_sound(Settings(replay=folder, chunk_seconds=chunk_seconds), Notices())
        assert track.steps == steps
        track.source.close()


def two_tracks(tmp_path: Path) -> Path:
    """A session of "them" and "me", in this order, with a third sound that its log does not know."""
    gap = AudioGap("me", SECOND // 4, SECOND // 2)
    folder = write(tmp_path, [*said(["Good."], "me"), gap], header(tracks=("them", "me")))
    (folder / "audio").mkdir()
    for name in ("me", "other", "them"):
        soundfile.write(folder / "audio" / f"{name}.wav", np.full(SECOND, 0.5), SECOND)
    return folder


def test_a_recorded_session_has_its_tracks_in_order_with_their_gaps(tmp_path: Path) -> None:
    tracks = open_session(two_tracks(tmp_path), None)
    assert [track.label for track in tracks] == ["them", "me", "other"]
    heard = {track.label: [block.start_sample for block in blocks(track.source)] for track in tracks}
    assert SECOND // 2 in heard["me"] and not set(range(SECOND // 4, SECOND // 2)) & set(heard["me"])
    assert SECOND // 2 not in heard["them"]


def test_a_track_that_ended_before_the_wanted_part_is_left_out(tmp_path: Path) -> None:
    """Such as that of a device that was disconnected during the session."""
    folder = two_tracks(tmp_path)
    soundfile.write(folder / "audio" / "me.wav", np.full(3 * SECOND, 0.5), SECOND)
    [track] = open_session(folder, None, start_seconds=2.0)
    assert track.label == "me" and next(iter(blocks(track.source))).start_sample == 2 * SECOND
    with pytest.raises(SettingsError, match="it has no sound at 5 s"):
        open_session(folder, None, start_seconds=5.0)
    with pytest.raises(SettingsError, match="the end comes first"):
        open_session(folder, None, start_seconds=1.0, end_seconds=0.5)


def test_a_recorded_session_that_cannot_be_played_says_why(tmp_path: Path) -> None:
    silent = write(tmp_path, said(["Good."]))
    with pytest.raises(AudioError, match="has no sound: --save-audio keeps it"):
        open_session(silent, None)
    (tmp_path / "holiday").mkdir()
    with pytest.raises(AudioError, match="is not a session. Give a recording in it"):
        open_session(tmp_path / "holiday", None)


def test_sounds_that_were_opened_are_closed_where_a_later_one_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = two_tracks(tmp_path)
    (folder / "audio" / "other.wav").write_bytes(b"no sound")
    closed = []
    close = Replay.close
    monkeypatch.setattr(Replay, "close", lambda replay: (closed.append(replay.name), close(replay)))
    with pytest.raises(AudioError, match=r"other\.wav"):
        open_session(folder, None)
    assert closed == ["them.wav", "me.wav"]
