"""Live text in half precision with rounding as on a GPU, against float32: word errors, revisions of stable text.

    python -m benchmarks.half_precision recordings/*.flac --mode 2 --out docs/benchmarks/half_precision.json

A GPU has other kernels for one row, for a few and for many, and each adds in another order. So in half precision a
token that is computed alone can differ from the same token in a draft that is checked. MLX's kernels for processors
treat all rows alike and would hide this. Here products and attention are computed in float32, in an order that depends
on the number of rows, and rounded once: an emulation, no measurement of a GPU.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from livecap.errors import LivecapError
from livecap.eval.modes import parse_mode
from livecap.eval.output import store_figures
from livecap.eval.reference import Reference, read_reference
from livecap.eval.timeline import play
from livecap.eval.wer import ErrorCounts, count_errors
from livecap.model import nn
from livecap.model.backend import mx
from livecap.model.checkpoint.load import LoadedModel, load
from livecap.model.qwen3_asr import Qwen3ASR
from livecap.stream.recogniser import ModelRecogniser
from livecap.stream.transcriber import StreamingTranscriber

FEW_ROWS = 16
"""Up to so many rows have a kernel of their own, as in MLX's products for Metal; attention has one for up to 8."""
FEW_QUERIES = 8
DTYPES = {"bfloat16": mx.bfloat16, "float16": mx.float16}


class RoundedProduct(nn.Module):
    """A linear layer whose sums run in another order for one row, for a few and for many; rounded once."""

    def __init__(self, weight: mx.array, bias: mx.array | None) -> None:
        super().__init__()
        self.dtype = weight.dtype
        self._columns = weight.astype(mx.float32).T
        self._bias = 0.0 if bias is None else bias.astype(mx.float32)
        self._half = self._columns.shape[0] // 2
        mx.eval(self._columns, self._bias)

    def __call__(self, x: mx.array) -> mx.array:
        n = x.size // x.shape[-1]
        x, columns, half = x.astype(mx.float32), self._columns, self._half
        if n == 1:
            y = x[..., ::2] @ columns[::2] + x[..., 1::2] @ columns[1::2]
        elif n <= FEW_ROWS:
            y = x[..., half:] @ columns[half:] + x[..., :half] @ columns[:half]
        else:
            y = x @ columns
        return (y + self._bias).astype(self.dtype)


class RoundedTable(nn.Module):
    """An embedding table whose product as an output head is a `RoundedProduct`."""

    def __init__(self, weight: mx.array) -> None:
        super().__init__()
        self.weight = weight
        self.as_linear = RoundedProduct(weight, None)

    def __call__(self, ids: mx.array) -> mx.array:
        return self.weight[ids]


def _attention(q: mx.array, k: mx.array, v: mx.array, *, scale: float, mask: str | mx.array | None = None) -> mx.array:
    """Attention in float32, rounded once. Few queries see their keys in another order."""
    dtype, (B, H, L, D), (_, G, S, _) = q.dtype, q.shape, k.shape
    seen = mask if isinstance(mask, mx.array) else mx.ones((1, S), mx.bool_)
    if isinstance(mask, str):
        seen = mx.arange(S) <= mx.arange(S - L, S)[:, None]
    if L <= FEW_QUERIES:
        order = mx.concatenate([mx.arange(first, S, 4) for first in range(min(4, S))])
        k, v, seen = k[:, :, order], v[:, :, order], seen[..., order]
    queries = q.astype(mx.float32).reshape(B, G, H // G, L, D) * scale
    scores = queries @ k.astype(mx.float32)[:, :, None].swapaxes(-1, -2)
    weights = mx.softmax(mx.where(seen, scores, -mx.inf), axis=-1)
    return (weights @ v.astype(mx.float32)[:, :, None]).reshape(B, H, L, D).astype(dtype)


@contextmanager
def rounded_as_on_a_gpu(model: Qwen3ASR) -> Iterator[None]:
    """All products of `model` depend on the number of rows from now on, and attention meanwhile."""
    _replace(model)
    kept = mx.fast.scaled_dot_product_attention
    mx.fast.scaled_dot_product_attention = _attention  # type: ignore[assignment]
    try:
        yield
    finally:
        mx.fast.scaled_dot_product_attention = kept


def _replace(owner: Any) -> None:
    for name, part in list(owner.items()):
        for item in part if isinstance(part, list) else [part]:
            if isinstance(item, nn.Linear):
                owner[name] = RoundedProduct(item.weight, item.get("bias"))
            elif isinstance(item, nn.Embedding):
                owner[name] = RoundedTable(item.weight)
            elif isinstance(item, nn.Module):
                _replace(item)


def live_text(loaded: LoadedModel, recording: Reference, mode: str) -> tuple[str, int]:
    """The live text of a recording, and how often text that was stable changed."""
    chosen = parse_mode(mode, 0.2)
    recogniser = ModelRecogniser(loaded, "", None, chosen.config)
    timeline = play(StreamingTranscriber(recogniser, loaded.tokenizer, chosen.config), recording.samples, 0.2)
    stable: dict[int, str] = {}
    n_revisions = 0
    for update in (moment.update for moment in timeline.moments):
        n_revisions += not update.stable.startswith(stable.get(update.utterance, ""))
        stable[update.utterance] = update.stable
    return " ".join(text.strip() for text in stable.values()), n_revisions


def measure(loaded: LoadedModel, recordings: Sequence[Reference], mode: str) -> dict[str, Any]:
    """Word errors and revisions of all recordings together."""
    errors, n_revisions, texts = ErrorCounts(), 0, []
    for recording in recordings:
        text, n = live_text(loaded, recording, mode)
        errors += count_errors(recording.text, text)
        n_revisions += n
        texts.append(text)
    return {
        "words": errors.n_words,
        "word_errors": errors.word_errors,
        "wer": round(errors.wer, 4),
        "stable_revisions": n_revisions,
        "texts": texts,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.half_precision",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--mode", default="default", help="as for livecap eval")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    try:
        recordings = [read_reference(path) for path in options.recordings]
        figures = {"float32": measure(load(options.model), recordings, options.mode)}
        for name, dtype in DTYPES.items():
            loaded = load(options.model, dtype=dtype)
            assert isinstance(loaded.model, Qwen3ASR)
            with rounded_as_on_a_gpu(loaded.model):
                figures[name] = measure(loaded, recordings, options.mode)
    except LivecapError as error:
        print(f"half_precision: {error}", file=sys.stderr)
        return 1
    exact = figures["float32"].pop("texts")
    for name, values in figures.items():
        texts = values.pop("texts", exact)
        values["texts_that_differ"] = sum(a != b for a, b in zip(texts, exact, strict=True))
        print(f"{name}: {values}")
    if options.out:
        names = [path.name for path in options.recordings]
        store_figures(options.out, {"model": options.model, "mode": options.mode, "recordings": names, **figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
