"""Text to token ids and back: the byte-level BPE of Qwen2 and its added tokens.

    tokenizer.json, or vocab.json + merges.txt + tokenizer_config.json ─▶ plain BPE, and the added tokens separately

The BPE does not know the added tokens. So no text makes `encode` produce a control token; callers ask for one by name.
Decoding joins bytes, because a character may be split between two tokens.
"""

import codecs
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from livecap.errors import ModelError

ASR_TEXT = "<asr_text>"
"""Separates the language from the text."""

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
        if (folder / "tokenizer.json").is_file():
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
        """Token ids of `text`. The names of added tokens in it are plain text."""
        return list(self._bpe.encode(text, add_special_tokens=False).ids)

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


def read_json(path: Path, required: bool = True) -> dict[str, object]:
    """The object in a JSON file; empty if the file is missing and not `required`.

    Raises:
        ModelError: the file is missing, unreadable, not JSON, or not an object.
    """
    if not required and not path.exists():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path.parent} has no {path.name}: not a complete Qwen3-ASR checkpoint.") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # not UTF-8, or not JSON
        raise ModelError(f"{path} is damaged: not JSON ({error}). Download the model again.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} is damaged: expected a JSON object, found {type(value).__name__}.")
    return value


def _new_decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")(errors="replace")


def _from_tokenizer_json(path: Path) -> tuple[tokenizers.Tokenizer, list[AddedToken]]:
    """The plain BPE and the added tokens of a tokenizer.json."""
    spec = read_json(path)
    added = [_added_token(path, entry.get("id"), entry) for entry in _objects(spec.get("added_tokens", []))]
    model = spec.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE":
        raise ModelError(f"{path} does not contain a BPE tokenizer, which Qwen3-ASR has.")
    plain = {**spec, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(plain)), added
    except Exception as error:  # the tokenizers library raises nothing more specific
        raise ModelError(f"{path} is damaged: {error}. Download the model again.") from error


def _from_vocabulary(folder: Path) -> tuple[tokenizers.Tokenizer, list[AddedToken]]:
    """The plain BPE of vocab.json and merges.txt, and the added tokens of tokenizer_config.json."""
    config = read_json(folder / "tokenizer_config.json")
    entries = config.get("added_tokens_decoder")
    if not isinstance(entries, dict):
        raise ModelError(
            f"{folder / 'tokenizer_config.json'} has no added_tokens_decoder, which lists the added tokens."
        )
    path = folder / "tokenizer_config.json"
    added = [_added_token(path, key, entry) for key, entry in entries.items()]
    vocabulary = {token: i for token, i in read_json(folder / "vocab.json").items() if isinstance(i, int)}
    merges_path = folder / "merges.txt"
    if not merges_path.is_file():
        raise ModelError(f"{folder} has no merges.txt: not a complete Qwen3-ASR checkpoint.")
    lines = merges_path.read_text(encoding="utf-8").split("\n")
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    if any(len(pair) != 2 for pair in merges):
        raise ModelError(f"{merges_path} is damaged: a line is not a pair. Download the model again.")
    try:
        model = models.BPE(vocab=vocabulary, merges=cast(list[tuple[str, str]], merges))
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


def _added_token(path: Path, token_id: object, entry: object) -> AddedToken:
    content = entry.get("content") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(content, str) or not str(token_id).isdecimal():
        raise ModelError(f"{path} is damaged: an added token has no id or no content. Download the model again.")
    return AddedToken(int(str(token_id)), content, bool(entry.get("special", False)))


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
