"""Recogniser: from the sound of one prompt and a prefix of text to token ids. `StreamingTranscriber` is built on it.

The transcriber knows only positions in sound and token ids, so a scripted oracle can replace the model.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from livecap.model.checkpoint.load import LoadedModel
from livecap.model.generate import GeneratedToken, generate_drafted, verify
from livecap.model.text.prompt import Prompt
from livecap.stream.attention_times import Follower, token_starts
from livecap.stream.config import StreamConfig
from livecap.stream.statistics import StageSeconds
from livecap.stream.windows import EncodedAudio, EncoderWindows


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text that the model says follows the prefix."""

    tokens: list[GeneratedToken]
    """The text after the prefix, without the header and the end of text. Empty for an answer without `<asr_text>`,
    which is not text."""
    header: tuple[int, ...]
    """`language X<asr_text>` as ids, given or generated. Empty if the language is forced or the model named none."""
    complete: bool
    """The model ended its text; False if the token budget did."""
    n_accepted: int = 0
    """Tokens of the draft that the model repeated."""
    n_passes: int = 0
    """Sequential decoder passes after the prefill."""
    seconds: StageSeconds = StageSeconds()
    """Time by stage."""

    @property
    def ids(self) -> list[int]:
        """The ids of `tokens`."""
        return [token.id for token in self.tokens]


class Recogniser(Protocol):
    """Decodes one prompt at a time. All calls come from one thread."""

    @property
    def start_sample(self) -> int:
        """Where the sound of the prompt begins."""

    @property
    def end_sample(self) -> int:
        """Where the sound of the prompt ends so far."""

    def begin(self, start_sample: int) -> None:
        """Start a new prompt whose sound begins here, and forget the old one."""

    def append(self, samples: NDArray[np.float32]) -> None:
        """Add sound that follows `end_sample`: [n] float32."""

    def decode(
        self,
        header: Sequence[int],
        prefix: Sequence[int],
        draft: Sequence[int],
        max_tokens: int,
        pad_samples: int = 0,
    ) -> Decoded:
        """The text of all sound in the prompt that follows `header` and `prefix`.

        Args:
            header: as an earlier decode returned it. Forced before a prefix; without a prefix it is part of the draft.
            prefix: text that is forced.
            draft: what an earlier decode returned after the prefix. Changes the time it takes, not the text;
                in half precision it also decides ties (`generate.best_rows`).
            max_tokens: the most text tokens to return.
            pad_samples: length of the silence after the sound.
        """

    def starts_of(
        self, header: Sequence[int], prefix: Sequence[int], ids: Sequence[int], pad_samples: int, after_sample: int
    ) -> NDArray[np.int64] | None:
        """Where the sound of each of `ids` starts, and where that of what follows them would: samples of the session.

        None where the model cannot tell. The values never decrease.

        Args:
            header, prefix, pad_samples: those of the decode before this call.
            ids: the text after the prefix, decoded or not.
            after_sample: the text was said after this.
        """

    def close(self) -> None:
        """Release all sound. Called last."""


