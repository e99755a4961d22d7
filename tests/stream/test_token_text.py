"""The texts of two prompts of one utterance are joined as people write them."""

from collections.abc import Sequence

import pytest

from livecap.model.checkpoint.load import resolve
from livecap.model.text.tokenizer import Tokenizer
from livecap.stream.token_text import TokenText


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_folder(resolve("tiny"))


@pytest.mark.parametrize(
    "first, second, joined",
    [
        ("a mixed affair.", "The support team", "a mixed affair. The support team"),
        ("a mixed affair.", " The support team", "a mixed affair. The support team"),
        ("a mixed affair", ", they said", "a mixed affair, they said"),
        ("会议", "开始", "会议开始"),
        ("a mixed affair.", "", "a mixed affair."),
    ],
)
def test_two_prompts_make_one_text(tokenizer: Tokenizer, first: str, second: str, joined: str) -> None:
    text, before, behind = TokenText(tokenizer), tokenizer.encode(first), tokenizer.encode(second)
    joints = [len(before)]
    assert text.decode([*before, *behind], [], joints) == (joined, "")
    for n in range(len(before) + len(behind) + 1):
        stable, partial = text.decode([*before, *behind][:n], [*before, *behind][n:], joints)
        assert stable + partial == joined, "stable text only grows, wherever it ends"


def test_a_word_ends_where_a_prompt_begins(tokenizer: Tokenizer) -> None:
    before, behind = tokenizer.encode("an affair."), tokenizer.encode("The team")
    words = [word for word, _ in TokenText(tokenizer).words([*before, *behind], [len(before)])]
    assert words == ["an", "affair.", "The", "team"]


class Letters:
    """A token is a character."""

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    decode_whole_characters = decode

    def ends_whole(self, ids: Sequence[int]) -> bool:
        return True


@pytest.mark.parametrize(
    "text",
    ["„Guten Tag", "「こんにちは", "$5 million", "– Hallo", "«Bonjour", "¿Qué", "#1", "…und", "‚ja", "£20"],
)
def test_what_may_stand_before_a_word_does_not_belong_to_the_text_before(text: str) -> None:
    assert TokenText(Letters()).begins_with_word([ord(c) for c in text])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("สวัสดี ครับ", ["ส", "วั", "ส", "ดี", "ค", "รั", "บ"]),
        ("ที่นี่จะมา", ["ที่", "นี่", "จะ", "มา"]),
        ("ພາສາ", ["ພາ", "ສາ"]),
        ("မြန်မာ", ["မြ", "န်", "မာ"]),
        ("ភាសា", ["ភា", "សា"]),
        ("カレーパーティー、がっこう", ["カ", "レー", "パー", "ティー、", "がっ", "こ", "う"]),
        ("か\u3099っ ﾊﾞｯ", ["か\u3099っ", "ﾊﾞｯ"]),
    ],
)
def test_no_word_begins_at_a_vowel_sign_or_a_small_kana(text: str, words: list[str]) -> None:
    letters = TokenText(Letters())
    ids = [ord(c) for c in text]
    assert [word for word, _ in letters.words(ids)] == words


@pytest.mark.parametrize("text", [". It's", ", and", "! Yes", "?", "", "…"])
def test_what_closes_a_sentence_belongs_to_the_text_before(text: str) -> None:
    assert not TokenText(Letters()).begins_with_word([ord(c) for c in text])
