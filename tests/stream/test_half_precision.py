"""In half precision, with rounding that depends on the number of rows as on a GPU, text is stable and as good."""

import pytest

from benchmarks.costs import beginning
from benchmarks.half_precision import DTYPES, RoundedProduct, live_text, rounded_as_on_a_gpu
from livecap.eval.reference import Reference, read_reference
from livecap.eval.wer import count_errors
from livecap.model.backend import mx
from livecap.model.checkpoint.load import load
from livecap.model.qwen3_asr import Qwen3ASR
from livecap.shipped import demo_recording


@pytest.fixture(scope="module")
def reference() -> Reference:
    return beginning(read_reference(demo_recording()), 8)


@pytest.fixture(scope="module")
def exact(reference: Reference) -> str:
    return live_text(load("tiny"), reference, "default")[0]


@pytest.mark.parametrize("name", DTYPES)
def test_stable_text_never_changes_and_has_no_more_errors_than_in_float32(
    name: str, reference: Reference, exact: str
) -> None:
    loaded = load("tiny", dtype=DTYPES[name])
    assert isinstance(loaded.model, Qwen3ASR) and loaded.dtype == DTYPES[name]
    with rounded_as_on_a_gpu(loaded.model):
        text, n_revisions = live_text(loaded, reference, "default")
    assert n_revisions == 0
    errors = count_errors(reference.text, text).word_errors
    assert errors <= count_errors(reference.text, exact).word_errors + 0.002 * len(reference.words)


def test_the_emulation_rounds_a_row_differently_alone_and_with_others() -> None:
    mx.random.seed(0)
    x, weight = (mx.random.normal((n, 1024)).astype(mx.bfloat16) for n in (200, 500))
    product = RoundedProduct(weight, None)
    together = product(x).astype(mx.float32)
    for n in (1, 8):
        alone = mx.concatenate([product(x[at : at + n]) for at in range(0, 200, n)]).astype(mx.float32)
        differences = mx.abs(alone - together)
        assert 0 < (differences > 0).sum().item() < 1000, "of 100,000 numbers"
        assert (differences <= mx.abs(together) * 2**-7 + 1e-4).all().item(), "by one step of bfloat16"
