"""The units that a forced aligner places in time: words, or characters where words have no spaces between them.

As the official code cuts them: only letters, digits and the ASCII apostrophe stay; a Chinese character is a unit of its
own; Japanese is cut by `nagisa`, Korean by `soynlp`. Without these two packages (the extras `ja` and `ko`) Japanese is
cut at every character and Korean at spaces.
"""

import importlib.resources
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from livecap.errors import SettingsError

LANGUAGES = (
    "Chinese", "English", "Cantonese", "French", "German", "Italian", "Japanese", "Korean", "Portuguese", "Russian",
    "Spanish",
)  # fmt: skip
"""The languages of Qwen3-ForcedAligner."""
IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF), (0xF900, 0xFAFF),
)  # fmt: skip
"""First and last code of the blocks whose characters are units of their own."""
KANA = ((0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))
PACKAGES = {"Japanese": ("nagisa", "ja", "character"), "Korean": ("soynlp", "ko", "space")}
"""Language to the package that cuts it, the extra with that package, and where it is cut without it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit and its place in the text."""

    text: str
    """Letters, digits and apostrophes only."""
    start: int
    """Index of its first character in the text."""
    end: int
    """Index after its last character."""


def check_language(language: str) -> None:
    """Raise SettingsError for the full name of a language that the aligner does not know."""
    if language not in LANGUAGES:
        raise SettingsError(f"The forced aligner does not know {language}. It knows {', '.join(LANGUAGES)}.")


def units(text: str, language: str) -> list[Unit]:
    """The units of `text`, in order; none where it has no letter and no digit.

    Args:
        language: full name, such as `Japanese`.
    """
    if has_package(language):
        words = [_cleaned(word) for word in CUTTERS[language](text)]
        return list(_placed([word for word in words if word], text, normal=language == "Japanese"))
    blocks = IDEOGRAPHS + KANA if language == "Japanese" else IDEOGRAPHS
    words = [word for segment in text.split() for word in _singled(_cleaned(segment), blocks)]
    return list(_placed(words, text))


def has_package(language: str) -> bool:
    """True if words of this language are cut by a package that is installed."""
    return language in PACKAGES and find_spec(PACKAGES[language][0]) is not None


def missing_package(language: str) -> str | None:
    """One sentence for the user where a package would cut the words of this language; else None."""
    if language not in PACKAGES or has_package(language):
        return None
    package, extra, edge = PACKAGES[language]
    return (
        f"{language} text is cut at every {edge}, because {package} is not installed; for words as the aligner learned "
        f'them, run uv tool install ".[{extra}]" in a clone.'
    )


def _cleaned(text: str) -> str:
    return "".join(filter(_stays, text))


def _stays(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LN"


def _singled(text: str, blocks: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """The characters of these blocks one by one, and what is between them."""
    other = ""
    for character in text:
        if any(first <= ord(character) <= last for first, last in blocks):
            if other:
                yield other
            yield character
            other = ""
        else:
            other += character
    if other:
        yield other


def _placed(words: list[str], text: str, normal: bool = False) -> Iterator[Unit]:
    """Each word with its place: together they have all characters of the text that stay, in order.

    Args:
        normal: the words were cut from the text in Unicode's form NFKC.
    """
    form: Callable[[str], str] = (lambda c: unicodedata.normalize("NFKC", c)) if normal else str
    places = [i for i, character in enumerate(text) for part in form(character) if _stays(part)]
    done = 0
    for word in words:
        mine = places[done : done + len(word)] or [len(text) - 1]
        yield Unit(word, mine[0], mine[-1] + 1)
        done += len(word)


def _cut_japanese(text: str) -> list[str]:
    import nagisa  # late: optional, and slow to load

    words: list[str] = nagisa.tagging(text).words
    return words


def _cut_korean(text: str) -> list[str]:
    words: list[str] = _korean_tokenizer()(text)
    return words


@cache
def _korean_tokenizer() -> Callable[[str], list[str]]:
    from soynlp.tokenizer import LTokenizer  # late: optional, and slow to load

    listed = importlib.resources.files("livecap.align").joinpath("korean_words.txt").read_text(encoding="utf-8")
    tokenize: Callable[[str], list[str]] = LTokenizer(scores=dict.fromkeys(listed.split(), 1.0)).tokenize
    return tokenize


CUTTERS: dict[str, Callable[[str], list[str]]] = {"Japanese": _cut_japanese, "Korean": _cut_korean}
"""Language to the function that cuts its text, with the package of that language."""
