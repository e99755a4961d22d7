"""Text to token ids and back: the byte-level BPE of Qwen2 and its added tokens.

    tokenizer.json, or vocab.json + merges.txt + tokenizer_config.json ─▶ plain BPE, and the added tokens separately

The BPE does not know the added tokens. So no text makes `encode` produce a control token; callers ask for one by name.
Decoding joins bytes, because a character may be split between two tokens.
"""

import codecs
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from livecap.errors import ModelError, brief
from livecap.model.files import AGAIN, read_bytes, read_json
from livecap.text.safety import encodable

ASR_TEXT = "<asr_text>"
"""Separates the language from the text."""
MOST_TOKEN_LENGTH = 16
"""Characters that a token has at most, on average over a text."""
_BETWEEN = r"\s,;、，；。．・｜|/"
_LAST_WORD = re.compile(rf"(?<![{_BETWEEN}])[{_BETWEEN}]+[^{_BETWEEN}]{{0,40}}\Z")
"""The last word of a text, which may be cut off, and the separator before it. What is longer is no word."""
MOST_IDS = 1 << 24
"""Ids of a vocabulary; the released tokenizers have 151,705."""
MOST_ADDED = 10_000
"""Added tokens; the released tokenizers have 62."""
MOST_ADDED_LENGTH = 1000
"""Characters of an added token."""

# contractions; letters with one other character before them; single digits; runs of signs; line ends; spaces
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class AddedToken:
    """A token that is not made by merges."""

    id: int
    content: str
    special: bool
    """Special tokens are left out of decoded text. `<asr_text>` is added, but not special."""


