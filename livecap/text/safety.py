"""Makes untrusted text safe to print: text from a model, a device, a file name or an old log.

A control byte can clear the screen, retitle the window or type for the user; a bidi override can show words in another
order. Markup is not handled here: code that draws must not interpret it.
"""

import json
import re
from collections.abc import Callable
from typing import Any

_DELETED = [
    *range(0x00, 0x20),  # C0, with ESC, BEL and backspace
    *range(0x7F, 0xA0),  # DEL and C1, with the one-byte CSI and OSC
    0x00AD,  # soft hyphen: its width differs between terminals
    *range(0x202A, 0x202F),  # bidi embeddings and overrides
    *range(0x2066, 0x206A),  # bidi isolates
    0xFEFF,  # byte order mark
    *range(0xFFF9, 0xFFFC),  # interlinear annotation
    *range(0xE0000, 0xE0080),  # tags: invisible text
]
_SPACES = [0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029]
_TABLE: dict[int, str | None] = {
    **dict.fromkeys(_DELETED),
    **dict.fromkeys(_SPACES, " "),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),  # half a surrogate pair cannot be encoded in UTF-8
}


def printable(text: str) -> str:
    """`text` without the characters that a terminal would act on; tabs and line ends become spaces.

    Works character by character, so the printable form of two joined texts is the two printable forms, joined: stable
    text that only grows also only grows on the screen.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_TABLE)


def encodable(text: str) -> str:
    """`text` with a question mark for each half of a surrogate pair, which JSON can hold and UTF-8 cannot."""
    return text if text.isascii() else text.encode(errors="replace").decode()


_ESCAPED = re.compile(
    "[\x7f-\x9f\xad\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""What JSON need not escape, but a terminal or a line reader acts on: DEL, C1, line separators, all bidi controls."""


def json_text(value: Any, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    """A value as JSON that is safe to print: the characters that a terminal would act on are escaped, others are not.

    Args:
        default: converts what JSON has no type for, as in `json.dumps`.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=default)
    return text if text.isascii() and "\x7f" not in text else _ESCAPED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
