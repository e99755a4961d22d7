"""mlx-qwen3-asr on a checkpoint and a sound, with the time of each stage. `versus_mlx_qwen3_asr.py` starts it.

    PYTHON run_mlx_qwen3_asr.py CHECKPOINT POSITIONS.npy SOUND.npy CHUNK_SECONDS     prints one JSON object

CHUNK_SECONDS is 0 for the whole sound as a file; its first second is then transcribed before the measurement.
PYTHON is another environment, which has mlx-qwen3-asr and not livecap: this file imports nothing of livecap.
"""

import ctypes
import importlib
import importlib.metadata
import json
import sys
import time
from collections import defaultdict
from typing import Any

BLAS_LIBRARIES = ("libopenblas.so.0", "libopenblas.so")


def load_fast_blas() -> str | None:
    """Load OpenBLAS first, as livecap does: it replaces the slow BLAS that MLX's Linux build is linked against."""
    for name in BLAS_LIBRARIES:
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return name
    return None


def main() -> None:
    """Load everything, then transcribe the sound and measure."""
    checkpoint, positions_path, sound_path, chunk_seconds = sys.argv[1:5]
    blas = load_fast_blas()
    mx = importlib.import_module("mlx.core")
    np = importlib.import_module("numpy")
    streaming = importlib.import_module("mlx_qwen3_asr.streaming")
    recordings = importlib.import_module("mlx_qwen3_asr.transcribe")
    load_model = importlib.import_module("mlx_qwen3_asr.load_models").load_model
    encoder_class = importlib.import_module("mlx_qwen3_asr.encoder").AudioEncoder
    model_class = importlib.import_module("mlx_qwen3_asr.model").Qwen3ASRModel
    model, _ = load_model(checkpoint, dtype=mx.float32)
    if positions_path != "-":
        model.audio_tower.embed_positions._pe = mx.array(np.load(positions_path))
    samples = np.load(sound_path)
    n = round(float(chunk_seconds) * 16_000)
    if n == 0:
        recordings.transcribe((samples[:16_000], 16_000), model=model, dtype=mx.float32)

    seconds: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)

    def timed(owner: Any, name: str, stage: str) -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            result = original(*arguments, **named)
            mx.eval(result)
            seconds[stage] += time.perf_counter() - start
            calls[stage] += 1
            return result

        setattr(owner, name, watched)

    timed(streaming if n else recordings, "compute_features", "mel")
    timed(encoder_class, "_apply_conv_stem", "conv")
    timed(encoder_class, "encode_frames" if n else "__call__", "conv and encoder")
    timed(model_class, "prefill", "prefill")
    timed(model_class, "step", "generate")

    step_seconds = []

    def step(function: Any, *arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        result = function(*arguments, **named)
        step_seconds.append(time.perf_counter() - began)
        return result

    cpu_began = time.process_time()
    if n == 0:
        said = step(recordings.transcribe, (samples, 16_000), model=model, dtype=mx.float32)
    else:
        said = streaming.init_streaming(model=checkpoint, chunk_size_sec=float(chunk_seconds), dtype=mx.float32)
        for start in range(0, len(samples), n):
            said = step(streaming.feed_audio, samples[start : start + n], said, model=model)
        said = step(streaming.finish_streaming, said, model=model)
    seconds["encoder"] = seconds.pop("conv and encoder", 0.0) - seconds["conv"]
    compute = sum(step_seconds)
    seconds["host"] = compute - sum(seconds.values())
    result = {
        "package": f"mlx-qwen3-asr {importlib.metadata.version('mlx-qwen3-asr')}",
        "mlx": importlib.metadata.version("mlx"),
        "blas": blas,
        "dtype": str(model.model.embed_tokens.weight.dtype).rsplit(".", 1)[-1],
        "text": said.text,
        "compute_seconds": compute,
        "cpu_seconds": round(time.process_time() - cpu_began, 2),
        "step_seconds": step_seconds,
        "stages": dict(seconds),
        "calls": dict(calls),
        "mlx_peak_mb": round(mx.get_peak_memory() / 1e6),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
