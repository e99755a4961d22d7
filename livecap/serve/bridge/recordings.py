"""Recordings that the bridge transcribes, and what it answers about them (docs/bridge.md)."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecap.engine import Engine
from livecap.errors import LivecapError
from livecap.model.mel import n_mel_frames
from livecap.serve.bridge.requests import BridgeError, Record, error_record
from livecap.transcribe.opened import OpenedSounds
from livecap.transcribe.recordings import Hooks, Options, transcribe_many
from livecap.transcribe.result import Transcription
from livecap.transcript import SAMPLE_RATE

MOST_SAMPLES = 600 * SAMPLE_RATE
"""Length of the sound of one utterance, 10 minutes. `transcribe` takes files of any length."""

Result = Transcription | LivecapError


def transcribe_sounds(
    engine: Engine, hooks: Hooks, sounds: Sequence[str | NDArray[np.float32]], options: Options
) -> list[Result]:
    """The text of each file, or array [n] at 16 kHz, or what is wrong with it."""
    opened = OpenedSounds([(sound, SAMPLE_RATE) for sound in sounds], meanwhile=hooks.look)
    try:
        results = transcribe_many(engine, opened.blocks(), options, hooks, opened.durations)
        return [opened.with_notices(*result) for result in results]
    finally:
        opened.close()


def transcriptions(results: Sequence[Result], **more: Any) -> list[Transcription]:
    """The results. Raises BridgeError if one of them is an error.

    Args:
        more: further fields of the answer to the request then.
    """
    for result in results:
        if isinstance(result, LivecapError):
            raise BridgeError(error_record(result)["code"], str(result), **more)
    return [each for each in results if isinstance(each, Transcription)]


def read_sound(sound: str | NDArray[np.int16], rate: int) -> NDArray[np.float32]:
    """The whole sound of an utterance at 16 kHz.

    Raises:
        AudioError: a file that cannot be read.
        BridgeError: it is too long.
    """
    opened = OpenedSounds([(sound, rate)])
    pieces, n_samples = [np.zeros(0, np.float32)], 0
    try:
        for block in next(opened.blocks()):
            pieces.append(block)
            n_samples += len(block)
            if n_samples > MOST_SAMPLES:
                raise BridgeError(
                    "too_long",
                    f"An utterance may have {MOST_SAMPLES // SAMPLE_RATE} s of sound; transcribe takes more.",
                )
    finally:
        opened.close()
    return np.concatenate(pieces)


def recording_item(engine: Engine, said: Transcription) -> Record:
    """The text of a recording and what it took."""
    return {
        "text": said.text,
        "language": said.language,
        "duration_seconds": round(said.duration_seconds, 3),
        "generated_tokens": sum(segment.n_tokens for segment in said.segments),
        "audio_embeddings_shape": _shape(engine, round(said.duration_seconds * SAMPLE_RATE)),
        "decode_seconds": round(said.timings.prefill_and_generate_seconds, 4),
    }


def transcript_fields(engine: Engine, said: Transcription, has_words: bool) -> Record:
    """Further fields of `transcript`.

    Args:
        has_words: the times of words were asked for.
    """
    return {
        "generated_token_ids": engine.tokenizer.encode(said.text),
        "audio_output_lengths": _shape(engine, round(said.duration_seconds * SAMPLE_RATE))[:1],
        "segments": [
            {
                "text": segment.text,
                "start_sample": segment.start_sample,
                "end_sample": segment.end_sample,
                "language": segment.language,
                "words": [asdict(word) for word in segment.words if has_words],
            }
            for segment in said.segments
        ],
        "finish_reason": said.finish_reason,
        "notices": list(said.notices),
    }


def batch_items(engine: Engine, paths: Sequence[str], results: Sequence[Result]) -> list[Record]:
    """What `batch_transcript` says of each file."""
    return [
        {"audio": path, "error": error_record(result)}
        if isinstance(result, LivecapError)
        else {"audio": path, **recording_item(engine, result)}
        for path, result in zip(paths, results, strict=True)
    ]


async def heard_item(engine: Engine, said: "Future[Record]") -> Record:
    """The text of an utterance that a stream has heard, or why there is none."""
    later = asyncio.wrap_future(said)
    await asyncio.wait([later])  # where this task is cancelled, there is no item
    try:
        heard = later.result()
    except (LivecapError, asyncio.CancelledError) as error:
        is_failure = isinstance(error, LivecapError)
        failure = BridgeError("stream_failed" if is_failure else "cancelled", str(error) or "The stream was stopped.")
        heard = {"text": "", "language": None, "samples": 0, "decode_seconds": 0.0, "error": error_record(failure)}
    return heard | {
        "duration_seconds": round(heard["samples"] / SAMPLE_RATE, 3),
        "generated_tokens": len(engine.tokenizer.encode(heard["text"])),
        "audio_embeddings_shape": _shape(engine, heard["samples"]),
    }


def _shape(engine: Engine, n_samples: int) -> list[int]:
    """[n, width] of the audio embeddings of that much sound."""
    audio = engine.loaded.config.audio
    return [audio.n_embeddings(n_mel_frames(n_samples)), audio.output_dim]
