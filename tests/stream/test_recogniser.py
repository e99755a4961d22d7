"""One decode: its budget, its header, its draft; every tick of the clock is counted in exactly one stage."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from livecap.model.checkpoint.load import load
from livecap.model.generate import GeneratedToken
from livecap.stream import recogniser as recognising
from livecap.stream.config import StreamConfig
from livecap.stream.recogniser import ModelRecogniser
from livecap.stream.statistics import StageSeconds

RECORDING = sorted((Path(__file__).parents[2] / "recordings").glob("*.flac"))[0]
SECOND = 16_000


@pytest.mark.parametrize("drafted", [False, True])
def test_stages_add_up_to_the_decode(drafted: bool) -> None:
    ticks = itertools.count()
    said: list[float] = []
    loaded = load("tiny")

    def clock() -> float:
        said.append(float(next(ticks)))
        return said[-1]

    recogniser = ModelRecogniser(loaded, "", "English", StreamConfig(), clock)
    samples, _ = soundfile.read(RECORDING, dtype="float32", frames=4 * SECOND)
    recogniser.begin(0)
    recogniser.append(samples)
    draft = recogniser.decode((), [], [], 60).ids if drafted else []
    said.clear()
    stages = recogniser.decode((), [], draft, 60).seconds
    assert stages.mel == 1 and stages.encoder > 0 and stages.prefill > 0
    assert stages.mel + stages.encoder + stages.prefill + stages.generate == said[-1] - said[0]


def test_stage_seconds_add_and_subtract() -> None:
    before, step = StageSeconds(1, 2, 3, 4), StageSeconds(0.5, 0.25, 0.125, 1)
    assert before + step - before == step


@pytest.fixture(scope="module")
def sound() -> NDArray[np.float32]:
    samples, _ = soundfile.read(RECORDING, dtype="float32", frames=4 * SECOND)
    return samples


@pytest.mark.parametrize("language", [None, "English"])
def test_only_a_header_that_the_model_writes_may_exceed_the_budget(
    language: str | None, sound: NDArray[np.float32]
) -> None:
    """A forced language is given, so that the first step has no header to write, and no more text than any other."""
    loaded = load("tiny")
    recogniser = ModelRecogniser(loaded, "", language, StreamConfig())
    recogniser.begin(0)
    recogniser.append(sound)
    first = recogniser.decode((), [], [], 4)
    asr_text = loaded.tokenizer.asr_text_id
    assert asr_text not in first.ids
    if language:
        assert first.header == () and len(first.tokens) == 4
    else:
        assert first.header[-1] == asr_text and len(first.header) + len(first.tokens) == 4 + 16
    later = recogniser.decode(first.header, first.ids[:2], [], 4)
    assert later.header == first.header and len(later.tokens) == 4


@pytest.mark.parametrize("language", [None, "English"])
def test_a_draft_is_checked_in_one_pass_with_its_header_and_costs_no_more(
    language: str | None, sound: NDArray[np.float32]
) -> None:
    recogniser = ModelRecogniser(load("tiny"), "", language, StreamConfig())
    recogniser.begin(0)
    recogniser.append(sound)
    first = recogniser.decode((), [], [], 60)
    assert first.complete and first.n_accepted == 0 and first.n_passes == len(first.header) + len(first.tokens)
    again = recogniser.decode(first.header, [], first.ids, 60)
    assert again.ids == first.ids and again.header == first.header
    assert again.n_accepted == len(first.header) + len(first.ids) and again.n_passes == 0


@pytest.mark.parametrize(
    ("answer", "language", "prefix", "text"),
    [
        ("language English<asr_text>hello", None, "", "hello"),
        ("language English<asr_text>", None, "", ""),
        ("language English", None, "", ""),
        ("language", None, "", ""),
        ("hello there", None, "", ""),
        ("", None, "", ""),
        ("language English<asr_text>language English<asr_text>hello", None, "", "hello"),
        ("<asr_text>hello", None, "", "hello"),
        ("hello there", "English", "", "hello there"),
        ("language German<asr_text>hello", "English", "", "hello"),
        (" and you", None, "hello", " and you"),
        ("language English<asr_text> and you", None, "hello", " and you"),
    ],
)
def test_only_what_follows_the_header_is_text(
    monkeypatch: pytest.MonkeyPatch, answer: str, language: str | None, prefix: str, text: str
) -> None:
    """The model's answer is `language X<asr_text>TEXT`; with a forced language or a prefix only TEXT is asked for."""
    loaded = load("tiny")
    tokenizer = loaded.tokenizer
    marker = [tokenizer.asr_text_id]
    parts = [tokenizer.encode(part) for part in answer.split("<asr_text>")]
    ids = [token for n, part in enumerate(parts) for token in (marker if n else []) + part]
    end = loaded.config.eos_token_ids[0]
    monkeypatch.setattr(recognising, "verify", lambda *prompt: ([], GeneratedToken(0, 1.0)))
    monkeypatch.setattr(
        recognising, "generate_drafted", lambda *rest: ((GeneratedToken(i, 1.0), False) for i in [*ids, end])
    )
    recogniser = ModelRecogniser(loaded, "Priya", language, StreamConfig())
    recogniser.begin(0)
    recogniser.append(np.zeros(SECOND, np.float32))
    header = [*tokenizer.encode("language English"), *marker]
    decoded = recogniser.decode(header if prefix else (), tokenizer.encode(prefix), (), 60)
    assert tokenizer.decode(decoded.ids) == text and decoded.complete
    expected = header if language is None and (prefix or answer.startswith("language English<")) else None
    if expected:
        assert list(decoded.header) == expected
    elif "<asr_text>" not in answer:
        assert decoded.header == ()
