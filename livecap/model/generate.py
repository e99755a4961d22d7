"""Greedy decoding: fill the cache with the part of the prompt that it lacks, then generate token by token.

    prefill            prompt ─▶ logits of its last positions; positions in the cache are not computed again
    verify             the same for a prompt that ends in a draft ─▶ the accepted part of the draft, logits after it
    generate_step      logits ─▶ tokens, up to the end of the text or a budget
    generate_drafted   the same, with the rest of the draft as guesses: the same text in fewer passes

The cache is the only state. Its keys match its layers whenever none of these functions is running, even after a
generator was closed early.
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
"""Tokens guessed after a new one. At the 0.6B's size, eight verified together cost as much as one and a half passes."""
GUESS_REACH = 6
"""How far ahead in the draft a new token is looked for."""
PREFILL_SLICE = 512
"""Positions in one decoder pass. Bounds the memory of attention scores."""


@dataclass(frozen=True, slots=True)
class GeneratedToken:
    """One token, and how sure the model was of it."""

    id: int
    margin: float
    """The lead of its logit over the second best."""


def prefill(model: Network, cache: PromptCache, prompt: Prompt, n_last: int = 1) -> mx.array:
    """Logits [n_last, vocab] of the last positions of the prompt; the cache holds the whole prompt afterwards.

    Positions that the cache already holds under the prompt's keys are kept. The others and the last `n_last`, whose
    logits are needed, are computed. Row i predicts the token after position len(keys) - n_last + i.
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
    return model.logits(_extend(model, cache, prompt, done, n, n_last)[0])


def verify(model: Network, cache: PromptCache, prompt: Prompt, n_draft: int) -> tuple[list[GeneratedToken], mx.array]:
    """The accepted part of a draft, which greedy decoding would generate too, and the logits [n, vocab] after it.

    The last `n_draft` keys of the prompt are the draft: what an earlier decode generated there. One pass replaces one
    per accepted token, and the text is the same. The cache holds the prompt without the rejected tokens afterwards.
    """
    logits = prefill(model, cache, prompt, n_draft + 1)
    return _accept(cache, logits, [key for key in prompt.keys[len(prompt.keys) - n_draft :] if isinstance(key, int)])


def generate_drafted(
    model: Network, cache: PromptCache, logits: mx.array, rest: Sequence[int], max_tokens: int
) -> Generator[tuple[GeneratedToken, bool], None, None]:
    """The tokens of `generate_step`, each with True if it was guessed and needed no pass of its own.

    Args:
        rest: the draft from the first rejected token on. Often a single word differs, so what follows it in the draft
            is offered again after the new word.
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
    """The part of the draft that may follow `token`, which was generated instead of rest[0].

    If the draft has the token a little later, the words before it were dropped; otherwise one word replaced another.
    """
    near = list(rest[:GUESS_REACH])
    return list(rest[near.index(token) + 1 :] if token in near else rest[1:])


def _accept(cache: PromptCache, logits: mx.array, draft: Sequence[int]) -> tuple[list[GeneratedToken], mx.array]:
    """Compare logits [len(draft) + 1, vocab] with `draft`, which is at the end of `cache`.

    Returns:
        The first tokens of `draft` that the logits agree with, and the logits up to the row after them. The cache
        forgets the other tokens.
    """
    if not draft:
        return [], logits
    ids, margins = (np.array(column) for column in _best_rows(logits[:-1]))  # waits, since the host compares
    n = 0
    while n < len(draft) and ids[n] == draft[n]:
        n += 1
    cache.trim_to(len(cache.keys) - len(draft) + n)
    accepted = [GeneratedToken(int(ids[i]), float(margins[i])) for i in range(n)]
    return accepted, logits[: n + 1]


def generate_step(
    model: Network, cache: PromptCache, logits: mx.array, max_tokens: int, lookahead: bool = not on_cpu
) -> Generator[GeneratedToken, None, None]:
    """Greedy tokens after the positions in `cache`; the last row of `logits` [n_last, vocab] predicts the first one.

    Ends after an end-of-text id or after `max_tokens`. The end-of-text id is yielded too, so that the caller can tell
    the two apart. **The cache already holds the token that was just yielded**, except for an end-of-text id, which it
    never holds. The next step may already be running on MLX's stream. The generator can be closed at any time.

    Args:
        lookahead: start the next step before the host knows this token. On a GPU this hides the work of the host, at
            the cost of one useless step after the end of the text. On the CPU it costs more than it hides.
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
    """Hidden states [1, n_last, hidden] of the last of positions [start, stop), which are added to the cache."""
    hidden = model(prompt.embeddings(model, start, stop), cache, n_last)
    cache.keys.extend(prompt.keys[start:stop])
    return hidden


def _best(logits: mx.array) -> tuple[mx.array, mx.array]:
    """Id and margin of the best of logits [vocab], as arrays with one value."""
    token, margin = _best_rows(logits[None])
    return token[0], margin[0]


def _best_rows(logits: mx.array) -> tuple[mx.array, mx.array]:
    """Ids [n] and margins [n] of the best of each row of logits [n, vocab]."""
    logits = logits.astype(mx.float32)
    token = mx.argmax(logits, axis=-1)
    others = mx.where(mx.arange(logits.shape[-1]) == token[:, None], -mx.inf, logits)
    return token, logits.max(axis=-1) - others.max(axis=-1)


def _token(scored: tuple[mx.array, mx.array]) -> GeneratedToken:
    token, margin = scored
    return GeneratedToken(int(number(token)), number(margin))
