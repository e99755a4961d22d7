"""The real program is killed at any moment of a replay: the log stays readable, nothing that was shown is lost, and at
most a second of the sound that waited."""

import io
import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile

from livecap.archive.folder import EVENTS, TRANSCRIPT
from livecap.archive.reader import LogReader
from livecap.archive.recorded import RecordedSession
from livecap.engine import EngineSettings
from livecap.session.recovery import recover, seconds_to_decode
from livecap.transcript import (
    SessionEvent,
    TextCommitted,
    TranscriptUpdate,
    UtteranceEnded,
    UtteranceSettled,
)
from tests.archive.facts import SECOND
from tests.archive.victims import replay
from tests.events import event_of
from tests.session.killed import Running

RECORDINGS = sorted((Path(__file__).parents[2] / "recordings").glob("*.flac"))
CLIP_SECONDS = 5
N_KILLS = 1000 if os.environ.get("LIVECAP_PROVE") else 5
LOTS = 5
MOST_LINES = 12
"""How many lines such a replay prints."""


@dataclass(frozen=True, slots=True)
class Killed:
    """The remains of a replay that was killed."""

    parent: Path
    """The parent of its session's folder."""
    told: list[SessionEvent | TranscriptUpdate]
    taken_samples: int
    """Sound that it read from its standard input."""


def clip(rng: random.Random) -> bytes:
    """A few seconds of a recording, as a WAV file."""
    path = rng.choice(RECORDINGS)
    start = rng.randrange(soundfile.info(path).frames - CLIP_SECONDS * SECOND)
    samples, rate = soundfile.read(path, dtype="int16", start=start, frames=CLIP_SECONDS * SECOND)
    assert rate == SECOND
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()


def kill_at_random(parent: Path, rng: random.Random, piped: bool) -> Killed | None:
    """Kill a replay after a random number of lines and a random time; None if it had ended by then."""
    sound = clip(rng)
    if piped:
        running = Running(replay, parent, "--stdin", sound=sound)
    else:
        (parent / "clip.wav").write_bytes(sound)
        running = Running(replay, parent, "--replay", str(parent / "clip.wav"), "--pace", "max")
    lines = [running.line() for _ in range(rng.randrange(MOST_LINES))]
    lines += running.kill(after_seconds=rng.random() ** 3)
    taken = running.taken()
    told = [event_of(line) for line in lines if line.endswith(b"\n")]
    return Killed(parent, told, max(0, taken - 44) // 2) if running.was_killed else None


def check(killed: Killed) -> None:
    """Check that a session that was killed keeps every promise."""
    facts = [item for item in killed.told if not isinstance(item, TranscriptUpdate)]
    folder = next((path for path in killed.parent.iterdir() if path.is_dir()), None)
    if folder is None or not (folder / EVENTS).exists() or not (folder / EVENTS).stat().st_size:
        assert not facts, "nothing is printed before it is logged"
        return
    logged = [event for _, event in LogReader(folder / EVENTS).events()]
    assert logged[: len(facts)] == facts
    committed: dict[int, str] = {}
    for event in logged:
        if isinstance(event, TextCommitted):
            committed[event.utterance] = committed.get(event.utterance, "") + event.text
    for item in killed.told:
        if isinstance(item, TranscriptUpdate):
            assert committed.get(item.utterance, "").startswith(item.stable), "what is shown as stable is in the log"
    session = RecordedSession(folder)
    assert not session.is_running
    assert len(session.damages) <= 1, "at most the line that was being written"
    heard = {said.utterance: said for said in session.utterances()}
    for number, text in committed.items():
        assert isinstance(heard[number], UtteranceSettled) or heard[number].text.startswith(text)
    if session.ended is None:
        transcript = (folder / TRANSCRIPT).read_text()
        assert all(fact.text in transcript for fact in facts if isinstance(fact, UtteranceEnded))
    if session.ended is None and killed.taken_samples:
        kept = soundfile.info(session.sounds[""]).frames
        assert kept >= killed.taken_samples - SECOND, "at most a second of sound is lost"
        assert kept >= max((item.end_sample for item in killed.told if isinstance(item, TranscriptUpdate)), default=0)


@pytest.mark.parametrize("lot", range(LOTS))
def test_a_killed_replay_loses_nothing_that_it_has_shown(tmp_path: Path, lot: int) -> None:
    rng, n_killed, n_tried = random.Random(lot), 0, 0
    while n_killed < N_KILLS // LOTS:
        n_tried += 1
        parent = tmp_path / str(n_tried)
        parent.mkdir()
        killed = kill_at_random(parent, rng, piped=n_tried % 2 == 1)
        if killed is not None:
            n_killed += 1
            check(killed)


def test_what_a_killed_replay_had_heard_is_recovered(tmp_path: Path) -> None:
    running = Running(replay, tmp_path, "--stdin", sound=clip(random.Random(3)))
    assert any(b'"text_committed"' in line for line in iter(running.line, b""))
    running.kill(after_seconds=0)
    [folder] = tmp_path.iterdir()
    session = RecordedSession(folder)
    n_kept = soundfile.info(session.sounds[""]).frames
    assert session.was_cut_off and seconds_to_decode(session) > 0
    recover(folder, EngineSettings("tiny"))
    recovered = RecordedSession(folder)
    assert recovered.ended and recovered.n_samples >= n_kept and any(recovered.utterances())
