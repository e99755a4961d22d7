"""How probable a model finds the tokens of a text that is known, in one more pass over it."""

import numpy as np
from numpy.typing import NDArray

from livecap.model.backend import mx
from livecap.model.cache import PromptCache
from livecap.model.network import Network
from livecap.model.text.prompt import Prompt


def token_logprobs(network: Network, cache: PromptCache, prompt: Prompt, first: int) -> NDArray[np.float32]:
    """[n] natural logarithms of the probabilities of the tokens from position `first` to the end of the prompt.

    Each is that of the token after all tokens before it. Positions that `cache` holds before them are not computed
    again.
    """
    ids = mx.array(list(prompt.keys[first:]))
    cache.trim_to(min(cache.common_prefix(prompt.keys), first - 1))
    held, end = len(cache.keys), len(prompt.keys) - 1
    hidden = network(prompt.embeddings(network, held, end), cache, len(ids))[0]
    cache.keys.extend(prompt.keys[held:end])
    logits = network.logits(hidden).astype(mx.float32)
    chosen = mx.take_along_axis(logits, ids[:, None], axis=-1)[:, 0]
    return np.array(chosen - mx.logsumexp(logits, axis=-1))
