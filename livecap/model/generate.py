"""Prompt to text, greedily: fill the cache with what it does not hold yet, then one token after another.

    prefill         prompt ─▶ what the cache holds of it stays ─▶ the rest, in slices ─▶ last logits
    verify          the same for a prompt that ends in a draft ─▶ the part of it that greedy decoding would say, logits
    generate_step   logits ─▶ tokens, up to the end of the text or a budget
    generate_drafted   the same, with what is left of the draft as guesses: fewer passes, the same text

The cache is the only state, and its keys are true whenever these functions are not running: after a generator
that was closed early, too.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from livecap.model.backend import mx, number, on_cpu, start
from livecap.model.cache import PromptCache
from livecap.model.network import Network
from livecap.model.text.prompt import Prompt

MOST_GUESSED = 8
"""Tokens offered behind a new one: at the 0.6B's size eight verified together cost as much as one and a half."""
GUESS_REACH = 6
"""How far on in the draft a new token is looked for."""
PREFILL_SLICE = 512
"""Positions of one pass through the decoder: bounds the memory of attention scores."""


@dataclass(frozen=True, slots=True)
class GeneratedToken:
    """One token, and how sure the model was."""

    id: int
    margin: float
    """How far its logit lies above the second best."""


def prefill(model: Network, cache: PromptCache, prompt: Prompt, n_last: int = 1) -> mx.array:
    """Logits [n_last, vocab] of the prompt's last positions; the cache holds the whole prompt afterwards.

    Positions that the cache holds under the prompt's keys are kept, all others are computed. The last
    `n_last` are always computed, since their logits are wanted. Row i predicts the token after position
    len(keys) - n_last + i.
    """
    n = len(prompt.keys)
    assert 1 <= n_last <= n, (n_last, n)
    done = min(cache.common_prefix(prompt.keys), n - n_last)
    cache.trim_to(done)
    while n - done > max(PREFILL_SLICE, n_last):
        stop = done + min(PREFILL_SLICE, n - done - n_last)
        _extend(model, cache, prompt, done, stop, 1)
        mx.eval(cache.arrays())  # waits: the next slice would only make the graph, and its memory, larger
        done = stop
    return model.logits(_extend(model, cache, prompt, done, n, n_last)[0])


def verify(model: Network, cache: PromptCache, prompt: Prompt, n_draft: int) -> tuple[list[GeneratedToken], mx.array]:
    """The first tokens of a draft that greedy decoding would have said, and the logits [n, vocab] behind them.

    The prompt's last `n_draft` keys are the draft: what an earlier decode said here. One pass replaces as many passes
    as tokens are accepted, and the text is the same: the logits behind the accepted tokens predict what comes next. The
    cache holds the prompt without the part of the draft that was not accepted.
    """
    logits = prefill(model, cache, prompt, n_draft + 1)
    return _accept(cache, logits, [key for key in prompt.keys[len(prompt.keys) - n_draft :] if isinstance(key, int)])


def generate_drafted(
    model: Network, cache: PromptCache, logits: mx.array, rest: Sequence[int], max_tokens: int
) -> Generator[tuple[GeneratedToken, bool], None, None]:
    """What `generate_step` yields, each with True where it was guessed and cost no pass of its own.

    Args:
        rest: the draft from where greedy decoding first said otherwise. A difference is often one word: what followed
            it in the draft is offered again behind the new word.
    """
    eos_ids = model.config.eos_token_ids
    rest = list(rest)
    n = 0
    while rest and n < max_tokens and (token := _token(_best(logits[-1]))).id not in eos_ids:
        rest = _behind(token.id, rest)
        guess = rest[: min(MOST_GUESSED, max_tokens - n - 1)]
        hidden = model(model.embed(mx.array([token.id, *guess]))[None], cache)
        cache.keys.extend([token.id, *guess])
        accepted, logits = _accept(cache, model.logits(hidden[0]), guess)
        yield token, False
        for guessed in accepted:
            yield guessed, True
        n += 1 + len(accepted)
        rest = rest[len(accepted) :]
    with closing(generate_step(model, cache, logits, max_tokens - n)) as tokens:
        for token in tokens:
            yield token, False


