"""EncoderWindows: sound to audio embeddings, finished work once, the tail again.

    samples ─▶ log-mel frames ─▶ conv chunks of 1 s ─▶ encoder windows of 8 s ─▶ embeddings, each with a name

A frame is final once 200 samples follow its centre; a conv chunk once its 100 frames are; a window once its 8 chunks
are: attention never leaves it. One thing reaches across: the mel's floor is the loudest frame in the prompt minus 8. A
chunk that lies above the floor does not feel it; one that is clipped by it carries the floor in its name, so when the
floor moves its name changes and only that is made again. Equal names mean equal embeddings, so no floats are compared.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from livecap.model.audio_encoder import AudioEncoder
from livecap.model.backend import mx
from livecap.model.mel import HOP_LENGTH, MEL_DYNAMIC_RANGE, N_FFT, clamp_and_scale, log_mel_slice

CHUNK_FRAMES = 100
"""A conv chunk: 2 x n_window of every released model."""
REACH_SAMPLES = N_FFT // 2
"""A frame hears this far to both sides of its centre."""
CONTEXT_FRAMES = 2
"""Frames of known sound that new frames hear: they cover `REACH_SAMPLES`."""
MIN_SAMPLES = 1600
"""Shorter sound is followed by silence up to this: the front end needs 201 samples."""


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """What a prompt says about sound."""

    names: list[Hashable]
    """One for each embedding; equal names, equal embeddings."""
    embeddings: mx.array
    """[n, output_dim]"""
    mel_seconds: float = 0.0
    """Of the time it took, what the log-mel frames did."""


class EncoderWindows:
    """The sound of one prompt and what is known of it. Samples are counted on the session's clock."""

    def __init__(
        self,
        encoder: AudioEncoder,
        start_sample: int,
        reuse: bool = True,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._encoder = encoder
        self._reuse = reuse
        self._clock = clock
        self._window_frames = encoder.window_frames
        self._chunks_per_window = self._window_frames // CHUNK_FRAMES
        self._samples: NDArray[np.float32] = np.zeros(0, np.float32)
        self._frames: NDArray[np.float32] = np.zeros((0, 128), np.float32)
        """[n_final, 128] log-mel, not yet clamped."""
        self._chunks: dict[Hashable, mx.array] = {}
        self._windows: dict[Hashable, mx.array] = {}
        self.start_sample = start_sample
        self.n_encoded_chunks = 0
        """Conv chunks made so far, finished or not: what the caches save is seen here."""

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self._samples)

    def append(self, samples: NDArray[np.float32]) -> None:
        """Sound that follows `end_sample`."""
        self._samples = np.concatenate([self._samples, samples])

    def encode(self, pad_samples: int = 0) -> EncodedAudio:
        """All sound in the prompt, followed by `pad_samples` of silence, as named embeddings."""
        n_heard = self.end_sample - self.start_sample
        pad_samples = max(pad_samples, MIN_SAMPLES - n_heard)
        start = self._clock()
        frames, n_final = self._log_mel(n_heard, pad_samples)
        mel_seconds = self._clock() - start
        floor = float(frames.max()) - MEL_DYNAMIC_RANGE
        n_chunks = n_final // CHUNK_FRAMES
        n_windows = n_chunks // self._chunks_per_window
        chunk_names = self._name_chunks(frames, n_chunks, floor)
        conv = self._conv(frames, chunk_names, floor)
        encoded = self._encode_windows(conv, chunk_names, n_windows, (self.end_sample, pad_samples, floor))
        return replace(encoded, mel_seconds=mel_seconds)

    def _log_mel(self, n_heard: int, pad_samples: int) -> tuple[NDArray[np.float32], int]:
        """All frames [n, 128] of the sound and its padding, and how many of them will never change."""
        sound = self._samples
        if pad_samples > 0:
            sound = np.concatenate([sound, np.zeros(pad_samples, np.float32)])
        n_frames = (n_heard + pad_samples) // HOP_LENGTH
        n_final = max(0, (n_heard - REACH_SAMPLES) // HOP_LENGTH + 1) if n_heard >= REACH_SAMPLES else 0
        n_final = min(n_final, n_frames)
        n_known = len(self._frames) if self._reuse else 0
        if n_known >= n_frames:
            return self._frames[:n_frames], n_final
        first = max(0, n_known - CONTEXT_FRAMES)
        # What follows the last wanted frame is heard too, so that only the true end of the sound is reflected.
        heard = sound[first * HOP_LENGTH :]
        fresh = np.array(log_mel_slice(heard, n_known - first, n_frames - first))
        frames = np.concatenate([self._frames[:n_known], fresh]) if n_known else fresh
        self._frames = frames[:n_final]
        return frames, n_final

    def _name_chunks(self, frames: NDArray[np.float32], n_chunks: int, floor: float) -> list[Hashable]:
        lowest = frames[: n_chunks * CHUNK_FRAMES].reshape(n_chunks, -1).min(axis=1) if n_chunks else np.zeros(0)
        chunk_samples = CHUNK_FRAMES * HOP_LENGTH
        return [(self.start_sample + i * chunk_samples, floor if low < floor else None) for i, low in enumerate(lowest)]

    def _conv(self, frames: NDArray[np.float32], names: list[Hashable], floor: float) -> list[mx.array]:
        """Tokens of each conv chunk, the tail's last: those without a cached result, and the tail, in one call."""
        known = self._chunks if self._reuse else {}
        missing = [i for i, name in enumerate(names) if name not in known]
        n_tail = len(frames) - len(names) * CHUNK_FRAMES
        pieces = [frames[i * CHUNK_FRAMES : (i + 1) * CHUNK_FRAMES] for i in missing]
        if n_tail:
            pieces.append(frames[len(names) * CHUNK_FRAMES :])
        made: list[mx.array] = []
        if pieces:
            mel = clamp_and_scale(mx.array(np.concatenate(pieces)), floor + MEL_DYNAMIC_RANGE)
            tokens = self._encoder.conv_tokens(mel, pad_tail=len(names) > 0 or n_tail > CHUNK_FRAMES)
            per_chunk = self._encoder.tokens_per_chunk
            cuts = [per_chunk * (i + 1) for i in range(len(missing))]
            made = _split(tokens, cuts)
            self.n_encoded_chunks += len(pieces)
        fresh = dict(zip([names[i] for i in missing], made, strict=False))
        self._chunks = {name: known[name] if name in known else fresh[name] for name in names}
        tail = [made[len(missing)]] if n_tail else []
        return [*self._chunks.values(), *tail]

    def _encode_windows(
        self, conv: list[mx.array], chunk_names: list[Hashable], n_windows: int, tail_name: Hashable
    ) -> EncodedAudio:
        known = self._windows if self._reuse else {}
        k = self._chunks_per_window
        window_names: list[Hashable] = [tuple(chunk_names[i * k : (i + 1) * k]) for i in range(n_windows)]
        missing = [i for i, name in enumerate(window_names) if name not in known]
        pieces = [token for i in missing for token in conv[i * k : (i + 1) * k]] + conv[n_windows * k :]
        tokens_per_window = k * self._encoder.tokens_per_chunk
        made: list[mx.array] = []
        n_tail = 0
        if pieces:
            out = self._encoder.windows(mx.concatenate(pieces, axis=0))
            cuts = [tokens_per_window * (i + 1) for i in range(len(missing))]
            made = _split(out, cuts)
            n_tail = out.shape[0] - tokens_per_window * len(missing)
        fresh = dict(zip([window_names[i] for i in missing], made, strict=False))
        self._windows = {name: known[name] if name in known else fresh[name] for name in window_names}
        names: list[Hashable] = [(name, i) for name in window_names for i in range(tokens_per_window)]
        names += [(tail_name, tuple(chunk_names[n_windows * k :]), i) for i in range(n_tail)]
        parts = [*self._windows.values(), *([made[len(missing)]] if n_tail else [])]
        embeddings = mx.concatenate(parts, axis=0)
        # A door: what is cached must not keep the graph of this step alive.
        mx.eval(embeddings, *self._chunks.values(), *self._windows.values())
        return EncodedAudio(names, embeddings)


def _split(x: mx.array, cuts: list[int]) -> list[mx.array]:
    """`x` cut before these rows."""
    return [x[start:stop] for start, stop in zip([0, *cuts], [*cuts, x.shape[0]], strict=True)]
