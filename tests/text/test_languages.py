"""A language goes by its name or its code; the names are the official ones."""

import json
from pathlib import Path

import pytest

from livecap.errors import SettingsError
from livecap.text.languages import LANGUAGE_CODES, LANGUAGES, normalize_language, parse_language

OFFICIAL = json.loads((Path(__file__).parents[1] / "model" / "data" / "functions.json").read_text())


def test_languages_are_the_official_thirty() -> None:
    assert list(LANGUAGES) == OFFICIAL["supported_languages"]
    for case in OFFICIAL["normalize_language"]:
        assert normalize_language(case["in"]) == case["expect"]


def test_names_and_codes_in_any_case_name_a_language() -> None:
    for name, code in LANGUAGE_CODES.items():
        for text in (name, name.upper(), f" {name.lower()} ", code, code.upper()):
            assert parse_language(text) == name


@pytest.mark.parametrize(("text", "says"), [("Englisch", "Nearest: English"), ("Klingon", "No language")])
def test_an_unknown_language_is_answered_with_the_nearest(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse_language(text)
    with pytest.raises(SettingsError, match="Known: Chinese"):
        parse_language("")
