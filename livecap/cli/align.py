"""`livecap align`: when each word of a known text was said in a recording, by the forced aligner."""

import argparse
import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from livecap.cli.arguments import add_setting, value_of
from livecap.cli.export import FORMATS_ONCE, add_folder
from livecap.errors import LogError, SettingsError
from livecap.export.cues import cues
from livecap.export.formats import FileExists, subrip
from livecap.files import make_folder, read_regular, replace_file, shortened_name
from livecap.settings.fields import DEFAULT_ALIGNER, Settings
from livecap.settings.values import PATH
from livecap.text.languages import parse_language
from livecap.text.printing import say, send
from livecap.text.safety import json_text, printable
from livecap.transcribe.found import MOST_STEM_BYTES
from livecap.transcript import SAMPLE_RATE, UtteranceEnded

FORMATS = ("json", "srt", "tsv")
MOST_BYTES = 16 << 20
"""The longest text; what is said in a day has less than 1 MB."""
ABOUT = f"""\
Find when each word of a known text was said in a recording. The text must be what is said; nothing is recognised.

Languages: Chinese, English, Cantonese, French, German, Italian, Japanese, Korean, Portuguese, Russian, Spanish. The
model, {DEFAULT_ALIGNER}, is downloaded at the first use (1.8 GB). It takes 300 s of sound at once;
for a longer recording, --model recognises it first, to divide the text among pieces of it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `livecap align`."""
    parser.description, parser.formatter_class = ABOUT, argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", metavar="FILE", type=value_of(PATH), help="the recording")
    parser.add_argument("text", metavar="TEXT", help="what is said in it; @FILE reads it from a file, @- from a pipe")
    add_setting(parser, "language", help="language of the text, such as English or en")
    parser.add_argument(
        "-f", "--format", metavar="FORMATS", type=_formats, default=["json"], action=FORMATS_ONCE,
        help=f"{','.join(FORMATS)}, or all (default: json)",
    )  # fmt: skip
    add_folder(parser)
    add_setting(parser, "aligner", help=f"forced aligner: a folder or a repository (default: {DEFAULT_ALIGNER})")
    add_setting(parser, "model", help="recogniser for recordings of more than 300 s (default: that of the settings)")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Align and write or print the words; returns the exit status."""
    if not settings.language:
        raise SettingsError("Say which language the text is in, such as --language English.")
    language = parse_language(settings.language)
    text = " ".join(_text(options.text).encode("utf-8", "replace").decode().split())
    printed = str(options.folder) == "-"
    if printed and len(options.format) != 1:
        raise SettingsError("Only one format can be printed. Choose one with -f, or write to a folder with -o.")
    stem = shortened_name(options.file.stem, MOST_STEM_BYTES)
    paths = {} if printed else {name: options.folder / f"{stem}.{name}" for name in options.format}
    existing = next((path for path in paths.values() if os.path.lexists(path)), None)
    if existing and not options.overwrite:
        raise FileExists(f"{existing} exists already. Choose another folder with -o, or add --overwrite.")
    from livecap.cli.align_work import aligned  # loads the model's code

    spoken = aligned(options.file, text, language, settings)
    if printed:
        send(_pieces(spoken, options.format[0], options.file.name))
    for name, path in paths.items():
        try:
            make_folder(path.parent)
            replace_file(path, _pieces(spoken, name, options.file.name))
        except OSError as error:
            raise LogError(f"Cannot write {path}: {error.strerror or error}.") from None
        say(str(path))
    return 0


def _text(given: str) -> str:
    """The text of the argument TEXT.

    Raises:
        SettingsError: the file that it names cannot be read, or there is no word in it.
    """
    if not given.startswith("@"):
        if os.path.isfile(given):
            raise SettingsError(f"TEXT is what is said. To read it from the file {given}, write @{given}.")
        text = given
    else:
        try:
            text = _bytes_of(given[1:]).decode("utf-8-sig")
        except OSError as error:
            raise SettingsError(f"Cannot read the text {given[1:]}: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise SettingsError(f"The text {given[1:]} is not UTF-8. Save it as UTF-8 text and try again.") from None
    if not any(character.isalnum() for character in text):
        raise SettingsError("There is no word in the text, so there is nothing to align.")
    return text


def _bytes_of(name: str) -> bytes:
    """What is in a file, or comes through a pipe: `-`, or /dev/fd/63 as the shell names that of `<(command)`.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger than `MOST_BYTES`.
    """
    is_pipe = name.startswith(("/dev/fd/", "/dev/stdin")) and stat.S_ISFIFO(os.stat(name).st_mode)
    if name != "-" and not is_pipe:
        return read_regular(Path(os.path.expanduser(name)), MOST_BYTES)
    with open(name, "rb") if is_pipe else nullcontext(sys.stdin.buffer) as pipe:
        data = pipe.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MOST_BYTES:,} bytes")
    return data


def _pieces(spoken: UtteranceEnded, format_name: str, file_name: str) -> Iterator[str]:
    """The text of an output file."""
    if format_name == "srt":
        yield from subrip(cues([spoken], labels=False))
    elif format_name == "tsv":
        yield "start\tend\ttext\n"
        for word in spoken.words:
            start, end = (sample * 1000 // SAMPLE_RATE for sample in (word.start_sample, word.end_sample))
            yield f"{start}\t{end}\t{printable(word.text)}\n"
    else:
        words = [
            {
                "text": word.text,
                "start": round(word.start_sample / SAMPLE_RATE, 3),
                "end": round(word.end_sample / SAMPLE_RATE, 3),
            }
            for word in spoken.words
        ]
        head = {"file": file_name, "language": spoken.language, "text": spoken.text, "words": words}
        yield json_text(head, indent=2) + "\n"


def _formats(text: str) -> list[str]:
    names = list(FORMATS) if text == "all" else [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in FORMATS:
            raise argparse.ArgumentTypeError(f"must be some of {','.join(FORMATS)}, or all, not {name!r}")
    return list(dict.fromkeys(names))
