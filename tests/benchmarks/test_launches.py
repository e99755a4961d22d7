"""What a step asks of a GPU stays within a budget, on a network with the layers of the released 0.6B."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.launches import (
    CountedOracle,
    Counts,
    deep_model,
    draft_bytes,
    figures_of,
    oracle_counts,
    piece_launches,
    step_counts,
)
from benchmarks.oracle import Faults
from benchmarks.scripted_speech import speak
from livecap.model.backend import mx
from livecap.model.checkpoint.load import load
from livecap.model.facts import launches_of
from livecap.model.text.prompt import Prompt
from livecap.stream.recogniser import Decoded

LAUNCHES = {"encoder": 225, "prefill": 455, "guesses": 455, "token": 450}
WAITS = {"encoder": 0, "prefill": 1, "guesses": 1, "token": 1}


def test_a_step_stays_within_its_budget_of_launches_and_waits() -> None:
    """575 launches a token and four waits a round of guesses is what an obvious implementation takes."""
    step = step_counts(deep_model(), seconds=3.0)
    assert all(step["calls"][kind] for kind in LAUNCHES)
    assert {kind: max(n, LAUNCHES[kind]) for kind, n in step["launches_a_call"].items()} == LAUNCHES
    assert step["waits_a_call"] == WAITS
    assert min(step["launches_a_call"].values()) > 200, "the launches are counted"


def test_a_token_of_three_pieces_takes_the_launches_of_one() -> None:
    network = deep_model()
    alone, together = (piece_launches(network, n, seconds=2.0) for n in (1, 3))
    assert alone["token"] == together["token"] and 200 < alone["token"] <= 470


@pytest.mark.parametrize(("n_parts", "launches"), [(1, 3), (3, 5)])
def test_views_cost_no_launch_and_a_concatenation_one_for_each_part(n_parts: int, launches: int) -> None:
    x = mx.ones((4, 6))
    mx.eval(x)
    whole = mx.concatenate([x[:, :3] for _ in range(n_parts)]) if n_parts > 1 else x[:, :3] + 1
    assert launches_of((whole.reshape(-1, 3, 1).swapaxes(0, 1) * 2).sum()) == launches


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_choosing_the_tokens_of_a_long_draft_takes_10_mb_at_most(dtype: mx.Dtype) -> None:
    """Whatever the size of the vocabulary. All logits of this draft and a copy of them are 16 MB, in float32 32."""
    assert draft_bytes(dtype, 80, 50_000) < 10_000_000


def test_the_oracle_computes_what_its_cache_lacks() -> None:
    """A position costs once where its window of sound has ended; the open window and what follows cost in each step."""
    tokenizer = load("tiny").tokenizer
    keys = Prompt.build(tokenizer, ["sound"], mx.zeros((1, 1))).keys
    n_before = keys.index("sound")
    n_after = len(keys) - n_before - 1
    counts = Counts()
    oracle = CountedOracle(speak(30, 1), tokenizer, Faults(), counts=counts)
    oracle.begin(0)

    def computed(seconds: int, header: Sequence[int] = (), draft: Sequence[int] = ()) -> tuple[int, Decoded]:
        before = counts.sizes["prefill"]
        oracle.append(np.zeros(seconds * 16_000 - oracle.end_sample, np.float32))
        decoded = oracle.decode(header, (), draft, 100)
        return counts.sizes["prefill"] - before, decoded

    n, decoded = computed(12)
    assert n == n_before + 104 + 4 * 13 + n_after and decoded.ids and decoded.n_passes == counts.calls["token"]
    assert computed(12, decoded.header, decoded.ids)[0] == 1 + len(decoded.header) + len(decoded.ids)
    assert computed(13)[0] == 5 * 13 + n_after and counts.calls["decode"] == counts.calls["prefill"] == 3


def test_the_errors_of_the_counted_text_stand_beside_its_counts() -> None:
    counts, seconds = oracle_counts(load("tiny").tokenizer, "2", range(1))
    figures = figures_of({"launches_a_call": Counter(), "waits_a_call": Counter()}, counts, seconds)
    assert counts.errors.n_words > 400 and figures["wer"] == round(counts.errors.wer, 4) < 0.1
