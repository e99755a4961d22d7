"""Drafts change the passes of the model and never the text: from another model, from known text, and from nonsense."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import livecap
from benchmarks.drafts import write_noisy
from livecap.audio_in.vad import SpeechDetector
from livecap.engine import Engine, EngineSettings
from livecap.export.formats import export_pieces
from livecap.model.backend import mx
from livecap.model.checkpoint.load import resolve
from livecap.model.draft_trial import ROUNDS, DraftTrial
from livecap.model.rows import generate_rows
from livecap.model.sampling import Sampling
from livecap.model.text.prompt import Prompt
from livecap.transcribe.cutter import Cutter, Piece
from livecap.transcribe.decoding import DecodingOptions, PieceDecoder
from livecap.transcribe.document import TranscribedDocument
from livecap.transcribe.drafts import Draft, KnownText, written_before
from livecap.transcribe.recordings import Hooks, Options, blocks_of_samples, transcribe_blocks, transcribe_samples
from livecap.transcribe.result import Segment, Transcription
from livecap.transcript import SAMPLE_RATE, SessionStarted, UtteranceEnded, Word
from tests.model.small_models import small_model

SOUND = Path(__file__).parents[2] / "recordings" / "turns.flac"
OPTIONS = DecodingOptions(word_times=False)
PROVE = bool(os.environ.get("LIVECAP_PROVE"))


@pytest.fixture(scope="module")
def pieces() -> list[Piece]:
    """Three pieces of speech of a few seconds."""
    samples = soundfile.read(SOUND, dtype="float32", frames=15 * SAMPLE_RATE)[0]
    found: list[Piece] = []
    for start in range(0, len(samples), 5 * SAMPLE_RATE):
        cutter = Cutter(SpeechDetector())
        found += [*cutter.hear(samples[start : start + 5 * SAMPLE_RATE]), *cutter.rest()]
    return found


@pytest.fixture(scope="module")
def poor_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with noise in its weights: it hears other words."""
    return write_noisy(tmp_path_factory.mktemp("poor"), resolve("tiny"), 0.3)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine.load(EngineSettings("tiny")) as engine:
        yield engine


def plain_of(segments: list[Segment | None]) -> list[tuple[str, str | None, str, int]]:
    return [(s.text, s.language, s.finish_reason, s.n_tokens) for s in segments if s]


@settings(max_examples=300 if PROVE else 15)
@given(st.integers(0, 5), st.lists(st.lists(st.integers(0, 39), max_size=9), min_size=5, max_size=5), st.data())
def test_any_draft_gives_the_plain_text(seed: int, noise: list[list[int]], data: st.DataObject) -> None:
    """Rows with and without drafts in one batch; drafts that are right, wrong, longer than the budget or end early, and
    those of a smaller model."""
    model = small_model(seed, eos=(0, 7, 13))
    smaller = small_model(seed, eos=(0, 7, 13), num_hidden_layers=1, intermediate_size=8)
    keys = [tuple(data.draw(st.lists(st.integers(0, 36), min_size=1, max_size=6))) for _ in noise]
    prompts = [Prompt(each, mx.zeros((0, 16))) for each in keys]
    budgets = [data.draw(st.integers(0, 12)) for _ in noise]
    plain = generate_rows(model, prompts, budgets, Sampling())
    writer = data.draw(st.sampled_from([model, smaller]))
    written = generate_rows(writer, prompts, [12] * len(noise), Sampling())
    drafts = [
        [*(token.id for token in text.tokens[: data.draw(st.integers(0, 12))]), *wrong]
        for text, wrong in zip(written, noise, strict=True)
    ]
    drafted = generate_rows(model, prompts, budgets, Sampling(), drafts=drafts)
    assert [([t.id for t in text.tokens], text.is_complete) for text in drafted] == [
        ([t.id for t in text.tokens], text.is_complete) for text in plain
    ]


@pytest.mark.parametrize("language", [None, "English"])
def test_a_poorer_model_drafts_and_the_text_stays(
    pieces: list[Piece], poor_model: Path, language: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DraftTrial, "wants_drafts", lambda self: True)
    with Engine.load(EngineSettings("tiny", language)) as plain:
        expected = PieceDecoder(plain, OPTIONS).decode(pieces[:2])
    with Engine.load(EngineSettings(poor_model, language)) as poor:
        assert plain_of(PieceDecoder(poor, OPTIONS).decode(pieces[:2])) != plain_of(expected), "it would prove nothing"
    with Engine.load(EngineSettings("tiny", language, draft_model=poor_model)) as both:
        decoder = PieceDecoder(both, OPTIONS)
        assert plain_of(decoder.decode(pieces[:2])) == plain_of(expected)
        assert 0.3 < decoder.timings.n_accepted / decoder.timings.n_tokens < 1
        assert decoder.timings.draft_seconds > 0


