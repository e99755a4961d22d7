"""What only a GPU needs: passes that are described ahead, margins and ties in half precision."""

import io
import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from livecap.errors import ModelError
from livecap.model import generate
from livecap.model.backend import mx
from livecap.model.checkpoint.load import load_model, resolve
from livecap.model.generate import as_tokens, best_rows
from livecap.model.qwen3_asr import Qwen3ASR
from livecap.model.text.prompt import Prompt
from tests.model.small_models import greedy, small_mlx_model

PROMPT = Prompt((3, 1, 4, 1, 5, 9, 2, 6), mx.zeros((0, 16)))


def is_computed(*arrays: mx.array) -> bool:
    graph = io.StringIO()
    mx.export_to_dot(graph, *arrays)
    return "rectangle" not in graph.getvalue()


@pytest.mark.parametrize("n_taken", [None, 1])
def test_a_pass_behind_the_end_of_the_text_is_described_and_never_computed(
    n_taken: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_mlx_model(seed=5, eos=(25,))  # says two tokens and ends
    passes: list[mx.array] = []
    decode = Qwen3ASR.__call__

    def kept(self: Qwen3ASR, *arguments: Any) -> mx.array:
        passes.append(decode(self, *arguments))
        return passes[-1]

    monkeypatch.setattr(Qwen3ASR, "__call__", kept)
    cache = model.new_cache()
    tokens = greedy(model, cache, PROMPT, 12, ahead=True)
    ids = [token.id for token in itertools.islice(tokens, n_taken)]
    tokens.close()
    assert len(ids) == (n_taken or 3) and (n_taken or ids[-1] == 25)
    n_needed = 1 + (n_taken or 2)
    assert is_computed(*cache.arrays()), "the storage holds nothing of that pass"
    assert [is_computed(each) for each in passes] == [True] * n_needed + [False]


def test_weights_of_convolutions_lie_in_the_order_that_their_kernels_read() -> None:
    """A kernel that gets a transposed view copies it at each call."""
    encoder = load_model(resolve("tiny"), dtype=mx.bfloat16, unpack=False).audio_tower
    for conv in (encoder.conv2d1, encoder.conv2d2, encoder.conv2d3):
        assert memoryview(conv.weight).c_contiguous  # type: ignore[arg-type]


def test_a_token_is_written_into_the_storage_in_place() -> None:
    """While a copy of the storage is held, each pass copies all of it."""
    model = small_mlx_model(seed=0, eos=(1000,), num_key_value_heads=4, head_dim=64)
    cache = model.new_cache()
    tokens = greedy(model, cache, PROMPT, 30, ahead=True)
    next(tokens)
    storage = sum(array.nbytes for array in cache.arrays())
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    assert len(list(tokens)) == 29
    assert storage > 1_000_000 and mx.get_peak_memory() - before < storage / 3


class Head:
    """A network that is only an output head [vocab, hidden]."""

    def __init__(self, rows: mx.array) -> None:
        self.rows = rows
        self.config = SimpleNamespace(n_logits=len(rows))

    def logits(self, hidden: mx.array, rows: slice = slice(None)) -> mx.array:
        return hidden @ self.rows[rows].T

    def head_rows(self, ids: mx.array) -> mx.array:
        return self.rows[ids]


def scored(dtype: mx.Dtype, logits: list[list[float]], draft: list[int] | None = None) -> list[tuple[int, float]]:
    """What `best_rows` returns where the float32 logits are these: hidden states select columns of the head."""
    head = Head(mx.array(logits).T.astype(dtype))
    tokens = as_tokens(best_rows(head, mx.eye(len(logits)).astype(dtype), draft or ()))  # type: ignore[arg-type]
    return [(token.id, token.margin) for token in tokens]


def test_a_margin_in_half_precision_is_finer_than_the_step_of_its_logits() -> None:
    """Two logits that are one number in bfloat16, as sums of four columns: their float32 difference is the margin."""
    rows = mx.array([[20.0, 0.0625, 0, 0], [20.0, 0, 0, 0], [3.0, 0, 0, 0]]).astype(mx.bfloat16)
    for order, best in (([0, 1, 2], 0), ([1, 0, 2], 1)):
        (token,) = as_tokens(best_rows(Head(rows[mx.array(order)]), mx.ones((1, 4), mx.bfloat16)))  # type: ignore[arg-type]
        assert (token.id, token.margin) == (best, 0.0625)


@pytest.mark.parametrize(("dtype", "step"), [(mx.bfloat16, 0.125), (mx.float16, 2**-6)])
def test_a_tie_within_one_step_keeps_the_old_token(dtype: mx.Dtype, step: float) -> None:
    ties, leads = [20.0, 20.0 + step, 3.0], [20.0, 20.0 + 2 * step, 3.0]
    assert scored(dtype, [ties, leads, ties]) == [(1, step), (1, 2 * step), (1, step)]
    assert scored(dtype, [ties, leads, ties], [0, 0]) == [(0, 0), (1, 2 * step), (1, step)]
    assert scored(dtype, [ties, ties], [1]) == [(1, step), (1, step)]
    assert scored(dtype, [ties], [2]) == [(1, step)]


def test_in_float32_the_best_token_is_taken_however_small_its_lead() -> None:
    assert scored(mx.float32, [[20.0, 20.000002, 3.0]] * 2, [0])[0] == (1, pytest.approx(2e-6, rel=0.1))


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16])
def test_numbers_that_are_not_finite_are_an_error_and_not_a_text(dtype: mx.Dtype) -> None:
    with pytest.raises(ModelError, match="not finite.*--dtype bfloat16"):
        scored(dtype, [[1.0, float("nan"), 3.0]])
    with pytest.raises(ModelError, match="not finite"):
        scored(dtype, [[float("inf"), float("inf"), 3.0]])


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_what_is_equal_or_no_number_in_different_blocks_is_found_as_in_one(
    dtype: mx.Dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = np.zeros((5, 2000), np.float32)
    two = [(600, 8, 1900, 8), (1900, 9, 1200, 8), (3, 8, 4, 8), (5, 8, 1999, 7), (1800, 8, 1801, 6)]
    for row, (best, most, second, less) in zip(logits, two, strict=True):
        row[best], row[second] = most, less
    found = [scored(dtype, logits.tolist(), [1900, 7])]
    monkeypatch.setattr(generate, "BLOCK_BYTES", 1)
    found.append(scored(dtype, logits.tolist(), [1900, 7]))
    kept = 600 if dtype == mx.float32 else 1900
    assert found[0] == found[1] == [(kept, 0), (1900, 1), (3, 0), (5, 1), (1800, 2)]
    for place in (5, 1999):
        logits[3, place] = np.nan
        with pytest.raises(ModelError, match="not finite"):
            scored(dtype, logits.tolist())
