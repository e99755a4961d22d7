"""The 30 languages of Qwen3-ASR: the names that the model writes, and their ISO 639 codes."""

import difflib

from livecap.errors import SettingsError

LANGUAGE_CODES = {
    "Chinese": "zh", "English": "en", "Cantonese": "yue", "Arabic": "ar", "German": "de", "French": "fr",
    "Spanish": "es", "Portuguese": "pt", "Indonesian": "id", "Italian": "it", "Korean": "ko", "Russian": "ru",
    "Thai": "th", "Vietnamese": "vi", "Japanese": "ja", "Turkish": "tr", "Hindi": "hi", "Malay": "ms",
    "Dutch": "nl", "Swedish": "sv", "Danish": "da", "Finnish": "fi", "Polish": "pl", "Czech": "cs",
    "Filipino": "fil", "Persian": "fa", "Greek": "el", "Romanian": "ro", "Hungarian": "hu", "Macedonian": "mk",
}  # fmt: skip
"""Name to code, in the order of the official package. Also the values of `lang` in HTML."""

LANGUAGES = tuple(LANGUAGE_CODES)


def parse_language(text: str) -> str:
    """The full name of a language given as a name or an ISO code, in any case.

    Raises:
        SettingsError: not one of the 30; names the nearest.
    """
    wanted = text.strip().casefold()
    for name, code in LANGUAGE_CODES.items():
        if wanted in (name.casefold(), code):
            return name
    near = difflib.get_close_matches(normalize_language(text), LANGUAGES, n=3, cutoff=0.5)
    found = f"Nearest: {', '.join(near)}." if near else f"Known: {', '.join(LANGUAGES)}."
    raise SettingsError(f'No language named "{text.strip()}". {found} ISO codes such as en or zh also work.')


def normalize_language(name: str) -> str:
    """A language name as the model writes it: first letter upper case, the rest lower."""
    name = name.strip()
    return name[:1].upper() + name[1:].lower()
