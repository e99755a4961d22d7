"""What a loaded model is and what it asks of the GPU, for a report: chip, data type, layout, packing."""

import io
import re
from collections import Counter
from typing import Any

from livecap.model.backend import mx, on_cpu
from livecap.model.checkpoint.layouts import layout_of
from livecap.model.checkpoint.load import LoadedModel
from livecap.model.checkpoint.quantized import find_quantized
from livecap.model.checkpoint.weights import read_weights
from livecap.model.generate import best_rows
from livecap.model.numpy.network import NumpyQwen3ASR
from livecap.model.qwen3_asr import Qwen3ASR, sanitize

VIEWS = set(
    "AsStrided Broadcast Depends ExpandDims Flatten Imag Real Reshape Slice Split Squeeze StopGradient Transpose "
    "Unflatten View".split()
)
_NODE = re.compile(r'\[label ="([A-Za-z0-9]+)[^"]*", shape=rectangle\]; \}\n((?:"[^"]+" -> \d+\n)*)')


def chip_facts() -> dict[str, Any]:
    """The GPU that MLX computes on; empty on a processor."""
    if on_cpu:
        return {}
    device = mx.device_info()
    facts = {
        "gpu": device.get("device_name"),
        "gpu_architecture": device.get("architecture"),
        "gpu_memory_gb": round(int(device.get("memory_size", 0)) / 1e9),
        "gpu_recommended_gb": round(int(device.get("max_recommended_working_set_size", 0)) / 1e9),
    }
    return {name: value for name, value in facts.items() if value}


def model_facts(loaded: LoadedModel) -> dict[str, Any]:
    """What a model is: the layout of its files, its packing, the data type, and what computes it.

    `launches_a_token` is an estimate for Metal (`launches_of`); only on a GPU.
    """
    weights = sanitize(stored := read_weights(loaded.path), tied=loaded.config.text.tie_word_embeddings)
    packings = Counter(
        f"{each.bits} bit, {each.mode}, groups of {each.group_size}"
        for each in find_quantized(Qwen3ASR(loaded.config), weights).values()
    )
    facts: dict[str, Any] = chip_facts() | {
        "layout": layout_of(stored),
        "packing": "; ".join(f"{n} layers of {name}" for name, n in packings.most_common()) or "none",
        "arithmetic": "NumPy" if isinstance(loaded.model, NumpyQwen3ASR) else "MLX",
        "dtype": str(loaded.dtype).rpartition(".")[2],
        "guesses_a_round": loaded.most_guessed,
    }
    if isinstance(loaded.model, Qwen3ASR) and not on_cpu:
        cache = loaded.model.new_cache()
        token, margin = best_rows(loaded.model, loaded.model(loaded.model.embed(mx.zeros(1, mx.int32))[None], cache)[0])
        facts["launches_a_token"] = launches_of(token, margin)
    return facts


def launches_of(*arrays: mx.array) -> int:
    """The kernel launches on Metal that computing these arrays takes, from MLX's description of the work.

    A view costs none, a concatenation one for each part, everything else one. Copies that a kernel makes of a strided
    input are not seen. On a processor, MLX describes fused functions by their parts.
    """
    text = io.StringIO()
    mx.export_to_dot(text, *arrays)
    nodes = _NODE.findall(text.getvalue())
    return sum(inputs.count("\n") if kind == "Concatenate" else kind not in VIEWS for kind, inputs in nodes)
