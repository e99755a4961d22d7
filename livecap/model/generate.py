"""Greedy decoding: fill the cache with the part of the prompt that it lacks, then generate token by token.

    prefill            prompt ─▶ hidden states of its last positions; positions in the cache are not computed again
    verify             the same for a prompt that ends in a draft ─▶ the accepted part of the draft, the token after it
    generate_step      that token ─▶ more tokens, up to the end of the text or a budget
    generate_drafted   the same, with the rest of the draft as guesses: fewer passes; in float32 the same text

The host waits once for all that `verify` tells, once a round of guesses, and once a token.

The cache is the only state. Its keys match its layers whenever none of these functions is running, even after a
generator was closed early.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from livecap.errors import ModelError
from livecap.model.backend import mx, on_cpu, start
from livecap.model.cache import PromptCache
from livecap.model.network import Network
from livecap.model.text.prompt import Prompt

BLOCK_BYTES = 3_000_000
"""Logits that are in memory at once, except for a single row."""
BLOCK_MULTIPLE = 512
"""Tokens in a block of the vocabulary are a multiple of this, as in the blocks of NumPy's products: equal sums."""
GUESS_REACH = 6
"""How far ahead in the draft a new token is looked for."""
NOT_FINITE = (
    "The model computed numbers that are not finite: its weights are damaged, or too large for float16. "
    "If it runs in float16, try --dtype bfloat16; otherwise download the model again."
)
PREFILL_SLICE = 512
"""Positions in one decoder pass. Bounds the memory of attention scores."""

_TwoLargest = tuple[mx.array, mx.array, mx.array, mx.array]
"""For each row of a matrix [n, m]: places of the largest and second largest number, and these numbers; [n, 1] each."""


@dataclass(frozen=True, slots=True)
class GeneratedToken:
    """One token, and how sure the model was of it."""

    id: int
    margin: float
    """The lead of its logit over the second best."""


def prefill(model: Network, cache: PromptCache, prompt: Prompt, n_last: int = 1) -> mx.array:
    """Hidden states [n_last, hidden] of the last positions of the prompt; the cache holds the whole prompt afterwards.

    Positions that the cache already holds under the prompt's keys are kept. The others and the last `n_last`, whose
    results are needed, are computed. Row i predicts the token after position len(keys) - n_last + i.
    """
    n = len(prompt.keys)
    assert 1 <= n_last <= n, (n_last, n)
    done = min(cache.common_prefix(prompt.keys), n - n_last)
    cache.trim_to(done)
    while n - done > max(PREFILL_SLICE, n_last):
        stop = done + min(PREFILL_SLICE, n - done - n_last)
        _extend(model, cache, prompt, done, stop, 1)
        mx.eval(cache.arrays())  # waits; otherwise the next slice would make the graph and its memory larger
        done = stop
    return _extend(model, cache, prompt, done, n, n_last)[0]


def verify(
    model: Network, cache: PromptCache, prompt: Prompt, n_draft: int
) -> tuple[list[GeneratedToken], GeneratedToken]:
    """The accepted part of a draft, which greedy decoding would generate too, and the token after it.

    The last `n_draft` keys of the prompt are the draft: what an earlier decode generated there. One pass replaces one
    per accepted token. In float32 the text is the same; in half precision a token of the draft also stays where it ties
    with the best one (`best_rows`). The cache holds the prompt without the rejected tokens afterwards.
    """
    hidden = prefill(model, cache, prompt, n_draft + 1)
    return _accept(
        model, cache, hidden, [key for key in prompt.keys[len(prompt.keys) - n_draft :] if isinstance(key, int)]
    )


