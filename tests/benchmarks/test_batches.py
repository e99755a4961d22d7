"""Batches: what is measured of each size; and errors of sound that begins later."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import moved, products
from benchmarks.batches import measure
from livecap.engine import Engine, EngineSettings
from livecap.eval.reference import read_reference
from livecap.model.checkpoint.load import load

RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"


def test_each_size_has_its_time_by_both_clocks_and_by_stage() -> None:
    reference = read_reference(RECORDING)
    short = replace(reference, samples=reference.samples[: 3 * 16_000])
    found = measure(load("tiny"), "tiny", [short, short], [1, 2], 1)
    assert found["pieces"] == 2 and list(found["batches"]) == ["1", "2"]
    for size in found["batches"].values():
        spent = size["per_second_of_sound"]
        assert set(spent) == {"clock", "processor", "encoder", "prompts", "tokens"} and min(spent.values()) > 0
        assert spent["encoder"] + spent["prompts"] + spent["tokens"] <= spent["processor"] + 3e-4  # of rounding
        assert size["texts_that_differ"] == 0


def test_errors_are_counted_wherever_the_sound_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = read_reference(RECORDING)
    short = replace(reference, samples=reference.samples[: 3 * 16_000], text="thank you for your letter")
    with Engine.load(EngineSettings("tiny")) as engine:
        wrong = moved.errors_of_each(engine, short, with_live=True)
        assert set(wrong) == {"files", "offline", "live"} and max(wrong.values()) <= 3, "two words stand before these"
        monkeypatch.setattr(moved, "errors_of_each", lambda _, later, __: {"files": len(later.samples)})
        found = moved.measure(engine, [short], [0, 500], with_live=False)
    assert found == {"dictation": {"words": 5, "files": [48_000, 56_000]}}


def test_products_are_compared_with_one_column() -> None:
    found = products.measure((1, 8), 1, [(64, 32)])
    assert list(found["of_one_by_one"]) == ["1", "8"] and found["of_one_by_one"]["1"] == 1
    assert {name: list(spent) for name, spent in found["milliseconds"].items()} == {
        "livecap": ["1", "8"],
        "plain": ["1", "8"],
    }
