"""`livecap doctor --selftest`: what livecap's authors would ask about a model on this machine."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from livecap.cli.run import make_session
from livecap.engine import Recognises, peak_mlx_bytes
from livecap.errors import LivecapError
from livecap.eval.wer import word_error_rate
from livecap.settings.fields import Settings
from livecap.shipped import demo_recording, reference_text
from livecap.stream.statistics import StageSeconds
from livecap.this_machine import peak_resident_bytes
from livecap.transcript import SAMPLE_RATE, SessionEvent, TranscriptUpdate, UtteranceEnded

SEND = "an issue in the repository that you have livecap from, with all that livecap doctor --selftest --json prints"


def selftest(settings: Settings) -> dict[str, Any]:
    """Play a shipped recording through the model as fast as it goes, by the same path as a session."""
    recording, model = demo_recording(), settings.model
    utterances: list[str] = []
    facts: dict[str, Any] = {}

    def collect(item: SessionEvent | TranscriptUpdate) -> None:
        if isinstance(item, UtteranceEnded):
            utterances.append(item.text)

    def on_engine(engine: Recognises) -> None:
        facts.update(engine.facts)

    with tempfile.TemporaryDirectory() as folder:
        alone = Settings(replay=recording, pace=None, model=model, dtype=settings.dtype, log_dir=Path(folder))
        try:
            session = make_session(alone)
        except LivecapError as error:
            return {"model": model, "problem": str(error)}
        session.on_engine = on_engine
        session.start(collect)
        session.wait()
        status = session.status
    if status.error is not None:
        return {"model": model, "problem": status.error}
    sound_seconds = status.arrived_samples / SAMPLE_RATE
    costs = session.costs.recent
    stages = asdict(sum((cost.stages for cost in costs), StageSeconds()))
    return {
        "model": model,
        **facts,
        "recording": recording.name,
        "sound_seconds": round(sound_seconds, 1),
        "wer": round(word_error_rate(reference_text(recording), " ".join(utterances)), 4),
        "rtf": round(session.costs.compute_seconds / sound_seconds, 4),
        "load_seconds": round(session.load_seconds, 2),
        "steps": len(costs),
        **{f"{stage}_seconds": round(seconds, 3) for stage, seconds in stages.items()},
        "other_seconds": round(sum(cost.host_seconds for cost in costs), 3),
        "peak_memory_mb": round(peak_resident_bytes() / 1e6),
        "peak_mlx_mb": round(peak_mlx_bytes() / 1e6),
        "send_to": SEND,
    }
