"""A language goes by its name or its code; the names are the official ones."""

import json
from pathlib import Path

import pytest

from livecap.cli.main import run
from livecap.errors import SettingsError
from livecap.text.languages import (
    ALIASES,
    DIALECTS,
    LANGUAGE_CODES,
    LANGUAGES,
    normalize_language,
    parse_language,
)

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


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("en-US", "English"), ("pt_BR", "Portuguese"), ("zh-Hans-CN", "Chinese"), ("zh-HK", "Cantonese"),
        ("mandarin", "Chinese"), ("Deutsch", "German"), ("FRANÇAIS", "French"), ("franc\u0327ais", "French"),
        ("日本語", "Japanese"), ("tl", "Filipino"), ("farsi", "Persian"), ("deu", "German"), ("Sichuan", "Chinese"),
        ("cantonese (hong kong)", "Cantonese"), ("Hokkien", "Chinese"), ("wu", "Chinese"),
    ],
)  # fmt: skip
def test_other_names_regions_and_dialects_name_a_language(text: str, language: str) -> None:
    assert parse_language(text) == language


def test_no_name_means_two_languages() -> None:
    names = [alias.casefold() for aliases in ALIASES.values() for alias in aliases]
    names += [*LANGUAGE_CODES.values(), *(name.casefold() for name in LANGUAGES)]
    assert len(names) == len(set(names)) and ALIASES.keys() == LANGUAGE_CODES.keys()
    assert len(DIALECTS) == 22 and set(DIALECTS.values()) == {"Chinese", "Cantonese"}


@pytest.mark.parametrize(
    ("text", "nearest"), [("Spanisch", "Spanish"), ("japanes", "Japanese"), ("Sichuanese", "Chinese")]
)
def test_a_misspelt_name_is_answered_with_the_nearest(text: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=f"Nearest: .*{nearest}"):
        parse_language(text)


def test_the_command_lists_all_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["languages"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in (*LANGUAGES, *DIALECTS)) and "mandarin" in text
    assert run(["languages", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {each["name"]: each["code"] for each in found["languages"]} == LANGUAGE_CODES
    assert [each["name"] for each in found["dialects"]] == list(DIALECTS)