def _behind(token: int, rest: Sequence[int]) -> list[int]:
    """What of the draft may follow `token`, where the draft says rest[0] in its place.

    If the draft has the token a little later, words between were dropped; else one stands for another.
    """
    near = list(rest[:GUESS_REACH])
    return list(rest[near.index(token) + 1 :] if token in near else rest[1:])


def _accept(cache: PromptCache, logits: mx.array, draft: Sequence[int]) -> tuple[list[GeneratedToken], mx.array]:
    """The first tokens of `draft`, which ends what `cache` holds, that logits [len(draft) + 1, vocab] agree with.

    Returns:
        Those tokens, and the logits up to the row behind them. The cache forgets the others.
    """
    if not draft:
        return [], logits
    ids, margins = (np.array(column) for column in _best_rows(logits[:-1]))  # waits: the host compares
    n = 0
    while n < len(draft) and ids[n] == draft[n]:
        n += 1
    cache.trim_to(len(cache.keys) - len(draft) + n)
    accepted = [GeneratedToken(int(ids[i]), float(margins[i])) for i in range(n)]
    return accepted, logits[: n + 1]


def generate_step(
    model: Network, cache: PromptCache, logits: mx.array, max_tokens: int, lookahead: bool = not on_cpu
) -> Generator[GeneratedToken, None, None]:
    """Greedy tokens after the positions in `cache`; `logits` [n_last, vocab] has those of the last one last.

    Ends after an end-of-text id, which is yielded too so that the caller can tell it from a spent budget, or
    after `max_tokens`. **The cache already holds the token you were just given**, except for an end-of-text
    id, which it never holds. The next step is under way on MLX's stream before this one is handed over; close
    the generator whenever you like.

    Args:
        lookahead: start the next step before this token is even known to the host. Hides the host's work on a
            GPU, for one step in vain after the end of the text; on the CPU that costs more than it hides.
    """
    eos_ids = model.config.eos_token_ids
    scored = _best(logits[-1])
    start(*scored)
    try:
        for _ in range(max_tokens):
            if not lookahead and int(number(scored[0])) in eos_ids:
                yield _token(scored)
                return
            hidden = model(model.embed(scored[0].reshape(1))[None], cache)
            following = _best(model.logits(hidden[0, -1]))
            start(*following)
            token = _token(scored)
            if token.id in eos_ids:
                cache.trim_layers()
                yield token
                return
            cache.keys.append(token.id)
            yield token
            scored = following
    finally:
        cache.trim_layers()


def _extend(model: Network, cache: PromptCache, prompt: Prompt, start: int, stop: int, n_last: int) -> mx.array:
    """Hidden states [1, n_last, hidden] of the last of the prompt's positions; the cache holds them all afterwards."""
    hidden = model(prompt.embeddings(model, start, stop), cache, n_last)
    cache.keys.extend(prompt.keys[start:stop])
    return hidden


def _best(logits: mx.array) -> tuple[mx.array, mx.array]:
    """Id and margin of the best of logits [vocab], as arrays of one value."""
    token, margin = _best_rows(logits[None])
    return token[0], margin[0]


def _best_rows(logits: mx.array) -> tuple[mx.array, mx.array]:
    """Ids and margins of the best of each row of logits [n, vocab], each [n]."""
    logits = logits.astype(mx.float32)
    token = mx.argmax(logits, axis=-1)
    others = mx.where(mx.arange(logits.shape[-1]) == token[:, None], -mx.inf, logits)
    return token, logits.max(axis=-1) - others.max(axis=-1)


def _token(scored: tuple[mx.array, mx.array]) -> GeneratedToken:
    token, margin = scored
    return GeneratedToken(int(number(token)), number(margin))
