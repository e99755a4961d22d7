"""The probabilities of a known text are those of passes over all that comes before each token, with any cache."""

import numpy as np
import pytest

from livecap.model.backend import mx
from livecap.model.logprobs import token_logprobs
from livecap.model.text.prompt import Prompt
from tests.model.small_models import small_model

pytestmark = pytest.mark.usefixtures("arithmetic")
KEYS = (3, 1, 4, 1, 5, 9, 2, 6)


@pytest.mark.parametrize("held", [0, 2, 5, 7])
def test_each_probability_is_that_after_all_tokens_before(held: int) -> None:
    model, first = small_model(), 4
    wanted = []
    for at in range(first, len(KEYS)):
        hidden = model(model.embed(mx.array(list(KEYS[:at])))[None], model.new_cache())[0, -1]
        logits = np.array(model.logits(hidden), np.float64)
        wanted.append(logits[KEYS[at]] - np.log(np.exp(logits).sum()))
    cache = model.new_cache()
    other = (*KEYS[:held], 7)  # what the cache holds beyond is of another text
    mx.eval(model(model.embed(mx.array(list(other)))[None], cache))
    cache.keys.extend(other)
    found = token_logprobs(model, cache, Prompt(KEYS, mx.zeros((0, 16))), first)
    assert found == pytest.approx(wanted, abs=1e-4)
    assert list(cache.keys) == list(KEYS[:-1])
