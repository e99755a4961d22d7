"""The 30 languages of Qwen3-ASR: the names that the model writes, their ISO 639 codes, and other names that people use.

The model also knows 22 Chinese dialects. It writes them as Chinese or Cantonese, so that is what a dialect forces.
"""

import difflib
import unicodedata

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

ALIASES = {
    "Chinese": ("zho", "chi", "cmn", "mandarin", "putonghua", "zhongwen", "中文", "汉语", "漢語", "普通话", "國語"),
    "English": ("eng",),
    "Cantonese": ("zh-yue", "zh-hk", "guangdonghua", "粤语", "粵語", "广东话", "廣東話"),
    "Arabic": ("ara", "العربية"),
    "German": ("deu", "ger", "deutsch"),
    "French": ("fra", "fre", "français"),
    "Spanish": ("spa", "español", "castellano", "castilian"),
    "Portuguese": ("por", "português"),
    "Indonesian": ("ind", "bahasa indonesia"),
    "Italian": ("ita", "italiano"),
    "Korean": ("kor", "한국어"),
    "Russian": ("rus", "русский"),
    "Thai": ("tha", "ไทย"),
    "Vietnamese": ("vie", "tiếng việt"),
    "Japanese": ("jpn", "日本語"),
    "Turkish": ("tur", "türkçe"),
    "Hindi": ("hin", "हिन्दी"),
    "Malay": ("msa", "may", "bahasa melayu"),
    "Dutch": ("nld", "dut", "nederlands", "flemish"),
    "Swedish": ("swe", "svenska"),
    "Danish": ("dan", "dansk"),
    "Finnish": ("fin", "suomi"),
    "Polish": ("pol", "polski"),
    "Czech": ("ces", "cze", "čeština"),
    "Filipino": ("tl", "tgl", "tagalog"),
    "Persian": ("fas", "per", "farsi", "فارسی"),
    "Greek": ("ell", "gre", "ελληνικά"),
    "Romanian": ("ron", "rum", "română", "moldovan"),
    "Hungarian": ("hun", "magyar"),
    "Macedonian": ("mkd", "mac", "македонски"),
}
"""Name to other names: ISO 639-2 and 639-3 codes, the language's own name, names in common use."""

DIALECTS = {
    "Anhui": "Chinese", "Dongbei": "Chinese", "Fujian": "Chinese", "Gansu": "Chinese", "Guizhou": "Chinese",
    "Hebei": "Chinese", "Henan": "Chinese", "Hubei": "Chinese", "Hunan": "Chinese", "Jiangxi": "Chinese",
    "Ningxia": "Chinese", "Shandong": "Chinese", "Shaanxi": "Chinese", "Shanxi": "Chinese", "Sichuan": "Chinese",
    "Tianjin": "Chinese", "Yunnan": "Chinese", "Zhejiang": "Chinese", "Cantonese (Hong Kong)": "Cantonese",
    "Cantonese (Guangdong)": "Cantonese", "Wu": "Chinese", "Minnan": "Chinese",
}  # fmt: skip
"""The Chinese dialects in the table of released models (README of QwenLM/Qwen3-ASR), each with the language that is
forced for it."""
DIALECT_ALIASES = {"shanghainese": "Wu", "wuu": "Wu", "hokkien": "Minnan", "nan": "Minnan", "taiwanese": "Minnan"}


def parse_language(text: str) -> str:
    """The full name of a language given as a name, a code, a code with a region such as en-GB, or a dialect.

    Raises:
        SettingsError: not one of the 30; names the nearest.
    """
    known = _names()
    wanted = _plain(text)
    base = wanted.partition("-")[0]
    for key in (wanted, base if len(base) in (2, 3) else ""):
        if key in known:
            return known[key]
    near = dict.fromkeys(known[key] for key in difflib.get_close_matches(wanted, known, n=4, cutoff=0.6))
    found = f"Nearest: {', '.join(near)}." if near else f"Known: {', '.join(LANGUAGES)}."
    raise SettingsError(
        f'No language named "{text.strip()[:60]}". {found} ISO codes such as en or zh also work; '
        "`livecap languages` lists all names."
    )


def normalize_language(name: str) -> str:
    """A language name as the model writes it: first letter upper case, the rest lower."""
    name = name.strip()
    return name[:1].upper() + name[1:].lower()


def _names() -> dict[str, str]:
    """Every name that `parse_language` takes, in its plain form, to the language."""
    known = {_plain(name): language for name, language in DIALECTS.items()}
    known |= {alias: DIALECTS[dialect] for alias, dialect in DIALECT_ALIASES.items()}
    known |= {_plain(alias): language for language, aliases in ALIASES.items() for alias in aliases}
    for language, code in LANGUAGE_CODES.items():
        known |= {_plain(language): language, code: language}
    return known


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold().replace("_", "-")
