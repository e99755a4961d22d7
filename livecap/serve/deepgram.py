"""Deepgram's live interface: /v1/listen over a WebSocket.

Stable text comes as results with `is_final`, text that may still change as interim results, and the end of an utterance
as `speech_final`. Source: deepgram-sdk 7.17.
"""

import hashlib
import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from starlette.websockets import WebSocket

from livecap.serve.live import LiveSocket, Mark, Told, ear_of, ending_after, seconds
from livecap.serve.requests import Refused, context_of, json_object
from livecap.serve.served_stream import Asked
from livecap.serve.worker import Worker
from livecap.text.languages import parse_language
from livecap.text.safety import json_text
from livecap.text.scripts import ATTACHED, CLOSING, LEADING, SPACELESS, begins_word
from livecap.transcript import TranscriptUpdate, Word

LEAST_SILENCE_MS, MOST_SILENCE_MS = 300, 10_000
"""Silence that may end an utterance. Deepgram allows less, at which sentences would be cut into pieces."""

MOST_SHOWN = 1000
"""Characters of a message that is sent back since it cannot be carried out."""
WORD = re.compile(rf"[{LEADING}]?[{SPACELESS}](?:[{ATTACHED}{CLOSING}]|[^\w\s])*|[^\s{SPACELESS}]+")
"""A word of a result; in a script without spaces, a character and what stays with it."""

TimedWord = tuple[str, int, int]
"""A word, its start and its end in samples."""


async def listen(client: WebSocket, worker: Worker) -> None:
    """One connection, from its first byte of sound to its last result."""
    await _Connection(client, worker).run()


