"""The tokenizer: official ids, text that cannot become control tokens, and no incomplete characters."""

import json
import re
import shutil
import unicodedata
from functools import cache
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.errors import ModelError
from livecap.model.config import eos_ids_of
from livecap.model.files import read_json
from livecap.model.text.tokenizer import Tokenizer
from tests.model.parity import DATA, FULL_SET, SHARED

needs_official = pytest.mark.skipif(
    not (SHARED / "tokenizer").is_dir(), reason="this checkout has no official tokenizer files"
)


def texts(max_size: int) -> st.SearchStrategy[str]:
    """Characters of one to four bytes, characters of control tokens, and characters that normalisation joins."""
    return st.text("aZ7 \n\t'<|>_é\u0301€漢ไक्😀\u200d\U0001f468\x00", max_size=max_size)


@cache
def official() -> Tokenizer:
    return Tokenizer.from_folder(SHARED / "tokenizer")


@cache
def small() -> Tokenizer:
    return Tokenizer.from_folder(DATA / "asr")


def encode_named(tokenizer: Tokenizer, folder: Path, text: str) -> list[int]:
    """The ids of a text in which the names of added tokens stand for these tokens, as officially."""
    config = json.loads((folder / "tokenizer_config.json").read_text())
    names = {token["content"] for token in config["added_tokens_decoder"].values()}
    pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    parts = re.split(f"({pattern})", text)
    return [i for part in parts for i in ([tokenizer.token_id(part)] if part in names else tokenizer.encode(part))]


def cases(kind: str) -> list[dict]:
    path = FULL_SET / "tokenizer_cases.json"
    return json.loads(path.read_text())[kind] if path.is_file() else []


@needs_official
def test_ids_are_the_official_ones() -> None:
    for case in cases("encode"):
        assert encode_named(official(), SHARED / "tokenizer", case["text"]) == case["ids"]
        assert official().decode(case["ids"], skip_special=False) == case["decoded"]
        assert official().decode(case["ids"]) == case["decoded_skip_special"]


@needs_official
def test_text_is_the_official_one() -> None:
    for case in cases("decode"):
        assert official().decode(case["ids"], skip_special=False) == case["text"]
        assert official().decode(case["ids"]) == case["skip_special"]


@needs_official
def test_the_official_files_say_what_ends_a_text() -> None:
    generation = read_json(SHARED / "tokenizer" / "generation_config.json", required=False)
    assert eos_ids_of(generation, {}) == (151643, 151645)
    assert official().asr_text_id == 151704
    assert official().token_id("<|audio_pad|>") == 151676
    assert official().vocab_size == 151705


@pytest.mark.parametrize("text", ["<|im_end|>", "a<asr_text>b", "<|audio_pad|><|im_start|>system"])
def test_text_from_outside_never_becomes_a_control_token(text: str) -> None:
    ids = small().encode(text)
    assert max(ids) < 480
    assert small().decode(ids) == text
    assert max(encode_named(small(), DATA / "asr", text)) >= 480


@settings(max_examples=60, deadline=None)
@given(texts(30))
def test_decoding_what_was_encoded_gives_the_text(text: str) -> None:
    assert small().decode(small().encode(text)) == unicodedata.normalize("NFC", text)


@settings(max_examples=60, deadline=None)
@given(texts(12))
def test_whole_characters_only_grow_and_never_show_half_of_one(text: str) -> None:
    ids = small().encode(text)
    shown = ""
    for n in range(len(ids) + 1):
        now = small().decode_whole_characters(ids[:n])
        assert now.startswith(shown) and small().decode(ids).startswith(now)
        assert small().ends_whole(ids[:n]) == (now == small().decode(ids[:n]))
        shown = now
    assert shown == small().decode(ids)


def test_half_of_a_surrogate_pair_is_a_question_mark() -> None:
    assert small().encode("caf\udce9 \ud83d") == small().encode("caf? ?")


def test_an_incomplete_character_waits() -> None:
    euro = small().encode("€")
    assert len(euro) == 3
    assert small().decode_whole_characters(euro[:2]) == ""
    assert small().decode(euro[:2]) == "\N{REPLACEMENT CHARACTER}"
    assert not small().ends_whole(euro[:2]) and small().ends_whole(euro)


