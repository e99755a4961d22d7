"""How the next token is chosen: the best one by default; temperature, top-k, top-p and penalty do what they say."""

from collections import Counter

import numpy as np
import pytest

from livecap.model.rows import generate_rows
from livecap.model.sampling import Sampling
from tests.model.small_models import greedy, small_model
from tests.model.test_rows import prompts

pytestmark = pytest.mark.usefixtures("arithmetic")

LOGITS = np.array([0.0, 2.0, 1.9, -1.0, 1.0], np.float32)


def drawn(sampling: Sampling, n: int = 2000) -> Counter[int]:
    random = np.random.default_rng(5)
    return Counter(sampling.choose(LOGITS, [], random) for _ in range(n))


def test_temperature_zero_takes_the_best_token() -> None:
    assert drawn(Sampling(), n=20) == {1: 20} and Sampling().is_greedy


def test_temperature_draws_in_proportion_to_the_probabilities() -> None:
    shares = np.exp(LOGITS / 0.7) / np.exp(LOGITS / 0.7).sum()
    counts = drawn(Sampling(temperature=0.7), n=20_000)
    assert [counts[i] / 20_000 for i in range(5)] == pytest.approx(shares.tolist(), abs=0.02)


def test_top_k_leaves_the_k_best() -> None:
    assert drawn(Sampling(temperature=2.0, top_k=2)).keys() == {1, 2}
    assert drawn(Sampling(temperature=2.0, top_k=1)).keys() == {1}
    assert drawn(Sampling(temperature=2.0, top_k=99)).keys() == set(range(5))


def test_top_p_leaves_the_fewest_best_that_add_up_to_it() -> None:
    shares = np.sort(np.exp(LOGITS) / np.exp(LOGITS).sum())[::-1]
    just_two = float(shares[0] + shares[1] / 2)
    assert drawn(Sampling(temperature=1.0, top_p=just_two)).keys() == {1, 2}
    assert drawn(Sampling(temperature=1.0, top_p=1e-6)).keys() == {1}


def test_a_penalty_makes_what_was_said_less_likely_whatever_its_sign() -> None:
    assert Sampling(repetition_penalty=2.0).choose(LOGITS, [1], np.random.default_rng(0)) == 2
    negative = np.array([-1.0, -1.1], np.float32)
    assert Sampling(repetition_penalty=2.0).choose(negative, [0], np.random.default_rng(0)) == 1
    assert not Sampling(repetition_penalty=2.0).is_greedy


def test_a_seed_repeats_the_text_in_any_batch() -> None:
    model, sampling = small_model(2), Sampling(temperature=1.5, seed=7)
    some = prompts(model, 2, 4)
    together = generate_rows(model, some, [12] * 4, sampling, places=[5, 6, 7, 8])
    alone = [generate_rows(model, [some[n]], [12], sampling, places=[5 + n])[0] for n in range(4)]
    ids = [[token.id for token in text.tokens] for text in together]
    assert ids == [[token.id for token in text.tokens] for text in alone]
    other = generate_rows(model, some, [12] * 4, Sampling(temperature=1.5, seed=8), places=[5, 6, 7, 8])
    assert ids != [[token.id for token in text.tokens] for text in other]


def test_a_penalty_of_almost_one_gives_the_greedy_text() -> None:
    """The path that draws has the same logits as the greedy one."""
    model = small_model(4)
    some = prompts(model, 4, 3)
    texts = generate_rows(model, some, [15] * 3, Sampling(repetition_penalty=1.0 + 1e-12))
    for prompt, text in zip(some, texts, strict=True):
        cache = model.new_cache()
        ids = [token.id for token in greedy(model, cache, prompt, 15)]
        assert [token.id for token in text.tokens] == [i for i in ids if i not in model.config.eos_token_ids]
