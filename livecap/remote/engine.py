"""RemoteEngine: a server in the place of a model. The rest of the stream is the usual one: when to decode, what is
stable, where utterances end.

A server that is away costs no sound. A decode waits for the server, and the sound of the session waits on the disk, as
it does for a slow model.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecap.engine import EngineSettings, OnNotice
from livecap.errors import ModelError
from livecap.remote.recogniser import RemoteRecogniser
from livecap.remote.server import RemoteServer, ServerTrouble
from livecap.remote.words import RemoteWords
from livecap.stream.settling import Settling
from livecap.stream.transcriber import StreamingTranscriber
from livecap.text.languages import LANGUAGE_CODES
from livecap.transcript import SAMPLE_RATE

LEAST_CHUNK_SECONDS, FIRST_CHUNK_SECONDS = 1.0, 0.6
"""Replace the shortest chunks of `ChunkConfig`: each step sends up to 30 s of sound."""
PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses between attempts; the last one repeats."""
POLL_SECONDS = 0.2
"""How soon the end of the session is noticed in a pause."""
ENDING_SECONDS = 10.0
"""How long a session that ends goes on to call a server that is away."""
RECORDED_SECONDS = 120.0
"""How long a session of a recording does, which can be started again."""
MOST_REFUSALS = 3
"""Sound that was refused so often stays without text, if the server has taken other sound since the last time."""


class RemoteEngine:
    """A server that recognises. Used on one thread, as `Engine`."""

    facts: Mapping[str, Any] = {}
    memory: Mapping[str, int] = {}

    def __init__(
        self,
        server: RemoteServer,
        settings: EngineSettings,
        on_notice: OnNotice,
        *,
        live: bool = True,
        is_ending: Callable[[], bool] = lambda: False,
        wait: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            settings: `model` is a name that the server knows.
            live: the sound cannot be heard again; the server is waited for as long as the session goes on.
            is_ending: the session ends; asked while the server is away.
        """
        self.settings = settings
        self._server = server
        self._on_notice = on_notice
        self._live = live
        self._is_ending = is_ending
        self._wait = wait
        self._now = now
        self._words = RemoteWords()
        self._is_away = False
        """The last request failed."""
        self._takes_sound = False
        """It has answered since it refused sound for the last time."""
        self._refused: NDArray[np.float32] | None = None
        """The first second of that sound."""

    def warm_up(self) -> None:
        """Say that sound leaves this machine."""
        self._on_notice(
            f"The sound of speech goes to {self._server.host} and is transcribed there, by {self.settings.model}."
        )

    def transcriber(self, track: str = "", on_notice: OnNotice | None = None) -> StreamingTranscriber:
        """As `Engine.transcriber`. Each utterance is sent without those before it: less sound leaves this machine, and
        less text has to be found again in the answers."""
        stream, settings = self.settings.stream, self.settings
        shortest = {"least_chunk_seconds": LEAST_CHUNK_SECONDS, "first_chunk_seconds": FIRST_CHUNK_SECONDS}
        alone = {"restart_seconds": 0.0, "settled_prompt_seconds": 0.0}
        stream = replace(stream, chunk=replace(stream.chunk, **shortest), prompt=replace(stream.prompt, **alone))
        again = RemoteRecogniser(self.hear_again, self._words, settles=True)
        return StreamingTranscriber(
            self.recogniser(),
            self._words,
            stream,
            track=track,
            language=settings.language,
            settling=Settling(again, stream) if settings.settle else None,
            on_notice=on_notice,
        )

    def recogniser(self) -> RemoteRecogniser:
        """As `Engine.recogniser`: each decode is one request."""
        return RemoteRecogniser(self.hear, self._words)

    @property
    def tokenizer(self) -> RemoteWords:
        """What the ids of its texts mean."""
        return self._words

    def change(self, settings: EngineSettings, on_notice: OnNotice | None = None) -> None:
        """Use another language or other names to expect from now on."""
        self.settings = settings

    def hear(self, samples: NDArray[np.float32]) -> str | None:
        """The text of sound [n], however long the server is away; None where it refuses the sound.

        Raises:
            ModelError: it stays away, and the session cannot wait.
        """
        n_failed, n_refused, since = 0, 0, self._now()
        ends_since: float | None = None
        while True:
            try:
                text = self._text_of(samples)
            except ServerTrouble as trouble:
                n_failed += 1
                n_refused += trouble.refuses
                if trouble.refuses and self._goes_on(samples):
                    return None
                if n_refused >= MOST_REFUSALS and self._takes_sound:
                    self._takes_sound, self._refused = False, samples[:SAMPLE_RATE].copy()
                    self._on_notice(f"{self._server.host} {trouble}. Some seconds of sound may stay without text.")
                    return None
                if n_failed == 2:
                    self._on_notice(f"{self._server.host} {trouble}. Sound waits until it transcribes again.")
                if ends_since is None and self._is_ending():
                    ends_since = self._now()
                self._check_patience(trouble, since, ends_since)
                self._pause(trouble.retry_seconds or PAUSES_SECONDS[min(n_failed, len(PAUSES_SECONDS)) - 1])
            else:
                if n_failed >= 2:
                    self._on_notice(f"{self._server.host} transcribes again. The sound that waited is transcribed now.")
                return text

    def hear_again(self, samples: NDArray[np.float32]) -> str | None:
        """The text of sound [n] that has a text already; None while the server is away."""
        if self._is_away:
            return None
        try:
            return self._text_of(samples)
        except ServerTrouble:
            return None

    def close(self) -> None:
        """End the connection."""
        self._server.close()

    def _text_of(self, samples: NDArray[np.float32]) -> str:
        settings = self.settings
        fields = {"model": str(settings.model)}
        if settings.language:
            fields["language"] = LANGUAGE_CODES.get(settings.language, settings.language)
        if settings.context:
            fields["prompt"] = settings.context
        self._is_away = True
        text = self._server.transcribe(samples, fields)
        self._is_away, self._takes_sound = False, True
        return text

    def _goes_on(self, samples: NDArray[np.float32]) -> bool:
        """True for the sound that was refused for the last time, and for more of the same utterance."""
        return self._refused is not None and np.array_equal(samples[: len(self._refused)], self._refused)

    def _check_patience(self, trouble: ServerTrouble, since: float, ends_since: float | None) -> None:
        """Raise ModelError once the server was waited for long enough."""
        now = self._now()
        if not self._live and now - since >= RECORDED_SECONDS:
            raise ModelError(f"{self._server.host} {trouble}. Start the server, and then this session again.")
        if ends_since is not None and now - ends_since >= ENDING_SECONDS:
            kept = "It is kept for 7 days: livecap recover transcribes it." if self._live else ""
            raise ModelError(f"{self._server.host} {trouble}. The last sound has no text. {kept}".rstrip())

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt; a second at most once the session ends."""
        until = self._now() + seconds
        if self._is_ending():
            until = min(until, self._now() + 1.0)
        while self._now() < until:
            was_ending = self._is_ending()
            self._wait(min(POLL_SECONDS, max(until - self._now(), 0.0)))
            if self._is_ending() and not was_ending:
                return
