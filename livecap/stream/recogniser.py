"""Recogniser: the sound of one prompt and a text prefix in, token ids out. The seam under `StreamingTranscriber`.

A scripted oracle or a remote engine can stand here: the transcriber above knows sound positions and token ids only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecap.model.backend import mx
from livecap.model.cache import PromptCache
from livecap.model.generate import generate_step, prefill
from livecap.model.load import LoadedModel
from livecap.model.prompt import Prompt
from livecap.stream.config import StreamConfig
from livecap.stream.windows import EncoderWindows


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the model says follows the prefix."""

    ids: list[int]
    """Text tokens after the prefix; header and end of text are not among them."""
    header: tuple[int, ...]
    """`language X<asr_text>` as ids, given or generated; empty where the language is forced or none was said."""
    complete: bool
    """The model ended its text; False: the token budget ended it."""


class Recogniser:
    """One model, one prompt at a time. Lives on the thread that loaded the model."""

    def __init__(self, loaded: LoadedModel, context: str, language: str | None, config: StreamConfig) -> None:
        """
        Args:
            context: names and words to expect; goes into the system turn as plain text.
            language: a full language name that is forced, or None to let the model say it.
        """
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        self._eos_ids = loaded.config.eos_token_ids
        self._context = context
        self._language = language
        self._config = config
        self._cache = PromptCache(len(loaded.model.model.layers))
        self._windows: EncoderWindows | None = None

    def begin(self, start_sample: int) -> None:
        """A new prompt whose sound begins here; what was known of the old one is forgotten."""
        self._windows = EncoderWindows(self._model.audio_tower, start_sample, self._config.reuse_encoder)
        mx.clear_cache()

    def append(self, samples: NDArray[np.float32]) -> None:
        """Sound that follows `end_sample`."""
        self._open.append(samples)

    def drop_before(self, sample: int) -> int:
        """All encoder windows that end at or before `sample` leave; returns where the prompt's sound begins now."""
        n = (sample - self.start_sample) // self._open.window_samples
        if n > 0:
            self._open.drop(n)
            mx.clear_cache()
        return self.start_sample

    def close(self) -> None:
        """This thread runs the model no more. A thread that ends with MLX streams of its own can abort the process."""
        self._windows = None
        mx.clear_streams()

    @property
    def start_sample(self) -> int:
        return self._open.start_sample

    @property
    def end_sample(self) -> int:
        return self._open.end_sample

    @property
    def window_samples(self) -> int:
        """Sound leaves in pieces of this length."""
        return self._open.window_samples

    def decode(self, header: Sequence[int], prefix: Sequence[int], max_tokens: int, pad_samples: int = 0) -> Decoded:
        """Greedy text for all sound in the prompt, after `header` and `prefix`.

        Args:
            header: what an earlier decode returned; needed where `prefix` is not empty and no language is forced.
            max_tokens: the most text tokens to generate.
            pad_samples: silence heard after the sound.
        """
        audio = self._open.encode(pad_samples)
        given = [*header, *prefix] if self._language is None else list(prefix)
        prompt = Prompt.build(self._tokenizer, audio.names, audio.embeddings, self._context, self._language, given)
        if not self._config.reuse_kv:
            self._cache.trim_to(0)
        logits = prefill(self._model, self._cache, prompt)
        budget = max_tokens if given or self._language is not None else max_tokens + HEADER_TOKENS
        ids: list[int] = []
        complete = False
        for token in generate_step(self._model, self._cache, logits, budget):
            if token in self._eos_ids:
                complete = True
                break
            ids.append(token)
        if self._language is not None or given:
            return Decoded(ids, tuple(header), complete)
        n_header = ids.index(self._tokenizer.asr_text_id) + 1 if self._tokenizer.asr_text_id in ids else 0
        return Decoded(ids[n_header:], tuple(ids[:n_header]), complete)

    @property
    def _open(self) -> EncoderWindows:
        assert self._windows is not None, "begin() comes first"
        return self._windows


HEADER_TOKENS = 16
"""The longest `language X<asr_text>`, in tokens of a small vocabulary."""
