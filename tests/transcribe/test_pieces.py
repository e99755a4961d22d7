"""Pieces: their text is that of the recogniser, in any batch; their words have times; endings have a reason."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.audio_in.vad import SpeechDetector
from livecap.engine import Engine, EngineSettings
from livecap.eval.reference import Reference, read_reference
from livecap.model.generate import GeneratedToken
from livecap.model.rows import RowText
from livecap.model.sampling import Sampling
from livecap.stream.config import samples_in
from livecap.transcribe import decoding, recordings
from livecap.transcribe.cutter import MOST_SAMPLES, Cutter, Piece
from livecap.transcribe.decoding import DecodingOptions, PieceDecoder
from livecap.transcribe.recordings import Options, transcribe_samples
from livecap.transcribe.result import LENGTH, REPETITION, STOP, Segment, Transcription
from livecap.transcribe.units import BATCHES_AHEAD, Here, Result, Unit

RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"


@pytest.fixture(scope="module")
def engine() -> Engine:
    with Engine.load(EngineSettings("tiny")) as engine:
        yield engine


@pytest.fixture(scope="module")
def reference() -> Reference:
    return read_reference(RECORDING)


@pytest.fixture(scope="module")
def pieces(reference: Reference) -> list[Piece]:
    cutter = Cutter(SpeechDetector())
    return [*cutter.hear(reference.samples), *cutter.rest()]


def test_a_piece_has_the_text_that_the_recogniser_gives_it_alone(engine: Engine, pieces: list[Piece]) -> None:
    together = PieceDecoder(engine).decode(pieces)
    config, recogniser = engine.settings.stream, engine.recogniser()
    assert len(pieces) > 2
    for piece, segment in zip(pieces, together, strict=True):
        recogniser.begin(piece.start_sample)
        recogniser.append(piece.samples)
        budget = config.loops.token_budget(len(piece.samples))
        decoded = recogniser.decode((), (), (), budget, samples_in(config.utterance.pad_seconds))
        assert segment is not None and segment.text == engine.tokenizer.decode(decoded.ids).strip()
        assert (segment.language, segment.finish_reason) == ("English", STOP)


@pytest.fixture(scope="module")
def alone(engine: Engine, reference: Reference) -> Transcription:
    """The recording, decoded piece by piece."""
    return transcribe_samples(engine, reference.samples, Options(batch=1))


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_batches_change_nothing_but_the_time(
    engine: Engine, reference: Reference, alone: Transcription, batch: int
) -> None:
    together = transcribe_samples(engine, reference.samples, Options(batch=batch))
    assert together.text == alone.text
    assert [s.text for s in together.segments] == [s.text for s in alone.segments]


def test_words_have_the_times_at_which_they_were_said(engine: Engine, reference: Reference) -> None:
    words = transcribe_samples(engine, reference.samples, Options(batch=4)).words
    assert all(a.end_sample <= b.start_sample for a, b in zip(words, words[1:], strict=False))
    starts = {}
    for word in reference.words:
        starts.setdefault(word.text, []).append(word.start_sample)
    away = [
        min(abs(word.start_sample - start) for start in starts[text]) / 16_000
        for word in words
        if (text := word.text.strip(".,?").lower()) in starts
    ]
    assert len(away) > 60 and np.median(away) < 0.06


def test_a_forced_language_is_reported_and_not_generated(reference: Reference, pieces: list[Piece]) -> None:
    with Engine.load(EngineSettings("tiny", language="English")) as engine:
        [segment] = PieceDecoder(engine).decode(pieces[:1])
    assert segment is not None and segment.language == "English" and "language" not in segment.text.lower()


@pytest.mark.parametrize(
    ("text", "margin", "halves", "of_halves", "kept"),
    [
        ("one two three", 4.1, (), 0, "one two three"),  # sure
        ("one two three", 2.0, ("four", "five six"), 3.0, "four five six"),
        ("one two three", 2.0, ("four", "five six"), 1.0, "one two three"),
        ("one two three", 2.0, ("four", ""), 3.0, "four"),
        ("no no no no no and", 9.0, ("no no no", "and"), 1.0, "no no no and"),  # a loop is always sure of itself
        ("no no no no no and", 9.0, ("", ""), 1.0, "no no no no no and"),
        ("no no no no no and", 9.0, ("no no no no no", "no no", "no", "and"), 1.0, "no no no and"),  # halves of a half
        ("no no no no no and", 9.0, ("no no no no no", "", "", "or"), 1.0, "no no no no no or"),
        ("no no no no and", 9.0, (), 0, "no no no no and"),  # people say that
    ],
)
def test_a_piece_with_an_unsure_text_is_decoded_again_in_halves(
    engine: Engine,
    pieces: list[Piece],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    margin: float,
    halves: tuple[str, ...],
    of_halves: float,
    kept: str,
) -> None:
    answers = [(text, margin), *((half, of_halves) for half in halves)]
    encode = engine.tokenizer.encode

    def answer(model: object, prompts: list[object], *others: object, **named: object) -> list[RowText]:
        found = []
        for _ in prompts:
            said, lead = answers.pop(0)
            ids = [*encode("language English"), engine.tokenizer.asr_text_id, *(encode(f" {said}") if said else [])]
            found.append(RowText([GeneratedToken(i, lead) for i in ids], is_complete=True))
        return found

    monkeypatch.setattr(decoding, "generate_rows", answer)
    [segment] = PieceDecoder(engine, DecodingOptions(word_times=False)).decode(pieces[:1])
    assert segment is not None and segment.text == kept and not answers
    assert segment.n_tokens == len(encode(f" {kept}")) and [word.text for word in segment.words] == kept.split()
    assert segment.margin == pytest.approx(of_halves if kept != text else margin)


@pytest.mark.parametrize("n", [1, 2])
def test_halves_of_a_single_piece_are_drafted_from_its_text(
    engine: Engine, pieces: list[Piece], monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    """Several pieces share their passes, so a draft for each would cost time."""
    given: list[str] = []
    real = decoding.generate_rows

    def watched(*arguments: object, **named: object) -> list[RowText]:
        given.extend(engine.tokenizer.decode(ids) for ids in named["drafts"])  # type: ignore[attr-defined]
        return real(*arguments, **named)  # type: ignore[arg-type]

    first, *_ = PieceDecoder(engine).decode(pieces[:1])
    assert first is not None
    monkeypatch.setattr(decoding, "generate_rows", watched)
    monkeypatch.setattr(decoding, "UNSURE_MARGIN", 99.0)
    PieceDecoder(engine, DecodingOptions(word_times=False)).decode(pieces[:n])
    if n > 1:
        assert not given
        return
    halves = [draft.removeprefix("language English").removeprefix("<asr_text>").strip() for draft in given]
    assert len(halves) == 2 and all(len(half.split()) > 3 for half in halves)
    assert " ".join(halves) == first.text


def test_pieces_that_are_decoded_again_have_the_same_text_in_every_batch(
    engine: Engine, pieces: list[Piece], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "UNSURE_MARGIN", 99.0)
    alone = [PieceDecoder(engine).decode([piece])[0] for piece in pieces[:2]]
    together = PieceDecoder(engine).decode(pieces[:2])
    for one, other in zip(alone, together, strict=True):
        assert one is not None and other is not None and (one.text, one.words) == (other.text, other.words)
        assert [*one.words] == sorted(one.words, key=lambda word: word.start_sample)


def test_a_text_that_is_cut_off_says_length(engine: Engine, pieces: list[Piece]) -> None:
    [segment] = PieceDecoder(engine, DecodingOptions(max_tokens=4)).decode(pieces[:1])
    assert segment is not None and (segment.finish_reason, segment.n_tokens) == (LENGTH, 4)
    [whole] = PieceDecoder(engine).decode(pieces[:1])
    assert whole is not None and whole.text.startswith(segment.text)


def test_a_text_that_runs_into_a_loop_is_cut_there_and_says_repetition(engine: Engine, pieces: list[Piece]) -> None:
    """A prompt of random sound at a high temperature never loops, so the loop is made by the sampling."""

    class Looping(Sampling):
        is_greedy = False  # type: ignore[assignment]

        def choose(self, logits: object, said: object, random: object) -> int:
            return loop[len(said) % len(loop)]  # type: ignore[arg-type]

    loop = engine.tokenizer.encode(" again and again")
    [segment] = PieceDecoder(engine, DecodingOptions(sampling=Looping())).decode(pieces[:1])
    assert segment is not None and segment.finish_reason == REPETITION
    assert segment.text.count("again") == 2


@pytest.mark.parametrize("unit", [" no", "好", " one two"])
@pytest.mark.parametrize("word_times", [True, False])
def test_the_words_of_repaired_text_are_those_of_the_text(
    engine: Engine, pieces: list[Piece], unit: str, word_times: bool
) -> None:
    """Repair shortens text in its middle, in scripts with spaces and without."""

    class Repeating(Sampling):
        is_greedy = False  # type: ignore[assignment]

        def choose(self, logits: object, said: object, random: object) -> int:
            return answer[len(said)]  # type: ignore[arg-type]

    end = " and then the end of it"
    (stop, *_) = engine.loaded.model.config.eos_token_ids
    answer = [*engine.tokenizer.encode(f"We begin{unit * 25}{end}"), stop]
    options = DecodingOptions(sampling=Repeating(), max_tokens=len(answer), word_times=word_times, repair=True)
    [segment] = PieceDecoder(engine, options).decode(pieces[:1])
    assert segment is not None and segment.finish_reason == REPETITION
    assert segment.text.count(unit) == 1 and segment.text.endswith(end)
    assert "".join(word.text for word in segment.words) == segment.text.replace(" ", "")
    starts = [word.start_sample for word in segment.words]
    assert starts == sorted(starts)


@pytest.mark.parametrize("sampling", [Sampling(temperature=1.5, seed=3), Sampling(repetition_penalty=3.0)], ids=str)
def test_what_is_drawn_is_text_and_never_the_header(engine: Engine, pieces: list[Piece], sampling: Sampling) -> None:
    """A header that is drawn wrong would cost all text of the piece."""
    segments = PieceDecoder(engine, DecodingOptions(sampling=sampling)).decode(pieces)
    assert [segment.language for segment in segments if segment] == ["English"] * len(pieces)


def test_silence_and_noise_have_no_text(engine: Engine) -> None:
    random = np.random.default_rng(3)
    for sound in (np.zeros(160_000), random.standard_normal(160_000) * 0.05, np.zeros(1), np.zeros(0)):
        result = transcribe_samples(engine, sound.astype(np.float32), Options())
        assert (result.text, result.segments, result.language) == ("", (), None)
        assert result.finish_reason == STOP and result.duration_seconds == len(sound) / 16_000


def test_long_sound_takes_no_more_memory_than_its_batches(
    engine: Engine, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes of speech are read no further than one group of batches ahead of the decoder."""
    n_read = n_decoded = most_waiting = 0
    seconds = np.resize(reference.samples, 600 * 16_000).reshape(600, 16_000)

    def watched(self: PieceDecoder, pieces: list[Piece], drafts: list[None]) -> list[None]:
        nonlocal n_decoded
        n_decoded += sum(len(piece.samples) for piece in pieces)
        return [None] * len(pieces)

    def blocks() -> Iterator[np.ndarray]:
        nonlocal n_read, most_waiting
        for block in seconds:
            n_read += len(block)
            most_waiting = max(most_waiting, n_read - n_decoded)
            yield block

    monkeypatch.setattr(PieceDecoder, "decode", watched)
    result = recordings.transcribe_blocks(engine, blocks(), Options(batch=2), recordings.NO_HOOKS, 600.0)
    assert result.duration_seconds == 600 and n_decoded > 0.8 * n_read
    assert most_waiting - (n_read - n_decoded) <= (2 * BATCHES_AHEAD + 1) * MOST_SAMPLES, "less what is silent"


