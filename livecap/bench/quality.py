"""Word error rates of recordings with a reference text: offline, and as a session says it live.

python -m livecap.bench.quality --model tiny recordings/*.flac --out docs/benchmarks/quality.json

Exit status 1 where a session's text is worse than the offline text by more than --most-gap.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile

from livecap.audio_in.replay import Replay
from livecap.audio_in.source import AudioChunk
from livecap.bench.machine import machine
from livecap.bench.offline import transcribe
from livecap.bench.wer import edit_distance, normalise
from livecap.model.load import LoadedModel, load
from livecap.stream.config import StreamConfig
from livecap.stream.recogniser import Recogniser
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate


def stream(loaded: LoadedModel, path: Path, config: StreamConfig | None = None) -> list[TranscriptUpdate]:
    """Every update of a recording, in steps as a live session makes them, as fast as they come."""
    config = config or StreamConfig()
    recogniser = Recogniser(loaded, "", None, config)
    transcriber = StreamingTranscriber(recogniser, loaded.tokenizer, config)
    updates: list[TranscriptUpdate] = []
    for chunk in Replay(path, pace=None, max_chunk_samples=SAMPLE_RATE // 10):
        transcriber.accept(AudioChunk(chunk.start_sample, chunk.samples))
        if transcriber.ready:
            updates += transcriber.step()
    updates += transcriber.finish()
    return updates


def final_text(updates: Sequence[TranscriptUpdate]) -> str:
    """What the log keeps."""
    return " ".join(update.stable for update in updates if update.final and update.stable)


def measure(loaded: LoadedModel, path: Path) -> dict[str, Any]:
    """Words, and the errors among them offline and live."""
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == SAMPLE_RATE, f"{path} is not at 16 kHz"
    expected = normalise(path.with_suffix(".txt").read_text(encoding="utf-8"))
    offline = edit_distance(expected, normalise(transcribe(loaded, samples)))
    streaming = edit_distance(expected, normalise(final_text(stream(loaded, path))))
    return {
        "recording": path.stem,
        "seconds": round(len(samples) / SAMPLE_RATE, 1),
        "words": len(expected),
        "offline_errors": offline,
        "offline_wer": round(offline / len(expected), 4),
        "streaming_errors": streaming,
        "streaming_wer": round(streaming / len(expected), 4),
    }


MOST_GAP = 0.02
"""Of the live word error rate over the offline one, on the shipped recordings together."""


def main() -> int:
    """Measure, print a table, and write the figures where asked; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--most-gap", type=float, default=MOST_GAP, help=f"default: {MOST_GAP}")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    loaded = load(options.model)
    rows = [measure(loaded, path) for path in options.recordings]
    n_words = sum(row["words"] for row in rows)
    total = {mode: round(sum(row[f"{mode}_errors"] for row in rows) / n_words, 4) for mode in ("offline", "streaming")}
    for row in [*rows, {"recording": "all", "words": n_words, **{f"{mode}_wer": wer for mode, wer in total.items()}}]:
        offline, live = row["offline_wer"], row["streaming_wer"]
        print(f"{row['recording']:12} {row['words']:5} words  offline {offline:7.2%}  live {live:7.2%}")
    if options.out:
        result = {"machine": machine(), "model": options.model, "recordings": rows, "wer": total}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    gap = total["streaming"] - total["offline"]
    if gap > options.most_gap:
        print(
            f"quality: live text is worse than offline by {gap:.2%}, allowed are {options.most_gap:.2%}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
