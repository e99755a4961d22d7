"""OpenAI's REST interface for transcriptions: /v1/audio/transcriptions and /v1/models.

Source: the types of the official Python client, version 3.57.
"""

import asyncio
import math
import os
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import python_multipart  # noqa: F401 - Starlette reads forms with it, and says only at the first one that it is missing
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from livecap.errors import LivecapError
from livecap.export.formats import export_pieces
from livecap.model.sampling import Sampling
from livecap.serve.diarized import KnownSpeaker, SpeakersOfUploads, diarized, diarized_segments, known_speakers
from livecap.serve.requests import JSONAnswer, Refused, context_of, json_object, number, refused
from livecap.serve.served_stream import Asked
from livecap.serve.worker import Job, Stopping, Worker, into
from livecap.speakers.diariser import load_diariser
from livecap.text.languages import parse_language
from livecap.text.safety import json_text
from livecap.text.scripts import joined
from livecap.transcribe.decoding import DecodingOptions
from livecap.transcribe.document import TranscribedDocument
from livecap.transcribe.recordings import Progress
from livecap.transcribe.result import Segment, Transcription
from livecap.transcript import SAMPLE_RATE, Word

FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
MOST_FIELDS = 2000
"""Limit of the fields of a form: each expected word is one."""
KNOWN_FIELDS = frozenset(
    "path language languages prompt keywords response_format stream include timestamp_granularities temperature "
    "known_speaker_names known_speaker_references".split()
)
YES, NO = ("true", "1"), ("false", "0")
MOST_FIELD_BYTES = 8 << 20
"""Limit of one form field: a sample of a speaker takes more than the usual megabyte."""
MOST_JSON_BYTES = 2 * MOST_FIELD_BYTES


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for with a recording."""

    asked: Asked
    response_format: str
    """One of `FORMATS`."""
    wants_words: bool
    """Give the times of words."""
    known: Sequence[KnownSpeaker] | None
    """Speakers of whom there are samples; None leaves speakers unlabelled."""
    streams: bool
    """Send the text while it is being made."""


@dataclass(frozen=True, slots=True)
class Received:
    """The recording of a request."""

    path: Path
    is_upload: bool
    """It is a file of ours; otherwise one of the user, which is only read."""

    def discard(self) -> None:
        """Delete an upload."""
        if self.is_upload:
            self.path.unlink(missing_ok=True)


class Transcriptions:
    """The endpoints, for one worker."""

    def __init__(self, worker: Worker, uploads: Path, folders: Sequence[Path] = ()) -> None:
        """
        Args:
            uploads: a private folder, in which uploads have names of our own.
            folders: recordings below them may be named instead of uploaded.
        """
        self._worker = worker
        self._uploads = uploads
        self._folders = folders
        self._speakers = SpeakersOfUploads(load_diariser, uploads)

    async def models(self, request: Request) -> Response:
        """GET /v1/models."""
        return JSONAnswer({"object": "list", "data": [self._model]})

    async def model(self, request: Request) -> Response:
        """GET and DELETE /v1/models/NAME. Deleting releases the memory of the model until it is needed again."""
        name = request.path_params["name"]
        if name not in (self._model["id"], str(self._worker.settings.model)):
            return Refused(404, f"There is no model {name[:60]!r} here.", "model", "model_not_found").response
        if request.method != "DELETE":
            return JSONAnswer(self._model)
        try:
            is_unloaded = not self._worker.is_used and await asyncio.wrap_future(self._worker.unload())
        except Stopping as error:
            return refused(error).response
        if not is_unloaded:
            n_streams, n_files = self._worker.n_streams, self._worker.n_waiting
            users = f"{n_streams} stream{'s' * (n_streams != 1)} and {n_files} recording{'s' * (n_files != 1)}"
            return Refused(409, f"{users} use the model. Try again later.", "model", "model_in_use").response
        return JSONAnswer({"id": self._model["id"], "object": "model", "deleted": True})

    @property
    def _model(self) -> dict[str, Any]:
        return {"id": self._worker.settings.model_name, "object": "model", "created": 0, "owned_by": "livecap"}

    async def translations(self, request: Request) -> Response:
        """POST /v1/audio/translations."""
        return Refused(
            400, "This model transcribes and does not translate; use /v1/audio/transcriptions.", code="unsupported"
        ).response

    async def transcriptions(self, request: Request) -> Response:
        """POST /v1/audio/transcriptions."""
        try:
            wanted, recording = await self.received(request)
            if wanted.streams:
                said = asyncio.Queue[Segment | None]()
                put = into(said)
                job = self.begin(recording, wanted, put)
                job.done.add_done_callback(lambda done: put(None))
                first = await _first(request, job, said)
                return StreamingResponse(_events(job, first, said, wanted), media_type="text/event-stream")
            transcription = await _finished(request, self.begin(recording, wanted))
        except LivecapError as error:
            return refused(error).response
        content = await asyncio.to_thread(self.content, transcription, wanted)  # subtitles of hours take seconds
        return PlainTextResponse(content) if isinstance(content, str) else JSONAnswer(content)

    async def received(self, request: Request) -> tuple[Wanted, Received]:
        """What a request asks for, in a form or a JSON object, and its recording.

        Raises:
            Refused: the request cannot be used.
            Stopping: the server stops before it has come.
        """
        unless_stopping = request.app.state.stop.unless_stopping
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
            fields = await unless_stopping(partial(_json_fields, request), None)
            return _wanted(fields), Received(await asyncio.to_thread(self._named, fields), is_upload=False)
        form = await unless_stopping(partial(_form, request), None)
        try:
            return _wanted(form), Received(await self._saved(form), is_upload=True)
        finally:
            await form.close()

    def _named(self, fields: FormData) -> Path:
        """The recording of this computer that a client names. Whether a file exists elsewhere is not told."""
        if not self._folders:
            raise Refused(400, "This server reads no files of its own; send the recording in a form.", "path")
        name = _text(fields, "path", "")
        if not name:
            raise Refused(400, "The object needs a path.", "path")
        for folder in self._folders:
            with suppress(OSError, ValueError, RuntimeError):  # no such file, no name of a file, links in a circle
                path = (folder / name).resolve(strict=True)
                if path.is_relative_to(folder) and path.is_file() and os.access(path, os.R_OK):
                    return path
        raise Refused(404, "There is no such recording in the folders of this server.", "path", "file_not_found")

    async def _saved(self, form: FormData) -> Path:
        """The upload in a file. Its name and type are not looked at."""
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise Refused(400, "The form needs a file.", "file")
        if not upload.size:
            raise Refused(400, "The file is empty.", "file")
        descriptor, name = mkstemp(dir=self._uploads)
        try:
            with open(descriptor, "wb") as file:
                while piece := await upload.read(1 << 20):
                    await asyncio.to_thread(file.write, piece)
        except BaseException:  # a full disk, or the server stops
            os.unlink(name)
            raise
        return Path(name)

    def begin(
        self,
        recording: Received,
        wanted: Wanted,
        on_segment: Callable[[Segment], None] = lambda segment: None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Job[Transcription]:
        """Transcribe a recording once it has its turn; an upload is deleted when that is done or stopped.

        Args:
            on_segment: called on the worker's thread for each piece of text, in order.
            on_progress: called on the worker's thread after each batch.

        Raises:
            Busy: too many recordings wait.
        """
        known = wanted.known
        label = None if known is None else partial(self._speakers.label, path=recording.path, known=known)
        try:
            job = self._worker.transcribe(recording.path, wanted.asked, on_segment, label, on_progress)
        except BaseException:
            recording.discard()
            raise
        job.done.add_done_callback(lambda done: recording.discard())
        return job

    def content(self, said: Transcription, wanted: Wanted) -> dict[str, Any] | str:
        """A transcription in the format that was asked for: a text, or what becomes a JSON object."""
        if wanted.response_format == "text":
            return said.text + "\n"
        if wanted.response_format in ("srt", "vtt"):
            document = TranscribedDocument(
                "upload", "upload", self._worker.settings.model_name, {"": said}, datetime.now().astimezone()
            )
            return "".join(export_pieces(document, wanted.response_format))
        if wanted.response_format == "diarized_json":
            return diarized(said, _usage(said))
        if wanted.response_format == "json":
            return {"text": said.text, "usage": _usage(said)} | _logprobs(wanted, said.segments)
        body: dict[str, Any] = {
            "task": "transcribe",
            "language": (said.language or wanted.asked.language or "unknown").lower(),
            "duration": round(said.duration_seconds, 3),
            "text": said.text,
            "segments": [
                _segment(number, segment, wanted.asked.decoding.sampling.temperature)
                for number, segment in enumerate(said.segments)
            ],
            "usage": _usage(said),
        }
        if wanted.wants_words:
            body["words"] = [word_times(word) for word in said.words]
        return body


async def _finished(request: Request, job: Job[Transcription]) -> Transcription:
    """The result of a recording. The work stops when the client leaves."""
    waiting = asyncio.wrap_future(job.done)
    waiting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # also once nobody waits for it
    try:
        while not (await asyncio.wait([waiting], timeout=0.5))[0]:
            if await request.is_disconnected():
                raise Refused(499, "The client left.")
        return waiting.result()
    except (CancelledError, asyncio.CancelledError):
        raise Stopping from None
    finally:
        job.stop()


async def _first(request: Request, job: Job[Transcription], said: "asyncio.Queue[Segment | None]") -> Segment | None:
    """The first piece of a recording; None if it has none. An error until then is the answer to the request. The work
    stops when the client leaves."""
    try:
        while True:
            with suppress(TimeoutError):
                first = await asyncio.wait_for(said.get(), 0.5)
                if first is None:
                    job.done.result()
                return first
            if await request.is_disconnected():
                raise Refused(499, "The client left.")
    except (CancelledError, asyncio.CancelledError):
        job.stop()
        raise Stopping from None
    except LivecapError:
        job.stop()
        raise


async def _events(
    job: Job[Transcription], segment: Segment | None, said: "asyncio.Queue[Segment | None]", wanted: Wanted
) -> AsyncIterator[str]:
    """Server-sent events: a delta for each piece, the segments with their speakers if they are wanted, then the whole
    text.

    Args:
        segment: the first piece; None if there is none.
    """
    text = ""
    try:
        while segment is not None:
            before, text = text, joined([text, segment.text])
            delta = {"type": "transcript.text.delta", "delta": text[len(before) :]}
            yield _event(delta | _logprobs(wanted, [segment]))
            segment = await said.get()
        transcription = job.done.result()
        for labelled in diarized_segments(transcription) if wanted.known is not None else ():
            yield _event(labelled)
        done = {"type": "transcript.text.done", "text": transcription.text, "usage": _usage(transcription)}
        yield _event(done | _logprobs(wanted, transcription.segments))
    except CancelledError:  # by the server, not because the client left
        yield _event({"type": "error", **refused(Stopping()).body})
    except LivecapError as error:
        yield _event({"type": "error", **refused(error).body})
    finally:
        job.stop()


async def _form(request: Request) -> FormData:
    return await request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=MOST_FIELD_BYTES)


async def _json_fields(request: Request) -> FormData:
    """The fields of a JSON object as those of a form: a list is a field that is given several times.

    Raises:
        Refused: it is not an object, it is too large, or a field that livecap knows is of a type that it has never.
    """
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > MOST_JSON_BYTES:
            raise Refused(413, f"A JSON object may have at most {MOST_JSON_BYTES >> 20} MiB.", code="too_large")
    fields: list[tuple[str, str | UploadFile]] = []
    for name, value in json_object(bytes(data)).items():
        for one in value if isinstance(value, list) else [value]:
            if name in KNOWN_FIELDS and not isinstance(one, str | float | int | None):
                raise Refused(400, f"{name} must be text, a number, true or false, or a list of these.", name)
            if isinstance(one, str | float | int):
                fields.append((name, str(one).lower() if isinstance(one, bool) else str(one)))
    return FormData(fields)


def _wanted(form: FormData) -> Wanted:
    """What a form asks for.

    Raises:
        Refused: it asks for something that this server cannot do.
    """
    response_format = _text(form, "response_format", "json")
    if response_format not in FORMATS:
        raise Refused(400, f"response_format must be one of {', '.join(FORMATS)}.", "response_format")
    included = _texts(form, "include")
    if not set(included) <= {"logprobs"}:
        raise Refused(400, "include may only name logprobs.", "include")
    logprobs = bool(included)
    if logprobs and response_format != "json":
        raise Refused(400, "logprobs need response_format json.", "include")
    granularities = set(_texts(form, "timestamp_granularities")) or {"segment"}
    if not granularities <= {"word", "segment"}:
        raise Refused(400, "timestamp_granularities are word and segment.", "timestamp_granularities")
    if "word" in granularities and response_format != "verbose_json":
        raise Refused(400, "Times of words need response_format verbose_json.", "timestamp_granularities")
    languages = [parse_language(name) for name in (*_texts(form, "language"), *_texts(form, "languages"))]
    language = languages[0] if len(languages) == 1 else None
    terms = [_text(form, "prompt", ""), *_texts(form, "keywords")]
    temperature = number("temperature", _text(form, "temperature", "0"), 0, 2)
    decoding = DecodingOptions(
        sampling=Sampling(temperature=temperature),
        word_times=response_format not in ("json", "text"),
        logprobs=logprobs,
    )
    stream = _text(form, "stream", "false").lower()
    if stream not in YES + NO:
        raise Refused(400, "stream must be true or false.", "stream")
    streams = stream in YES
    if streams and response_format not in ("json", "text", "diarized_json"):
        raise Refused(400, "stream=true needs response_format json, text or diarized_json.", "stream")
    return Wanted(
        Asked(language, context_of(*terms), decoding),
        response_format,
        "word" in granularities,
        _known_speakers(form, response_format),
        streams,
    )


def _known_speakers(form: FormData, response_format: str) -> list[KnownSpeaker] | None:
    """The speakers that a form knows; None if speakers are not to be labelled."""
    names, references = _texts(form, "known_speaker_names"), _texts(form, "known_speaker_references")
    if response_format == "diarized_json":
        return known_speakers(names, references)
    if names or references:
        raise Refused(400, "Known speakers need response_format diarized_json.", "known_speaker_names")
    return None


def _texts(form: FormData, name: str) -> list[str]:
    """All values of a field, whose name may end in []."""
    values = [*form.getlist(name), *form.getlist(f"{name}[]")]
    return [value for value in values if isinstance(value, str) and value]


def _text(form: FormData, name: str, usual: str) -> str:
    return (_texts(form, name) or [usual])[0]


def _segment(number: int, segment: Segment, temperature: float) -> dict[str, Any]:
    """A segment with all fields that clients check for. `avg_logprob` is an estimate from the lead of the best token;
    `tokens` and `no_speech_prob` are not known, since they would be those of another model."""
    data = segment.text.encode()
    return {
        "id": number,
        "seek": 0,
        "start": round(segment.start_seconds, 3),
        "end": round(segment.end_seconds, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": temperature,
        "avg_logprob": round(-math.log1p(math.exp(-min(segment.margin, 50.0))), 4),
        "compression_ratio": round(len(data) / max(len(zlib.compress(data)), 1), 3),
        "no_speech_prob": 0.0,
    }


def _logprobs(wanted: Wanted, segments: Sequence[Segment]) -> dict[str, Any]:
    """The probabilities of tokens, if the client asks for them. A part of a character is U+FFFD in `token`."""
    if not wanted.asked.decoding.logprobs:
        return {}
    tokens = [token for segment in segments for token in segment.logprobs]
    return {
        "logprobs": [
            {"token": data.decode(errors="replace"), "bytes": list(data), "logprob": round(value, 5)}
            for data, value in tokens
        ]
    }


def word_times(word: Word) -> dict[str, Any]:
    """A word with its times in seconds."""
    return {
        "word": word.text,
        "start": round(word.start_sample / SAMPLE_RATE, 3),
        "end": round(word.end_sample / SAMPLE_RATE, 3),
    }


def _usage(said: Transcription) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(said.duration_seconds)}


def _event(record: dict[str, Any]) -> str:
    return f"data: {json_text(record)}\n\n"
