"""Qwen3-ForcedAligner: in which segment of time each word of a given text begins and ends.

    <|audio_start|>{audio embeddings}<|audio_end|>{word}<timestamp><timestamp>{word}<timestamp><timestamp>...

The network is a Qwen3-ASR with another head. One causal pass reads the whole prompt; the best class at a word's first
`<timestamp>` is the segment in which it starts, that at the second one the segment in which it ends.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from livecap.errors import ModelError
from livecap.model.backend import mx, number
from livecap.model.config import AlignerConfig
from livecap.model.generate import NOT_FINITE, PREFILL_SLICE
from livecap.model.mel import clamp_and_scale, log_mel_slice, n_mel_frames
from livecap.model.network import Network, convolve_mel, encode_windows
from livecap.model.text.prompt import Prompt
from livecap.model.text.tokenizer import Tokenizer


def segments_of(
    network: Network, tokenizer: Tokenizer, samples: NDArray[np.float32], words: Sequence[str]
) -> NDArray[np.int64]:
    """The segments [len(words), 2] in which each word starts and ends.

    Args:
        network: a forced aligner.
        samples: [n] float32 at 16 kHz, at least 201.
        words: without spaces and punctuation (livecap.align.units).
    """
    frames = log_mel_slice(samples, 0, n_mel_frames(len(samples)))
    mel = clamp_and_scale(frames, number(frames.max()))
    prompt = aligner_prompt(network, tokenizer, encode_windows(network, convolve_mel(network, mel)), words)
    return best_segments(network, prompt).reshape(-1, 2)


def aligner_prompt(network: Network, tokenizer: Tokenizer, audio_embeddings: mx.array, words: Sequence[str]) -> Prompt:
    """The prompt for words that were said in the sound of these embeddings [n_audio, hidden]."""
    pair = [aligner_config(network).timestamp_token_id] * 2
    audio = [("audio", i) for i in range(audio_embeddings.shape[0])]
    text = [token_id for word in words for token_id in (*tokenizer.encode(word), *pair)]
    start, end = tokenizer.token_id("<|audio_start|>"), tokenizer.token_id("<|audio_end|>")
    return Prompt((start, *audio, end, *text), audio_embeddings)


def best_segments(network: Network, prompt: Prompt) -> NDArray[np.int64]:
    """The most likely segment at each `<timestamp>` of the prompt, in order.

    Raises:
        ModelError: the network computed numbers that are not finite.
    """
    timestamp, cache = aligner_config(network).timestamp_token_id, network.new_cache()
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(prompt.keys), PREFILL_SLICE):
        keys = prompt.keys[start : start + PREFILL_SLICE]
        hidden = network(prompt.embeddings(network, start, start + len(keys)), cache)
        cache.keys.extend(keys)
        at = [i for i, key in enumerate(keys) if key == timestamp]
        if at:
            logits = network.logits(hidden[0, mx.array(at)])
            if not mx.isfinite(logits).all().item():
                raise ModelError(NOT_FINITE)
            found.append(np.array(mx.argmax(logits, axis=-1), dtype=np.int64))
        mx.eval(cache.arrays())  # waits; otherwise the next slice would make the graph and its memory larger
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def aligner_config(network: Network) -> AlignerConfig:
    """The configuration that only an aligner has. The network must be one."""
    assert network.config.aligner is not None, "a recogniser has no segments of time"
    return network.config.aligner
