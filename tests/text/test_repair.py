"""Repetition repair gives the text of the official package."""

import json
from pathlib import Path

import pytest

from livecap.text.repair import repair_repetitions

DATA = Path(__file__).parents[1] / "model" / "data" / "functions.json"
OFFICIAL = json.loads(DATA.read_text(encoding="utf-8"))["repetitions"]


@pytest.mark.parametrize("case", OFFICIAL, ids=range(len(OFFICIAL)))
def test_the_text_is_that_of_the_official_package(case: dict[str, str]) -> None:
    assert repair_repetitions(case["text"]) == case["expect"]


def test_text_without_endless_repetition_stays_as_it_is() -> None:
    text = "no no no no, I said 1111 and then she said bye bye " * 10
    assert repair_repetitions(text) == text


def test_a_long_text_takes_no_longer_than_its_length() -> None:
    """Quadratic time would make this take minutes."""
    text = " ".join(f"word{n}" for n in range(20_000))
    assert repair_repetitions(text) == text
    assert repair_repetitions("ha" * 100_000) == "ha"