def generate_drafted(
    model: Network,
    cache: PromptCache,
    token: GeneratedToken,
    rest: Sequence[int],
    max_tokens: int,
    most_guessed: int = 8,
) -> Generator[tuple[GeneratedToken, bool], None, None]:
    """The tokens of `generate_step`, each with True if it was guessed and needed no pass of its own.

    Args:
        rest: the draft from the first rejected token on. Often a single word differs, so what follows it in the draft
            is offered again after the new word.
        most_guessed: tokens of it that are guessed after a new one (`chip.Chip.most_guessed`).
    """
    eos_ids = model.config.eos_token_ids
    rest = list(rest)
    n = 0
    while rest and n < max_tokens and token.id not in eos_ids:
        rest = _behind(token.id, rest)
        guess = rest[: min(most_guessed, max_tokens - n - 1)]
        hidden = model(model.embed(mx.array([token.id, *guess]))[None], cache)
        cache.keys.extend([token.id, *guess])
        accepted, following = _accept(model, cache, hidden[0], guess)
        yield token, False
        for guessed in accepted:
            yield guessed, True
        n += 1 + len(accepted)
        rest = rest[len(accepted) :]
        token = following
    with closing(generate_step(model, cache, token, max_tokens - n)) as tokens:
        for token in tokens:
            yield token, False


def _behind(token: int, rest: Sequence[int]) -> list[int]:
    """The part of the draft that may follow `token`, which was generated instead of rest[0].

    If the draft has the token a little later, the words before it were dropped; otherwise one word replaced another.
    """
    near = list(rest[:GUESS_REACH])
    return list(rest[near.index(token) + 1 :] if token in near else rest[1:])


def _accept(
    model: Network, cache: PromptCache, hidden: mx.array, draft: Sequence[int]
) -> tuple[list[GeneratedToken], GeneratedToken]:
    """Compare what hidden states [len(draft) + 1, hidden] predict with `draft`, which is at the end of `cache`.

    Returns:
        The first tokens of `draft` that they agree with, and the token after those. The cache forgets the others.
    """
    tokens = as_tokens(best_rows(model, hidden, draft))
    n = 0
    while n < len(draft) and tokens[n].id == draft[n]:
        n += 1
    cache.trim_to(len(cache.keys) - len(draft) + n)
    return tokens[:n], tokens[n]


def generate_step(
    model: Network, cache: PromptCache, token: GeneratedToken, max_tokens: int, ahead: bool = not on_cpu
) -> Generator[GeneratedToken, None, None]:
    """`token` and the greedy tokens after it, which follow the positions in `cache`.

    Ends after an end-of-text id or after `max_tokens`. The end-of-text id is yielded too, so that the caller can tell
    the two apart. **The cache already holds the token that was just yielded**, except for an end-of-text id, which it
    never holds. The next pass may already be running on MLX's stream. The generator can be closed at any time.

    Args:
        ahead: describe the next pass to MLX while the GPU computes this one, and start it once the host knows that the
            text goes on: the host's work is hidden, and no pass is computed in vain. NumPy computes what is described,
            so there the next pass is described when its turn comes.
    """
    eos_ids = model.config.eos_token_ids
    storage: list[list[mx.array]] | None = None
    try:
        following = None
        for n in range(max_tokens):
            if token.id in eos_ids:
                yield token
                return
            scored = following or _pass(model, cache, mx.array([token.id]))
            storage = following = None  # released, so that the pass writes into the storage in place
            start(*scored)
            if ahead and n + 1 < max_tokens:
                storage = cache.storage()
                following = _pass(model, cache, scored[0])
            cache.keys.append(token.id)
            yield token
            (token,) = as_tokens(scored)
    finally:
        if storage is not None:
            cache.put_back(storage)
        cache.trim_layers()


def _pass(model: Network, cache: PromptCache, ids: mx.array) -> tuple[mx.array, mx.array]:
    """The best token after one more token, ids [1], as `best_rows` returns it; not started."""
    return best_rows(model, model(model.embed(ids)[None], cache)[0])


def _extend(model: Network, cache: PromptCache, prompt: Prompt, start: int, stop: int, n_last: int) -> mx.array:
    """Hidden states [1, n_last, hidden] of the last of positions [start, stop), which are added to the cache."""
    hidden = model(prompt.embeddings(model, start, stop), cache, n_last)
    cache.keys.extend(prompt.keys[start:stop])
    return hidden


