"""When the user pauses, the text becomes stable, nothing is invented, and the session can be resumed."""

from pathlib import Path

from livecap.cli.run import make_session
from livecap.settings.fields import Settings
from livecap.transcript import Paused, Resumed, SessionEnded, SessionEvent, TranscriptUpdate, UtteranceEnded

RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"


def test_text_from_before_a_pause_becomes_stable_during_it(tmp_path: Path) -> None:
    session = make_session(Settings(replay=RECORDING, pace=24.0, model="tiny", log_dir=tmp_path))
    told: list[SessionEvent | TranscriptUpdate] = []

    def listen(item: SessionEvent | TranscriptUpdate) -> None:
        told.append(item)
        if isinstance(item, TranscriptUpdate) and not item.final and not any(isinstance(e, Paused) for e in told):
            session.pause()
        if isinstance(item, TranscriptUpdate) and item.final and not any(isinstance(e, Resumed) for e in told):
            session.resume()

    session.start(listen)
    assert session.wait(120)
    kinds = [type(item) for item in told]
    assert kinds.index(Paused) < kinds.index(Resumed)
    during = told[kinds.index(Paused) : kinds.index(Resumed)]
    assert any(isinstance(item, TranscriptUpdate) and item.final for item in during)
    assert isinstance(told[-1], SessionEnded)
    [paused] = [item for item in told if isinstance(item, Paused)]
    [resumed] = [item for item in told if isinstance(item, Resumed)]
    assert paused.sample <= resumed.sample <= paused.sample + 16_000
    assert told[-1].n_samples == round(40.62 * 16_000)
    assert not any(isinstance(item, UtteranceEnded) and not item.text for item in told)
