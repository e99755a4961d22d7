"""What an answer took: seconds by stage, tokens, and the memory of the process (docs/bridge.md)."""

from livecap.serve.bridge.requests import Record
from livecap.serve.worker import Worker
from livecap.stream.statistics import StageSeconds
from livecap.this_machine import peak_resident_bytes
from livecap.transcribe.result import Timings

MLX_POOLS = {"MLX peak": "mlx_peak", "MLX": "mlx_active", "MLX cache": "mlx_cache"}


def memory_record(worker: Worker | None) -> Record:
    """Memory in bytes and in MB."""
    sizes = {"rss_peak": peak_resident_bytes()}
    held = worker.memory if worker else {}
    sizes |= {name: held[pool] for pool, name in MLX_POOLS.items() if pool in held}
    return {f"{name}_bytes": size for name, size in sizes.items()} | {
        f"{name}_mb": round(size / 1e6, 2) for name, size in sizes.items()
    }


def stream_profile(spent: StageSeconds, worker: Worker) -> Record:
    """The compute time of a part of a stream."""
    decoding = spent.prefill + spent.generate
    return {
        "stage": "stream",
        "feature_extract_seconds": round(spent.mel, 4),
        "audio_tower_seconds": round(spent.encoder, 4),
        "prefill_seconds": round(spent.prefill, 4),
        "continuation_seconds": round(spent.generate, 4),
        "decode_seconds": round(decoding, 4),
        "total_seconds": round(spent.mel + spent.encoder + decoding, 4),
        "memory": memory_record(worker),
    }


def batch_profile(stage: str, items: list[Record], spent: Timings, total_seconds: float, worker: Worker) -> Record:
    """What a batch took.

    Args:
        items: their answers.
        spent: on recordings; what streams have heard was counted while they heard it.
        total_seconds: from the request to its answer.
    """
    audio_seconds = sum(item["duration_seconds"] for item in items)
    decode_seconds = sum(item["decode_seconds"] for item in items)
    tokens = [item["generated_tokens"] for item in items]
    return {
        "stage": stage,
        "batch_size": len(items),
        "audio_seconds": round(audio_seconds, 4),
        "read_seconds": round(spent.read_seconds, 4),
        "audio_tower_seconds": round(spent.encoder_seconds, 4),
        "decode_seconds": round(decode_seconds, 4),
        "total_seconds": round(total_seconds, 4),
        "generated_tokens": tokens,
        "generated_tokens_total": sum(tokens),
        "generated_tokens_per_second": round(sum(tokens) / max(decode_seconds, 1e-9), 2),
        "realtime_factor": round(audio_seconds / max(total_seconds, 1e-9), 2),
        "memory": memory_record(worker),
    }