def test_tokenizer_json_is_read_where_there_is_one(tmp_path: Path) -> None:
    source = DATA / "asr"
    shutil.copyfile(source / "generation_config.json", tmp_path / "generation_config.json")
    bpe = small()._bpe
    whole = tokenizers.Tokenizer.from_str(bpe.to_str())
    spec = json.loads(whole.to_str())
    config = json.loads((source / "tokenizer_config.json").read_text())
    spec["added_tokens"] = [
        {"id": int(i), "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, **token}
        for i, token in config["added_tokens_decoder"].items()
    ]
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec))
    again = Tokenizer.from_folder(tmp_path)
    for text in ("language English<asr_text> the time", "<|im_start|>system\n", "Grüße"):
        assert again.encode(text) == small().encode(text)
        assert encode_named(again, source, text) == encode_named(small(), source, text)
    assert again.vocab_size == small().vocab_size


def damaged(tmp_path: Path, name: str, content: str | None) -> Path:
    for file in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copyfile(DATA / "asr" / file, tmp_path / file)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("vocab.json", None, "has no vocab.json"),
        ("vocab.json", "{", "vocab.json is damaged: not JSON"),
        ("vocab.json", "[]", "vocab.json is damaged: expected a JSON object"),
        ("vocab.json", "{}", "does not fit"),
        ("merges.txt", None, "has no merges.txt"),
        ("merges.txt", "a b c\n", "merges.txt is damaged"),
        ("merges.txt", "not there\n", "does not fit"),
        ("tokenizer_config.json", None, "has no tokenizer_config.json"),
        ("tokenizer_config.json", "{}", "has no added_tokens_decoder"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": {}}}', "an added token has no id"),
        *(
            (
                "vocab.json",
                f'{{"a": 0, "Ġb": {id}}}',
                f"vocab.json is damaged: 'Ġb' has the id {says}. Download the model",
            )
            for id, says in (("-1", "-1"), ("4294967296", "4294967296"), ("16777216", "16777216"), ("true", "True"))
        ),
        ("vocab.json", '{"a": null}', "vocab.json is damaged: 'a' has the id None. Download the model"),
        (
            "tokenizer.json",
            '{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}',
            "tokenizer.json is damaged: 'a' has the id -1. Download the model",
        ),
        ("tokenizer.json", '{"model": {"type": "Unigram"}}', "does not contain a BPE"),
        ("tokenizer.json", '{"model": {"type": "BPE"}}', "tokenizer.json is damaged"),
    ],
)
def test_a_damaged_tokenizer_is_one_clear_line(tmp_path: Path, name: str, content: str, says: str) -> None:
    with pytest.raises(ModelError, match=says) as raised:
        Tokenizer.from_folder(damaged(tmp_path, name, content))
    assert "\n" not in str(raised.value)


def test_a_missing_token_is_named() -> None:
    with pytest.raises(ModelError, match="no token <nothing>"):
        small().token_id("<nothing>")


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("", 5, ""),
        ("Priya", 50, "Priya"),
        ("Priya, Kowalski", 100, "Priya, Kowalski"),
        ("the time, the time, the time", 6, "the time"),
        ("  ,;  ", 2, None),
        ("é" * 100, 10, "é" * 5),
        ("Names: " + "Kowalski/Priya/" * 9, 40, "Names: Kowalski/Priya/Kowalski/Priya"),
        ("Names: " + "Kowalski|Priya|" * 9, 40, "Names: Kowalski|Priya|Kowalski|Priya"),
        ("会 " + "张三。李四。" * 9, 40, "会 张三。李四。张三。李四"),
        ("会 " + "张・李．" * 9, 30, "会 张・李．张・李"),
        ("Names: " + "x" * 90, 60, "Names: " + "x" * 53),
        (" " * 50 + "x" * 60, 100, None),
        ("x\u0323" * 20, 29, None),
    ],
)
def test_the_beginning_of_a_text_ends_with_a_whole_word(text: str, most: int, kept: str | None) -> None:
    beginning = small().beginning(text, most)
    assert text.startswith(beginning) and len(small().encode(beginning)) <= most
    assert unicodedata.category(text[len(beginning) :][:1] or " ")[0] != "M", "an accent stays with its letter"
    if kept is not None:
        assert beginning == kept


@settings(max_examples=60, deadline=None)
@given(texts(60), st.integers(1, 20))
def test_a_beginning_never_has_more_tokens_than_it_may(text: str, most: int) -> None:
    beginning = small().beginning(text, most)
    assert len(small().encode(beginning)) <= most
    if len(small().encode(text)) <= most and len(text) <= most:
        assert beginning == text


def test_the_beginning_of_an_endless_text_takes_no_time() -> None:
    for text in ("a " * 5_000_000, "a" * 5_000_000, " " * 5_000_000, "漢" * 5_000_000, " " * 700 + "a" * 5_000_000):
        assert len(small().encode(small().beginning(text, 50))) <= 50
