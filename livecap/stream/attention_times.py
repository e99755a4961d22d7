"""When a text was said, as one attention head of the recogniser tells: before it writes a word, it looks at its start.

A text decoder that copies speech has heads that follow the sound. Which one, and how far it lags behind the starts of
words, is found once for each model, with a short recording whose words are known. Then the times of any text cost one
more pass over it, without its sound, through the layers up to that head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecap.model.backend import mx
from livecap.model.cache import PromptCache
from livecap.model.checkpoint.load import LoadedModel
from livecap.model.config import AudioConfig
from livecap.model.mel import HOP_LENGTH
from livecap.model.network import Network
from livecap.model.text.prompt import Prompt
from livecap.stream.windows import EncoderWindows
from livecap.transcript import SAMPLE_RATE

NEAR = 1
"""Audio embeddings on each side of the strongest one that its place is averaged over."""
MOST_SPREAD = SAMPLE_RATE // 10
"""A head follows the words if half of their starts lie within this of where it says."""
LEAST_WEIGHT = 0.3
"""The least attention, on average, at the places found in a text: below it, the head does not follow this text."""
_FAINT = 1e-6

Positions = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Follower:
    """The head that follows the words."""

    layer: int
    head: int
    lag: float
    """How far it looks behind the start of a word, in samples."""
    spread: float
    """The median distance from the starts of the known words after that, in samples."""


def follower_of(loaded: LoadedModel, sound: NDArray[np.float32], words: Sequence[tuple[str, int]]) -> Follower | None:
    """The head of a recogniser that follows the words; None if no head follows them closely enough.

    Args:
        sound: [n] float32 at 16 kHz, a few seconds of clear English.
        words: the words that are said in it, each with the sample at which it starts.
    """
    network, tokenizer = loaded.model, loaded.tokenizer
    windows = EncoderWindows(network, 0)
    windows.append(sound)
    audio = windows.encode(windows.log_mel())
    pieces = [tokenizer.encode(f" {word}" if i else word) for i, (word, _) in enumerate(words)]
    text = [token_id for piece in pieces for token_id in piece]
    prompt = Prompt.build(tokenizer, audio.names, audio.embeddings, "", "English", text)
    firsts = np.cumsum([0, *(len(piece) for piece in pieces[:-1])])
    starts = np.array([start for _, start in words], np.float64)
    found = best_follower(network, prompt, len(prompt.keys) - len(text), firsts, starts)
    return found if found.spread <= MOST_SPREAD else None


def best_follower(
    network: Network, prompt: Prompt, first: int, firsts: NDArray[np.int64], starts: Positions
) -> Follower:
    """The head that follows the words best in a prompt that ends in a known text.

    Args:
        first: the position of the text's first token.
        firsts: for each word, which of the text's tokens begins it.
        starts: for each word, the sample of the sound at which it starts.
    """
    layers = range(network.config.text.num_hidden_layers)
    sound, places = _sound_of(network, prompt)
    best: Follower | None = None
    for layer, weights in enumerate(_attention(network, network.new_cache(), prompt, first, layers)):
        for head, row in enumerate(weights[:, firsts, sound]):
            distances = _around(row, row.argmax(axis=1), places) - starts
            lag = float(np.median(distances))
            spread = float(np.median(np.abs(distances - lag)))
            if best is None or spread < best.spread:
                best = Follower(layer, head, lag, spread)
    assert best is not None
    return best


def token_starts(
    network: Network, cache: PromptCache, prompt: Prompt, first: int, follower: Follower, after: float = 0.0
) -> Positions | None:
    """Where each token of a text starts, and where what follows the text would: samples of the prompt's sound.

    Never decreases. Positions that `cache` holds are not computed again. None if the head does not follow this text.

    Args:
        first: the position of the text's first token; it goes on to the end of the prompt.
        after: the text was said after this sample.
    """
    (weights,) = _attention(network, cache, prompt, first, [follower.layer])
    sound, places = _sound_of(network, prompt)
    heard = np.flatnonzero(places >= after - SAMPLE_RATE // 10)
    if not len(heard):
        return None
    rows, places = weights[follower.head][:, sound][:, heard], places[heard]
    path = _rising_path(rows)
    if rows[np.arange(len(path)), path].mean() < LEAST_WEIGHT:
        return None
    return np.maximum.accumulate(np.maximum(_around(rows, path, places) - follower.lag, after))


def _attention(
    network: Network, cache: PromptCache, prompt: Prompt, first: int, layers: Sequence[int]
) -> list[NDArray[np.float32]]:
    """Attention [n_heads, n, S] of these layers where each token of the text and what follows it are predicted."""
    start = first - 1
    cache.trim_to(min(cache.common_prefix(prompt.keys), start))
    if len(cache.keys) < start:
        held = len(cache.keys)
        network(prompt.embeddings(network, held, start), cache, 1)
        cache.keys.extend(prompt.keys[held:start])
    weights = network.attention(prompt.embeddings(network, start, len(prompt.keys)), cache, layers)
    found = [np.array(layer.astype(mx.float32)) for layer in weights]
    cache.trim_layers()
    return found


def _sound_of(network: Network, prompt: Prompt) -> tuple[slice, Positions]:
    """The positions of the audio embeddings in the prompt, and the sample in the middle of each one's sound."""
    start = next(i for i, key in enumerate(prompt.keys) if not isinstance(key, int))
    n = prompt.audio_embeddings.shape[0]
    return slice(start, start + n), _places_of(n, network.config.audio)


def _places_of(n: int, sizes: AudioConfig) -> Positions:
    """The sample in the middle of what each of the first `n` audio embeddings hears first."""
    block, step = np.divmod(np.arange(n), sizes.conv_tokens)
    frames_per_step = 8  # three convolutions of stride 2
    places: Positions = (block * sizes.conv_frames + step * frames_per_step) * float(HOP_LENGTH)
    return places


def _around(rows: NDArray[np.float32], at: NDArray[np.int64], places: Positions) -> Positions:
    """For each row of attention, the mean place of the embeddings beside column `at`, by their weight."""
    columns = at[:, None] + np.arange(-NEAR, NEAR + 1)
    inside = (columns >= 0) & (columns < len(places))
    columns = columns.clip(0, len(places) - 1)
    weights = np.where(inside, np.take_along_axis(rows, columns, axis=1) + _FAINT, 0)
    means: Positions = (weights * places[columns]).sum(axis=1) / weights.sum(axis=1)
    return means


def _rising_path(rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """A column for each row, never falling, so that the product of the attention there is the greatest."""
    scores = np.log(rows + _FAINT)
    columns, came_from = np.arange(rows.shape[1]), np.zeros(rows.shape, np.int64)
    total = scores[0]
    for i in range(1, len(rows)):
        best = np.maximum.accumulate(total)
        came_from[i] = np.maximum.accumulate(np.where(total == best, columns, 0))
        total = scores[i] + best
    path = np.empty(len(rows), np.int64)
    path[-1] = total.argmax()
    for i in range(len(rows) - 1, 0, -1):
        path[i - 1] = came_from[i, path[i]]
    return path
