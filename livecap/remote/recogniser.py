"""RemoteRecogniser: a `Recogniser` whose model runs on a server. Each decode sends the whole sound of the prompt.

The server cannot be told which words are said already, so its text is compared with them. It does not say how sure it
is, so every token has the same margin.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from livecap.model.generate import GeneratedToken
from livecap.model.text.tokenizer import ASR_TEXT
from livecap.remote.words import RemoteWords
from livecap.stream.recogniser import Decoded

Hear = Callable[[NDArray[np.float32]], str | None]
"""From sound [n] to its text; None where the server has none to give."""

LIVE_MARGIN = 1.0
"""Margin of live tokens: sure enough to be shown and to become stable as soon as a second step repeats them, and to
count in a short utterance, but not in sound in which the detector finds no speech."""
SETTLED_MARGIN = 1.5
"""Margin in the second pass. It heard the whole utterance, so its words replace the live ones where they differ."""


class RemoteRecogniser:
    """See `Recogniser`. Lives on the decode thread."""

    def __init__(self, hear: Hear, words: RemoteWords, settles: bool = False) -> None:
        """
        Args:
            settles: it is that of the second pass.
        """
        self._hear = hear
        self._words = words
        self._settles = settles
        self._start = 0
        self._sound: NDArray[np.float32] = np.zeros(0, np.float32)

    @property
    def start_sample(self) -> int:
        return self._start

    @property
    def end_sample(self) -> int:
        return self._start + len(self._sound)

    def begin(self, start_sample: int) -> None:
        """See `Recogniser`."""
        self._start, self._sound = start_sample, np.zeros(0, np.float32)

    def append(self, samples: NDArray[np.float32]) -> None:
        """See `Recogniser`."""
        self._sound = np.concatenate([self._sound, samples])

    def decode(
        self,
        header: Sequence[int],
        prefix: Sequence[int],
        draft: Sequence[int],
        max_tokens: int,
        pad_samples: int = 0,
    ) -> Decoded:
        """See `Recogniser`. Without an answer the draft is the text live, and there is none in the second pass."""
        text = self._hear(np.concatenate([self._sound, np.zeros(pad_samples, np.float32)]))
        if text is None:
            return Decoded(self._tokens(draft), tuple(header), complete=not self._settles)
        named, mark, said = text.rpartition(ASR_TEXT)  # some servers leave it in the text
        ids = self._words.after(prefix, self._words.encode(said))
        heading = (self._words.id_of(named + mark),) if mark else tuple(header)
        return Decoded(self._tokens(ids[:max_tokens]), heading, complete=len(ids) <= max_tokens)

    def starts_of(
        self, header: Sequence[int], prefix: Sequence[int], ids: Sequence[int], pad_samples: int, after_sample: int
    ) -> None:
        """See `Recogniser`. Servers of Qwen3-ASR give no times."""

    def close(self) -> None:
        """See `Recogniser`."""
        self._sound = np.zeros(0, np.float32)

    def _tokens(self, ids: Sequence[int]) -> list[GeneratedToken]:
        margin = SETTLED_MARGIN if self._settles else LIVE_MARGIN
        return [GeneratedToken(id, margin) for id in ids]