class _Connection(LiveSocket):
    silent_seconds = 60.0
    """A client that sends nothing for this long, not even KeepAlive, is closed."""

    def __init__(self, client: WebSocket, worker: Worker) -> None:
        super().__init__(client, worker)
        query = client.query_params
        self._request_id = str(uuid.uuid4())
        self._interim = query.get("interim_results", "false").lower() == "true"
        self._vad_events = query.get("vad_events", "false").lower() == "true"
        self._utterance_end = "utterance_end_ms" in query
        self._ear = ear_of(query)
        self._model = worker.settings.model_name
        self._digest = hashlib.sha256()
        self._shown: dict[int, int] = {}
        """Utterance to how many characters of its stable text were sent as final."""
        self._sent_until = 0
        """Where the last final result ends, in samples."""
        self._last_word_end = 0
        """End of the last word that was sent as final, in samples."""
        self._is_finalizing = self._has_finalized = False
        """The results that come now are those of `Finalize`; one of them ended an utterance."""
        stream, endpointing = worker.settings.stream, query.get("endpointing", "")
        if endpointing.isascii() and endpointing.isdigit():
            silence = min(max(int(endpointing[:9]), LEAST_SILENCE_MS), MOST_SILENCE_MS)
            stream = ending_after(stream, silence / 1000)
        language = query.get("language", "")
        terms = [*query.getlist("keyterm"), *(word.partition(":")[0] for word in query.getlist("keywords"))]
        self._asked = Asked(
            None if language in ("", "multi") else parse_language(language), context_of(*terms), stream=stream
        )

    async def take(self, message: str | bytes) -> bool:
        if isinstance(message, bytes) and message:
            self._digest.update(message)
            self.sound.begin(self._asked)
            await self.sound.hear(self._ear, message)
            return True
        # An empty message is an old way to say CloseStream.
        try:
            request = json_object(message) if isinstance(message, str) else {"type": "CloseStream"}
        except Refused as error:
            await self._tell_unread(str(error), message)
            return True
        match request.get("type"):
            case "KeepAlive":
                pass
            case "Finalize":
                self.sound.end_utterance(self._ear)
            case "Configure":
                await self._configure(request)
            case "CloseStream":
                self.sound.finish(self._ear)
                return False
            case _:
                await self._tell_unread("The type must be KeepAlive, Finalize, Configure or CloseStream.", message)
        return True

    async def _tell_unread(self, why: str, message: str | bytes) -> None:
        """Answer a message that cannot be carried out; the connection goes on."""
        shown = str(message)[:MOST_SHOWN]
        await self.send({"type": "Error", "variant": "SchemaError", "description": why, "message": shown})

    async def _configure(self, request: dict[str, Any]) -> None:
        terms = request.get("keyterms")
        if not (terms is None or isinstance(terms, list) and all(isinstance(term, str) for term in terms)):
            await self._tell_unread("keyterms must be a list of texts.", json_text(request))
            return
        features = request.get("features") or {}
        if not isinstance(features, dict) or any(features.values()):
            failure = {"type": "ConfigureFailure", "request_id": self._request_id, "code": "CONFIGURE_INTERNAL_ERROR"}
            await self.send(failure | {"description": "Of features none can be switched on here."})
            return
        answer: dict[str, Any] = {"type": "ConfigureSuccess", "request_id": self._request_id}
        if terms is not None:
            self._asked = replace(self._asked, context=context_of(*terms))
            self.sound.change(self._asked, self._ear)
            answer["keyterms"] = terms
        await self.send(answer)

    async def end(self) -> None:
        await self.send(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self._request_id,
                "sha256": self._digest.hexdigest(),
                "created": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "duration": seconds(self.sound.n_samples),
                "channels": 1,
            }
        )
        await super().end()

    async def tell(self, told: Told) -> None:
        if isinstance(told, TranscriptUpdate):
            await self._tell(told)
        elif told is Mark.FLUSH:
            self._is_finalizing, self._has_finalized = True, False
        elif told is Mark.FLUSHED:
            if not self._has_finalized:  # everything was final before, but the client waits for an answer
                await self._send_final("", [])
            self._is_finalizing = False

    async def _tell(self, update: TranscriptUpdate) -> None:
        is_new = update.utterance not in self._shown
        if is_new and self._vad_events:
            await self.send({"type": "SpeechStarted", "channel": [0], "timestamp": seconds(update.start_sample)})
        if is_new:
            self._sent_until = max(self._sent_until, update.start_sample)
        known = self._shown.setdefault(update.utterance, 0)
        whole = len(update.stable) if update.final else _end_of_whole_words(update)
        text, rest = update.stable[known:whole].strip(), update.text[max(known, whole) :].strip()
        timed = self._timed(update, known)
        n_final = len(timed) if update.final else len(WORD.findall(text))
        if text or update.final:
            self._shown[update.utterance] = whole
            await self._send_final(text, timed[:n_final], update.end_sample if update.final else None)
            self._has_finalized = self._has_finalized or update.final
        if rest and self._interim:
            await self.send(self._result(rest, timed[n_final:], update.end_sample, is_final=False))
        if update.final:
            del self._shown[update.utterance]
            if self._utterance_end:
                end = seconds(self._last_word_end)
                await self.send({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": end})

    async def _send_final(self, text: str, timed: Sequence[TimedWord], end_sample: int | None = None) -> None:
        """Send text that will not change.

        Args:
            end_sample: where the utterance ends with it; None while it goes on.
        """
        result = self._result(text, timed, end_sample or 0, is_final=True)
        result |= {"speech_final": end_sample is not None, "from_finalize": self._is_finalizing}
        if timed:
            self._last_word_end = timed[-1][2]
        self._sent_until = max(self._sent_until, self._last_word_end, end_sample or 0)
        await self.send(result)

    def _timed(self, update: TranscriptUpdate, known: int) -> list[TimedWord]:
        """The words behind the first `known` characters, in order, none before a word that was sent as final. The end
        of an utterance knows their times; before, they share the time evenly."""
        text = update.text[known:]
        timed = _last_words(text, update.words)
        if timed is None:
            words = WORD.findall(text)
            start = max(self._last_word_end, update.start_sample)
            length = max(0, update.end_sample - start)
            places = [start + length * number // len(words) for number in range(len(words) + 1)] if words else []
            timed = [(word, *place) for word, place in zip(words, pairwise(places), strict=True)]
        earliest, latest = self._last_word_end, max(self._last_word_end, update.end_sample)
        for number, (word, first, last) in enumerate(timed):
            first = min(max(first, earliest), latest)
            earliest = min(max(first, last), latest)
            timed[number] = word, first, earliest
        return timed

    def _result(self, text: str, timed: Sequence[TimedWord], end_sample: int, is_final: bool) -> dict[str, Any]:
        """A message with text and its words.

        Args:
            end_sample: where its sound ends, if not with its words.
        """
        start = timed[0][1] if timed else self._sent_until
        end = max(timed[-1][2] if timed else start, end_sample)
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "start": seconds(start),
            "duration": seconds(end - start),
            "is_final": is_final,
            "speech_final": False,
            "from_finalize": False,
            "channel": {
                "alternatives": [
                    {
                        "transcript": text,
                        "confidence": 1.0 if is_final else 0.5,
                        "words": [
                            {
                                "word": "".join(c for c in word.lower() if c.isalnum() or c in "'’-") or word,
                                "punctuated_word": word,
                                "start": seconds(first),
                                "end": seconds(last),
                                "confidence": 1.0 if is_final else 0.5,
                            }
                            for word, first, last in timed
                        ],
                    }
                ]
            },
            "metadata": {
                "request_id": self._request_id,
                "model_uuid": "00000000-0000-0000-0000-000000000000",
                "model_info": {"name": self._model, "version": "0", "arch": "qwen3-asr"},
            },
        }


def _end_of_whole_words(update: TranscriptUpdate) -> int:
    """How much of the stable text no later text can go on: its last word may still get a letter or a full stop."""
    behind = update.partial[:1]
    if behind.isspace() or behind and begins_word(behind):
        return len(update.stable)
    return max((word.start() for word in WORD.finditer(update.stable)), default=0)


def _last_words(text: str, words: Sequence[Word]) -> list[TimedWord] | None:
    """The last words of an utterance that make up a text; None if they do not."""
    wanted, found, n = "".join(text.split()), "", len(words)
    while n and len(found) < len(wanted):
        n -= 1
        found = "".join(words[n].text.split()) + found
    return [(word.text, word.start_sample, word.end_sample) for word in words[n:]] if found == wanted else None
