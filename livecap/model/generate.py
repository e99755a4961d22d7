"""Prompt to text, greedily: fill the cache with what it does not hold yet, then one token after another.

    prefill         prompt ─▶ what the cache holds of it stays ─▶ the rest, in slices ─▶ last logits
    generate_step   logits ─▶ token ids, up to the end of the text or a budget

The cache is the only state, and its keys are true whenever these functions are not running: after a generator
that was closed early, too.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from livecap.model.backend import mx, number, on_cpu, start
from livecap.model.cache import PromptCache
from livecap.model.prompt import Prompt
from livecap.model.qwen3_asr import Qwen3ASR

PREFILL_SLICE = 512
"""Positions of one pass through the decoder: bounds the memory of attention scores."""


@dataclass(frozen=True, slots=True)
class GeneratedToken:
    """One token, and how sure the model was."""

    id: int
    logprob: float
    """Natural logarithm of its probability."""
    margin: float
    """How far its logit lies above the second best."""


def prefill(model: Qwen3ASR, cache: PromptCache, prompt: Prompt, n_last: int = 1) -> mx.array:
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
        _extend(model, cache, prompt, done, stop)
        mx.eval(cache.arrays())  # waits: the next slice would only make the graph, and its memory, larger
        done = stop
    hidden = _extend(model, cache, prompt, done, n)
    return model.logits(hidden[0, -n_last:])


def generate_step(model: Qwen3ASR, cache: PromptCache, logits: mx.array, max_tokens: int) -> Generator[int, None, None]:
    """The ids of `generate_scored`, alone."""
    with closing(generate_scored(model, cache, logits, max_tokens)) as tokens:
        for token in tokens:
            yield token.id


def generate_scored(
    model: Qwen3ASR, cache: PromptCache, logits: mx.array, max_tokens: int, lookahead: bool = not on_cpu
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


def _extend(model: Qwen3ASR, cache: PromptCache, prompt: Prompt, start: int, stop: int) -> mx.array:
    """Hidden states [1, stop - start, hidden] of the prompt's positions, which the cache holds afterwards."""
    hidden = model(prompt.embeddings(model, start, stop), cache)
    cache.keys.extend(prompt.keys[start:stop])
    return hidden


def _best(logits: mx.array) -> tuple[mx.array, mx.array, mx.array]:
    """Id, log probability and margin of the best of logits [vocab], as arrays of one value."""
    logits = logits.astype(mx.float32)
    token = mx.argmax(logits)
    best = logits.max()
    others = mx.where(mx.arange(logits.shape[0]) == token, -mx.inf, logits)
    return token, best - mx.logsumexp(logits), best - others.max()


def _token(scored: tuple[mx.array, mx.array, mx.array]) -> GeneratedToken:
    token, logprob, margin = scored
    return GeneratedToken(int(number(token)), number(logprob), number(margin))