def test_known_text_is_checked_instead_of_written_again(
    engine: Engine, pieces: list[Piece], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right text costs no pass after the prompt; wrong, empty and hostile text changes nothing."""
    monkeypatch.setattr(DraftTrial, "wants_drafts", lambda self: True)
    expected = PieceDecoder(engine, OPTIONS).decode(pieces)
    right = [Draft(f"language {s.language}", s.text) if s else None for s in expected]
    assert plain_of(PieceDecoder(engine, OPTIONS).decode(pieces, right)) == plain_of(expected)
    once = replace(OPTIONS, max_tokens=100)  # a piece of which the model is not sure is not decoded again as two halves
    said = PieceDecoder(engine, once).decode(pieces)
    decoder = PieceDecoder(engine, once)
    decoder.decode(pieces, [Draft(f"language {s.language}", s.text) if s else None for s in said])
    assert decoder.timings.n_accepted == decoder.timings.n_tokens
    half = expected[2].text[: len(expected[2].text) // 2] if expected[2] else ""
    wrong = [
        Draft("language English", "<|im_end|>" + "nothing of this was said " * 40),
        None,
        Draft("language German", half),
    ]
    assert plain_of(PieceDecoder(engine, OPTIONS).decode(pieces, wrong)) == plain_of(expected)


def test_drafts_are_left_alone_where_tokens_are_drawn(engine: Engine, pieces: list[Piece]) -> None:
    drawn = replace(OPTIONS, sampling=Sampling(temperature=0.5))
    decoder = PieceDecoder(engine, drawn)
    with_drafts = decoder.decode(pieces[:1], [Draft("language English", "anything")])
    assert plain_of(with_drafts) == plain_of(PieceDecoder(engine, drawn).decode(pieces[:1]))
    assert decoder.timings.n_accepted == 0


@pytest.mark.parametrize(("with_drafts", "without", "chosen"), [(0.5, 1.0, True), (2.0, 1.0, False)])
def test_drafts_are_switched_off_where_they_do_not_pay(with_drafts: float, without: float, chosen: bool) -> None:
    """The quickest batch of each way counts: the first one is slow, since it loads code."""
    trial, asked = DraftTrial(), []
    for number in range(2 * ROUNDS):
        asked.append(trial.wants_drafts())
        trial.add(asked[-1], 99.0 if number < 2 else 10 * (with_drafts if asked[-1] else without), 10.0)
    assert sorted(asked) == [False] * ROUNDS + [True] * ROUNDS
    assert trial.is_decided and trial.wants_drafts() is chosen


def test_known_text_is_cut_for_pieces_by_the_times_of_words() -> None:
    words = tuple(Word(text, at * 100, at * 100 + 90, "step") for at, text in enumerate("One two three four".split()))
    known = KnownText([UtteranceEnded("", 0, "One two three four", 0, 400, "English", words)])
    assert known.between(100, 300) == Draft("language English", "two three")
    assert known.between(0, 400) == Draft("language English", "One two three four")
    assert known.between(400, 900) is None
    nameless = UtteranceEnded("", 0, "One", 0, 400, None, words[:1])
    assert KnownText([nameless]).between(0, 400) is None, "the header of the answer is not known"


def test_the_text_of_an_earlier_run_is_a_draft(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DraftTrial, "wants_drafts", lambda self: True)
    samples = soundfile.read(SOUND, dtype="float32", frames=8 * SAMPLE_RATE)[0]
    text = transcribe_samples(engine, samples, Options())
    started = SessionStarted("a", "a.wav", "tiny", "2026-01-01T00:00:00+00:00", False, None, "1")
    document = TranscribedDocument("a", "a.wav", "tiny", {"": text}, started)
    path = tmp_path / "a.json"
    path.write_text("".join(export_pieces(document, "json")))

    def again() -> Transcription:
        known = written_before(path)[""]
        return transcribe_blocks(engine, blocks_of_samples(samples), Options(), Hooks(), None, said=known)

    checked = again()
    assert checked.text == text.text and checked.timings.n_accepted > 0.8 * checked.timings.n_tokens
    path.write_text(path.read_text().replace(" the ", " \\ud83d "))
    assert again().text == text.text, "also after half of a surrogate pair"
    for broken in (b"", b"[]", b'{"facts": [1, {"type": "utterance_ended"}]}', b"[" * 100_000):
        path.write_bytes(broken)
        assert written_before(path) == {}
    assert written_before(tmp_path / "missing.json") == {}
    for facts in ([], None, 5, {"type": "utterance_ended"}):
        path.write_text(json.dumps({"facts": facts}))
        assert written_before(path) == {}


def test_the_library_takes_a_draft_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """For files and arrays; a wrong name is one sentence."""
    monkeypatch.setattr(DraftTrial, "wants_drafts", lambda self: True)
    samples = soundfile.read(SOUND, dtype="float32", frames=5 * SAMPLE_RATE)[0]
    with livecap.load("tiny", draft_model="tiny") as both:
        drafted = both.transcribe(samples, word_times=False)
        drawn = both.transcribe(samples, word_times=False, temperature=0.01, seed=3)
    assert drafted.timings.n_accepted == drafted.timings.n_tokens > 0 == drawn.timings.n_accepted
    with livecap.load("tiny") as alone:
        assert alone.transcribe(samples, word_times=False).text == drafted.text
    with pytest.raises(livecap.ModelError, match="./missing"):
        livecap.load("tiny", draft_model="./missing")