class Tokenizer:
    """The tokenizer of a checkpoint."""

    def __init__(self, bpe: tokenizers.Tokenizer, added: Sequence[AddedToken]) -> None:
        self._bpe = bpe
        self._added = {token.id: token for token in added}
        self._id_of = {token.content: token.id for token in added}
        self._bytes_of: dict[int, bytes] = {}

    @classmethod
    def from_folder(cls, folder: Path) -> "Tokenizer":
        """Read the tokenizer in a checkpoint's folder.

        Raises:
            ModelError: a file is missing or damaged.
        """
        if (folder / "tokenizer.json").exists():
            return cls(*_from_tokenizer_json(folder / "tokenizer.json"))
        return cls(*_from_vocabulary(folder))

    @property
    def vocab_size(self) -> int:
        """The highest id plus one."""
        return max([*self._bpe.get_vocab().values(), *self._added], default=-1) + 1

    @property
    def asr_text_id(self) -> int:
        """The id of `<asr_text>`."""
        return self.token_id(ASR_TEXT)

    def token_id(self, content: str) -> int:
        """The id of an added token, by its name.

        Raises:
            ModelError: this tokenizer has no such token.
        """
        token_id = self._id_of.get(content, self._bpe.token_to_id(content))
        if token_id is None:
            raise ModelError(f"This model's tokenizer has no token {content}; it is not a Qwen3-ASR tokenizer.")
        return token_id

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`. The names of added tokens in it are plain text, and half of a surrogate pair is a
        question mark."""
        return list(self._bpe.encode(encodable(text), add_special_tokens=False).ids)

    def beginning(self, text: str, most: int) -> str:
        """The beginning of `text` with at most `most` tokens, up to the end of a name or word; all of it if it fits.

        Half of a surrogate pair becomes a question mark.

        The time that it takes is bounded, however long the text is.
        """
        text = encodable(text)
        head = text[: MOST_TOKEN_LENGTH * most]
        ids = self.encode(head)
        if len(head) == len(text) and len(ids) <= most:
            return text
        cut = self.decode_whole_characters(ids[:most])
        if whole_words := _LAST_WORD.sub("", cut, count=1):
            cut = whole_words
        following = (self.decode_whole_characters(ids) + text[len(head) : len(head) + 1])[len(cut) :][:1]
        while cut and unicodedata.category(following or " ")[0] == "M":
            cut, following = cut[:-1], cut[-1]
        return cut

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """The text of `ids`. Invalid bytes become U+FFFD."""
        return self.to_bytes(ids, skip_special).decode("utf-8", errors="replace")

    def decode_whole_characters(self, ids: Iterable[int]) -> str:
        """Like `decode`, without an incomplete character at the end."""
        return _new_decoder().decode(self.to_bytes(ids))

    def ends_whole(self, ids: Iterable[int]) -> bool:
        """False if `ids` end inside a character, which more tokens could complete."""
        decoder = _new_decoder()
        decoder.decode(self.to_bytes(ids))
        held_back, _ = decoder.getstate()
        return not held_back

    def to_bytes(self, ids: Iterable[int], skip_special: bool = True) -> bytes:
        """The UTF-8 bytes of `ids`. An unknown id has none."""
        return b"".join(self._token_bytes(i) for i in ids if not (skip_special and self._is_special(i)))

    def _is_special(self, token_id: int) -> bool:
        added = self._added.get(token_id)
        return added is not None and added.special

    def _token_bytes(self, token_id: int) -> bytes:
        known = self._bytes_of.get(token_id)
        if known is None:
            added = self._added.get(token_id)
            known = added.content.encode() if added else _symbols_to_bytes(self._bpe.id_to_token(token_id) or "")
            self._bytes_of[token_id] = known
        return known


def _new_decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")(errors="replace")


def _from_tokenizer_json(path: Path) -> tuple[tokenizers.Tokenizer, list[AddedToken]]:
    """The plain BPE and the added tokens of a tokenizer.json."""
    spec = read_json(path)
    entries = _objects(spec.get("added_tokens", []))
    added = _added_tokens(path, [(entry.get("id"), entry) for entry in entries])
    model = spec.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE":
        raise ModelError(f"{path} does not contain a BPE tokenizer, which Qwen3-ASR has.")
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if isinstance(vocabulary, dict) and isinstance(merges, list) and len(merges) > len(vocabulary):
        raise ModelError(f"{path} is damaged: {_too_many(len(merges), vocabulary)}. {AGAIN}")
    if isinstance(vocabulary, dict):
        _check_ids(path, vocabulary)
    plain = {**spec, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(plain)), added
    except Exception as error:  # the tokenizers library raises nothing more specific
        raise ModelError(f"{path} is damaged: {error}. {AGAIN}") from error


def _from_vocabulary(folder: Path) -> tuple[tokenizers.Tokenizer, list[AddedToken]]:
    """The plain BPE of vocab.json and merges.txt, and the added tokens of tokenizer_config.json."""
    config = read_json(folder / "tokenizer_config.json")
    entries = config.get("added_tokens_decoder")
    if not isinstance(entries, dict):
        raise ModelError(
            f"{folder / 'tokenizer_config.json'} has no added_tokens_decoder, which lists the added tokens."
        )
    path = folder / "tokenizer_config.json"
    added = _added_tokens(path, list(entries.items()))
    vocabulary = read_json(folder / "vocab.json")
    _check_ids(folder / "vocab.json", vocabulary)
    merges_path = folder / "merges.txt"
    data = read_bytes(merges_path)
    if (n_lines := data.count(b"\n")) > len(vocabulary) + 2:
        raise ModelError(f"{merges_path} does not fit {folder / 'vocab.json'}: {_too_many(n_lines, vocabulary)}.")
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ModelError(f"{merges_path} is damaged: not UTF-8. {AGAIN}") from error
    if any(line.count(" ") != 1 for line in lines if line and not line.startswith("#version")):
        raise ModelError(f"{merges_path} is damaged: a line is not a pair. {AGAIN}")
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    try:
        model = models.BPE(vocab=cast(dict[str, int], vocabulary), merges=cast(list[tuple[str, str]], merges))
    except Exception as error:  # the tokenizers library raises nothing more specific
        raise ModelError(f"{merges_path} does not fit {folder / 'vocab.json'}: {error}.") from error
    bpe = tokenizers.Tokenizer(model)
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    return bpe, added


def _check_ids(path: Path, vocabulary: Mapping[str, object]) -> None:
    """Raise ModelError where an id in a vocabulary is not a whole number that a tokenizer can have."""
    for token, token_id in vocabulary.items():
        if type(token_id) is not int or not 0 <= token_id < MOST_IDS:
            raise ModelError(f"{path} is damaged: {brief(token)} has the id {brief(token_id)}. {AGAIN}")


def _too_many(n_merges: int, vocabulary: Mapping[str, object]) -> str:
    """What is wrong with this number of merges; each makes a word of the vocabulary."""
    return f"{n_merges:,} merges for a vocabulary of {len(vocabulary):,}"


def _added_tokens(path: Path, entries: Sequence[tuple[object, object]]) -> list[AddedToken]:
    """The added tokens of (id, entry) pairs in a file."""
    if len(entries) > MOST_ADDED:
        raise ModelError(f"{path} has {len(entries):,} added tokens; at most {MOST_ADDED:,} are read.")
    return [_added_token(path, token_id, entry) for token_id, entry in entries]


def _added_token(path: Path, token_id: object, entry: object) -> AddedToken:
    content = entry.get("content") if isinstance(entry, dict) else None
    number = brief(token_id).strip("'")
    if not isinstance(entry, dict) or not isinstance(content, str) or not number.isdecimal():
        raise ModelError(f"{path} is damaged: an added token has no id or no content. {AGAIN}")
    if len(content) > MOST_ADDED_LENGTH:
        raise ModelError(f"{path} is damaged: an added token has {len(content):,} characters. {AGAIN}")
    return AddedToken(int(number), content, bool(entry.get("special", False)))


def _objects(value: object) -> list[dict[str, object]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _byte_symbols() -> dict[str, int]:
    """The printable character that represents each byte in a byte-level vocabulary (the table of GPT-2)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    symbols = {chr(byte): byte for byte in printable}
    symbols.update({chr(256 + n): byte for n, byte in enumerate(others)})
    return symbols


_BYTE_OF_SYMBOL = _byte_symbols()


def _symbols_to_bytes(token: str) -> bytes:
    """The bytes of a vocabulary entry. An entry with other characters represents itself."""
    if all(symbol in _BYTE_OF_SYMBOL for symbol in token):
        return bytes(_BYTE_OF_SYMBOL[symbol] for symbol in token)
    return token.encode()