class ModelRecogniser:
    """Recogniser that runs the model; decodes greedily. Lives on the thread that loaded the model."""

    def __init__(
        self,
        loaded: LoadedModel,
        context: str,
        language: str | None,
        config: StreamConfig,
        now: Callable[[], float] = time.perf_counter,
        follower: Callable[[], Follower | None] = lambda: None,
    ) -> None:
        """
        Args:
            context: names and words to expect; plain text in the system turn of the prompt.
            language: the full name of a forced language, or None to let the model name it.
            follower: returns the attention head that follows the words, for `starts_of`.
            now: the time in seconds, for the measurement of stages.
        """
        self._model = loaded.model
        self._most_guessed = loaded.most_guessed
        self._tokenizer = loaded.tokenizer
        self._eos_ids = loaded.config.eos_token_ids
        self._context = context
        self._language = language
        self._config = config
        self._now = now
        self._follower = follower
        self._cache = loaded.model.new_cache()
        self._windows: EncoderWindows | None = None
        self._audio: EncodedAudio | None = None
        """What the last decode heard."""

    def begin(self, start_sample: int) -> None:
        """See `Recogniser`."""
        self._windows = EncoderWindows(self._model, start_sample, self._config.reuse.reuse_encoder)
        self._audio = None

    def append(self, samples: NDArray[np.float32]) -> None:
        """See `Recogniser`."""
        self._open.append(samples)

    def close(self) -> None:
        """See `Recogniser`."""
        self._windows = self._audio = None

    @property
    def start_sample(self) -> int:
        return self._open.start_sample

    @property
    def end_sample(self) -> int:
        return self._open.end_sample

    def decode(
        self,
        header: Sequence[int],
        prefix: Sequence[int],
        draft: Sequence[int],
        max_tokens: int,
        pad_samples: int = 0,
    ) -> Decoded:
        """See `Recogniser`."""
        now = self._now
        start = now()
        mel = self._open.log_mel(pad_samples)
        heard = now()
        audio = self._audio = self._open.encode(mel)
        encoded = now()
        forced = self._language is not None
        header = () if forced else tuple(header)
        given = [*header, *prefix] if prefix else []
        draft = list(draft) if prefix or forced else [*header, *draft]
        if not self._config.reuse.verify_draft:
            draft = []
        names, embeddings = audio.names, audio.embeddings
        prompt = Prompt.build(self._tokenizer, names, embeddings, self._context, self._language, [*given, *draft])
        if not self._config.reuse.reuse_kv:
            self._cache.trim_to(0)
        said, following = verify(self._model, self._cache, prompt, len(draft))
        prefilled = now()
        rest = draft[len(said) :]
        n_passes, complete = 0, False
        budget = max_tokens + (0 if given or forced else HEADER_TOKENS)
        left = max(1, budget - len(said))
        for token, guessed in generate_drafted(self._model, self._cache, following, rest, left, self._most_guessed):
            if token.id in self._eos_ids:
                complete = True
                break
            n_passes += not guessed
            said.append(token)
        ids = [token.id for token in said]
        asr_text_id = self._tokenizer.asr_text_id
        n_header = text_start(ids, asr_text_id, bool(given or forced))
        if not given and not forced:
            header = tuple(ids[: ids.index(asr_text_id) + 1]) if asr_text_id in ids else ()
        n_accepted = len(said) - n_passes
        end = now()
        return Decoded(
            tokens=said[n_header:],
            header=header,
            complete=complete,
            n_accepted=n_accepted,
            n_passes=n_passes,
            seconds=StageSeconds(
                mel=heard - start,
                encoder=encoded - heard,
                prefill=prefilled - encoded,
                generate=end - prefilled,
            ),
        )

    def starts_of(
        self, header: Sequence[int], prefix: Sequence[int], ids: Sequence[int], pad_samples: int, after_sample: int
    ) -> NDArray[np.int64] | None:
        """See `Recogniser`."""
        follower = self._follower()
        if follower is None or not ids or self._audio is None:
            return None
        names, embeddings = self._audio.names, self._audio.embeddings
        header = () if self._language is not None else tuple(header)
        given = [*header, *prefix, *ids]
        prompt = Prompt.build(self._tokenizer, names, embeddings, self._context, self._language, given)
        first = len(prompt.keys) - len(ids)
        starts = token_starts(self._model, self._cache, prompt, first, follower, after_sample - self.start_sample)
        return None if starts is None else self.start_sample + np.rint(starts).astype(np.int64)

    @property
    def _open(self) -> EncoderWindows:
        assert self._windows is not None, "begin() comes first"
        return self._windows


def text_start(ids: Sequence[int], asr_text_id: int, header_is_given: bool) -> int:
    """Where the text begins in the ids of an answer: after the last `<asr_text>`. An answer that should begin with a
    header and has none is protocol without an end: it has no text."""
    marks = [n + 1 for n, token_id in enumerate(ids) if token_id == asr_text_id]
    return marks[-1] if marks else 0 if header_is_given else len(ids)


HEADER_TOKENS = 16
"""The longest `language X<asr_text>`, in tokens of a small vocabulary."""