def best_rows(model: Network, hidden: mx.array, draft: Sequence[int] = ()) -> tuple[mx.array, mx.array]:
    """Ids [n] and margins [n] of the best token after each of hidden [n, hidden].

    Logits in half precision are multiples of a step, up to 0.25 for the values of the released models. So there the two
    best are compared by their difference in float32, and a token of the draft stays where it is at most one step
    behind: kernels that add in another order would otherwise make text at a tie change back and forth.

    Args:
        draft: the tokens that are expected after the first of `hidden`.
    """
    best, second, top, next_top = _two_best(model, hidden)
    if top.dtype == mx.float32:
        return best[:, 0], (top - next_top)[:, 0]
    ids = mx.concatenate([best, second], axis=-1)
    if draft:
        old = mx.concatenate([mx.array(list(draft), ids.dtype), best[len(draft) :, 0]])
        ids = mx.concatenate([ids, old[:, None]], axis=-1)
    exact = (model.head_rows(ids).astype(mx.float32) @ hidden.astype(mx.float32)[:, :, None])[:, :, 0]
    lead = exact[:, 0] - exact[:, 1]
    token, margin = mx.where(lead < 0, ids[:, 1], ids[:, 0]), mx.abs(lead)
    if draft:
        highest = mx.maximum(exact[:, 0], exact[:, 1])
        ties = (old != token) & (highest - exact[:, 2] <= mx.finfo(top.dtype).eps * mx.abs(highest))
        ties &= mx.arange(len(hidden)) < len(draft)
        token, margin = mx.where(ties, old, token), mx.where(ties, 0, margin)
    return token, margin


def _two_best(model: Network, hidden: mx.array) -> _TwoLargest:
    """The two best logits after each of hidden [n, hidden].

    The logits of a long draft would take a hundred megabytes. So the vocabulary is read in blocks, each of which is
    freed before the next one is computed, or on a GPU once its kernels have run.
    """
    n_rows, n_logits = hidden.shape[0], model.config.n_logits
    size = max(1, BLOCK_BYTES // (n_rows * hidden.dtype.size * BLOCK_MULTIPLE)) * BLOCK_MULTIPLE
    if size >= n_logits:
        return _two_largest(model.logits(hidden))
    blocks = []
    for first in range(0, n_logits, size):
        best, second, top, next_top = _two_largest(model.logits(hidden, slice(first, first + size)))
        blocks.append((best + first, second + first, top, next_top))
        (mx.eval if on_cpu else start)(*blocks[-1])
    ids, logits = (mx.concatenate([each for block in blocks for each in block[i : i + 2]], axis=-1) for i in (0, 2))
    best, second, top, next_top = _two_largest(logits)
    return mx.take_along_axis(ids, best, axis=-1), mx.take_along_axis(ids, second, axis=-1), top, next_top


def _two_largest(x: mx.array) -> _TwoLargest:
    """Find the two largest numbers of each row. The first of equal ones is the larger. A NaN is one of the two."""
    best = mx.argmax(x, axis=-1, keepdims=True)
    others = mx.put_along_axis(x, best, mx.array(-mx.inf, x.dtype), axis=-1)
    second = mx.argmax(others, axis=-1, keepdims=True)
    return best, second, mx.take_along_axis(x, best, axis=-1), others.max(axis=-1, keepdims=True)


def as_tokens(scored: tuple[mx.array, mx.array]) -> list[GeneratedToken]:
    """The tokens that `best_rows` describes; waits until they are computed.

    Raises:
        ModelError: the network computed numbers that are not finite.
    """
    mx.eval(*scored)  # waits, once for both
    ids, margins = (np.array(column) for column in scored)
    if not np.isfinite(margins).all():
        raise ModelError(NOT_FINITE)
    return [GeneratedToken(int(token), float(margin)) for token, margin in zip(ids, margins, strict=True)]
