"""HTML export: one page with transcript and search and, if sound was kept, the sound with its waveform. It needs no
network, and its Content-Security-Policy allows none.
"""

import base64
import hashlib
import html
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

from livecap.archive.recorded import Document, Fact, Utterance
from livecap.export.cues import units_of
from livecap.text.languages import LANGUAGE_CODES
from livecap.text.safety import printable
from livecap.transcript import SAMPLE_RATE, AudioGap, Marked, Paused, UtteranceEnded, UtteranceSettled

N_PEAKS = 600
"""Number of columns of the waveform."""
N_COLOURS = 8
"""Colours of speakers in page.css; further speakers begin with the first again."""
READ_BYTES = 3 << 18
"""Bytes of sound per read: a multiple of 3, so that pieces in base64 can be joined."""


def html_pieces(session: Document, word_times: bool = False) -> Iterator[str]:
    """The page in pieces.

    Args:
        word_times: mark each word with its times, which a page with sound always does.
    """
    style, script = _resource("page.css"), _resource("page.js")
    sounds = _longest_first(session.kept_sounds)
    title = session.title or session.clock.date
    yield f"""<!DOCTYPE html>
<html lang="{_code(next(iter(session.languages), ""))}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="livecap">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; media-src blob:; \
style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'">
<title>{_text(title)}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
<p class="about">{_text(_about(session))}</p>
</header>
<div id="bar">
<input id="search" type="search" placeholder="Search" aria-label="Search the transcript" autocomplete="off">
<span id="count" role="status"></span>
<div id="player" hidden>
<button id="play" type="button">Play</button>
<canvas id="wave" aria-label="Waveform; click to listen" data-peaks="{_peaks(list(sounds.values()))}"></canvas>
<span id="clock"></span>
</div>
</div>
<main>
"""
    colours = {label: number % N_COLOURS for number, label in enumerate(session.speakers)}
    for fact in session.facts():
        yield _fact(session, fact, word_times or bool(sounds), colours)
    yield "</main>\n"
    for track, path in sounds.items():
        yield f'<script class="sound" type="text/plain" data-type="audio/flac" data-track="{_text(track)}">'
        yield from _base64(path)
        yield "</script>\n"
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _fact(session: Document, fact: Fact, with_times: bool, colours: Mapping[str, int]) -> str:
    match fact:
        case UtteranceEnded() | UtteranceSettled():
            if not fact.text.strip():
                return ""
            colour = f" c{colours[fact.speaker]}" if fact.speaker in colours else ""
            label = f'<span class="label{colour}">{_text(fact.label)}</span>' if fact.label else ""
            language = f' lang="{_code(fact.language)}"' if fact.language else ""
            text = _words(fact) if with_times else _text(fact.text.strip())
            # The label is outside the text, so that search does not find it.
            body = f'<span>{label}<span class="text"{language} dir="auto">{text}</span></span>'
            return _paragraph(fact.start_sample, fact.track, session.clock.at_fact(fact), "", body)
        case Marked():
            note = _text(f"★ {fact.note}".rstrip())
            body = f'<span class="text" dir="auto">{note}</span>'
            return _paragraph(fact.sample, fact.track, session.clock.at_fact(fact), "mark", body)
        case AudioGap():
            return _remark(session.clock.at_fact(fact), f"— {fact.remark} —")
        case Paused():
            return _remark(session.clock.at_fact(fact), "— paused —")
        case _:
            return ""


def _paragraph(sample: int, track: str, at: str, name: str, body: str) -> str:
    milliseconds = sample * 1000 // SAMPLE_RATE
    anchor = f"{track}-{sample}" if track else str(sample)
    time = f'<a class="time" href="#{_text(anchor)}">{at}</a>'
    kind = f' class="{name}"' if name else ""
    return f'<p id="{_text(anchor)}"{kind} data-s="{milliseconds}">{time}{body}</p>\n'


def _remark(at: str, text: str) -> str:
    return f'<div class="remark"><span class="time">{at}</span><span class="text">{_text(text)}</span></div>\n'


def _words(utterance: Utterance) -> str:
    pieces: list[str] = []
    for unit in units_of(utterance):
        start, end = (sample * 1000 // SAMPLE_RATE for sample in (unit.start_sample, unit.end_sample))
        word = unit.text.lstrip()
        space = " " if len(word) < len(unit.text) and pieces else ""
        pieces.append(f'{space}<span data-s="{start}" data-e="{end}">{_text(word)}</span>')
    return "".join(pieces)


def _text(text: str) -> str:
    """Text escaped for use between tags and inside a quoted attribute."""
    return html.escape(printable(text), quote=True)


def _about(session: Document) -> str:
    minutes = round(session.seconds / 60)
    length = f"{session.seconds:.0f} s" if session.seconds < 60 else f"{minutes} min"
    parts = [session.clock.date if session.title else "", length, session.started.source, session.started.model]
    return " · ".join(part for part in parts if part)


def _code(language: str) -> str:
    """The value of a `lang` attribute; "und" for an unknown language."""
    return LANGUAGE_CODES.get(language, "und")


def _resource(name: str) -> str:
    return (resources.files("livecap.export") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _longest_first(sounds: Mapping[str, Path]) -> dict[str, Path]:
    """The sounds of all tracks, those of the same length in their order: the page takes its time from the first."""
    if len(sounds) < 2:
        return dict(sounds)
    from livecap.audio_out.waveform import length_seconds

    return dict(sorted(sounds.items(), key=lambda sound: length_seconds(sound[1]), reverse=True))


def _peaks(sounds: list[Path]) -> str:
    """The loudest of all sounds in each part of the first, which is the longest."""
    if not sounds:
        return ""
    from livecap.audio_out.waveform import length_seconds, peaks

    seconds = length_seconds(sounds[0])
    together = [max(column) for column in zip(*(peaks(path, N_PEAKS, seconds) for path in sounds), strict=True)]
    return ",".join(map(str, together))


def _base64(sound: Path) -> Iterator[str]:
    from livecap.audio_out.waveform import write_flac

    with TemporaryDirectory(prefix="livecap-") as folder:
        path = sound
        if sound.suffix != ".flac":
            path = Path(folder) / "sound.flac"
            write_flac(sound, path)
        with open(path, "rb") as file:
            while data := file.read(READ_BYTES):
                yield base64.b64encode(data).decode()
