"""Makes untrusted text safe to print: text from a model, a device, a file name or an old log.

A control byte can clear the screen, retitle the window or type for the user; a bidi override can show words in another
order. Markup is not handled here: code that draws must not interpret it.
"""

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