class Ahead(Here):
    """Decodes as a cluster does: small units, several of them begun before the first is finished."""

    most_waiting = 2

    def n_batches(self, batch: int) -> int:
        return 1

    def begin(self, unit: Unit, options: DecodingOptions, is_stopped: Callable[[], bool]) -> Iterator[Result]:
        return iter(list(super().begin(unit, options, is_stopped)))


def test_units_that_are_decoded_ahead_have_the_same_text(engine: Engine) -> None:
    """Also with segments of an earlier run between them; pieces are told in the order in which they are ready."""
    sound = soundfile.read(RECORDING, dtype="float32", frames=30 * 16_000)[0]
    blocks = [sound[at : at + 50_000] for at in range(0, len(sound), 50_000)]
    told: list[tuple[int, int]] = []
    known: dict[tuple[int, int], Segment | None] = {}

    def on_piece(piece: Piece, segment: Segment | None) -> None:
        told.append((piece.start_sample, piece.end_sample))
        known[told[-1]] = segment

    hooks = recordings.Hooks(on_piece=on_piece)
    plain = recordings.transcribe_blocks(engine, blocks, Options(batch=1), hooks, None)
    order, n = list(told), len(told)
    assert n > 2 and recordings.transcribe_blocks(Ahead(engine), blocks, Options(batch=1), hooks, None) == plain
    assert told[n:] == order
    del known[order[1]]
    assert recordings.transcribe_blocks(Ahead(engine), blocks, Options(batch=1), hooks, None, dict(known)) == plain
    assert told[2 * n :] == [order[1]]
