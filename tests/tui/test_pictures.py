"""Every screen at three sizes looks as in its stored picture, in two themes; `make snapshots` writes them again.

A picture is the text of the screen, and below it a letter for the look of each character: bold, faint, coloured and so
on, but not the exact shade, which changes with each release of Textual. `python scripts/picture.py` draws pixels.
"""

import os
from pathlib import Path

import pytest
from rich.color import Color
from textual.widgets import Input

from livecap.archive.archive import Archive
from livecap.session.measures import StepCost
from livecap.settings.fields import Settings
from livecap.stream.statistics import StageSeconds
from livecap.transcript import AudioGap, Marked, Notice, TextCommitted, UtteranceEnded, Word
from livecap.tui.app import LivecapApp
from livecap.tui.screens.device_screen import DeviceScreen
from livecap.tui.screens.diagnostics_screen import DiagnosticsScreen
from livecap.tui.screens.export_screen import ExportScreen
from livecap.tui.screens.help_screen import HelpScreen
from livecap.tui.screens.live_screen import LiveScreen
from livecap.tui.screens.model_screen import ModelScreen
from livecap.tui.screens.pick_screen import language_screen
from livecap.tui.screens.question_screen import LeaveScreen
from livecap.tui.screens.session_screen import SessionScreen
from livecap.tui.screens.sessions_screen import SessionsScreen
from tests.tui.machine import ScriptedChange, ScriptedMachine
from tests.tui.past_sessions import write_sessions
from tests.tui.scripted_session import STARTED, ScriptedSession
from tests.tui.shown import Shown

PICTURES = Path(__file__).with_name("pictures")
SIZES = [(60, 15), (100, 28), (150, 45)]
THEMES = ["textual-dark", "textual-light"]
SECOND = 16_000
TALK = [
    ("me", "Good morning everyone, let's get started with the weekly review. First on the list is the release."),
    ("them", "Priya is still waiting for the final numbers from finance. 会議は来週の月曜日に変わりました。"),
    ("them", "شكرا جزيلا. Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft."),
    ("me", "Does anyone see a problem with that date?"),
]


async def talk(shown, session, labelled=True):
    """Show some text with a mark, a gap and a partial, and a status."""
    for number, (track, text) in enumerate(TALK):
        session.say(text, utterance=number, second=number * 25, final=True, track=track if labelled else "")
    session.tell(Marked("", 80 * SECOND, "check with legal", STARTED))
    session.tell(AudioGap("", 82 * SECOND, 83 * SECOND))
    session.say(
        "The support team had forty two open", " tickets at the", utterance=9, second=90, track="me" if labelled else ""
    )
    session.becomes(arrived_samples=872 * SECOND, decoded_samples=870 * SECOND, level=0.24, language="English")
    session.becomes(n_gaps=1, gap_samples=SECOND, rtf=0.21)
    await shown.shows("tickets at the", "00:14:32")


def live(session, **options):
    options.setdefault("machine", ScriptedMachine())
    return LiveScreen(session, now=lambda: 1000.0, change=ScriptedChange(), **options)


async def draw_live(shown, session):
    await talk(shown, session)


async def draw_one_track(shown, session):
    await talk(shown, session, labelled=False)


async def draw_notice(shown, session):
    await talk(shown, session)
    session.tell(Notice('"Yeti" is gone. Waiting for it; nothing is heard meanwhile.', 0))


async def draw_search(shown, session):
    await talk(shown, session)
    await shown.press("slash")
    await shown.type("the")
    await shown.press("enter", "N")


async def draw_note(shown, session):
    await talk(shown, session)
    await shown.press("m")
    await shown.type("check with legal")


async def draw_captions(shown, session):
    await talk(shown, session)
    await shown.press("c")


async def draw_compact(shown, session):
    await talk(shown, session)
    await shown.press("z", "t")


async def draw_scrolled(shown, session):
    for number in range(40):
        session.say(f"number {number} of many", utterance=number, second=number * 5, final=True)
    await shown.shows("number 39 of many")
    await shown.press("pageup")
    await shown.shows_no("number 39 of many")
    session.say("the newest words", utterance=40, second=300)
    await shown.shows("1 new line")


LIVE = {
    "live": draw_live,
    "one-track": draw_one_track,
    "notice": draw_notice,
    "search": draw_search,
    "note": draw_note,
    "captions": draw_captions,
    "compact": draw_compact,
    "scrolled": draw_scrolled,
}


def other_screens(folder):
    """Screens without a running session: name to (screen, text that is shown once it is complete)."""
    machine, now = ScriptedMachine(), lambda: 1000.0
    session = ScriptedSession()
    session.becomes(log_path="sessions/2020")
    screen = live(session)
    for second in range(300, 873):
        lag = second % 70 // 10
        session.becomes(arrived_samples=second * SECOND, decoded_samples=(second - lag) * SECOND, rtf=0.1 + lag / 20)
        screen.history.note(session.status, float(second))
        compute = 0.1 + lag / 50
        stages = StageSeconds(mel=0.01, encoder=0.3 * compute, prefill=0.4 * compute, generate=0.2 * compute)
        session.costs.add(StepCost(float(second), "", 0.8, compute, lag / 20, stages))
        session.tell(TextCommitted("", second, "word", 0, second * SECOND))
        said = (second * 10 - 7 - lag) * SECOND // 10
        word = Word("word", said - SECOND, said, "step")
        session.tell(UtteranceEnded("", second, "word", 0, second * SECOND, "English", (word,)))
    return {
        "device": (DeviceScreen(machine, now), "dB"),
        "model": (ModelScreen(machine, now), "1.9 GB"),
        "language": (language_screen(machine.languages()), "Japanese"),
        "export": (ExportScreen(folder), "subtitles"),
        "question": (
            LeaveScreen("9 s of sound is not transcribed yet. livecap recover transcribes it later. Leave anyway?"),
            "y yes",
        ),
        "help": (HelpScreen(screen), "the clock stops"),
        "diagnostics": (DiagnosticsScreen(session, screen.history, lambda: ("memory", 73_000_000)), "lag"),
    }


LOOKS = {
    "": ".",
    "bold": "b",
    "faint": "f",
    "faint italic": "p",
    "colour": "c",
    "colour bold": "C",
    "colour underline": "u",
    "colour italic underline": "i",
    "reverse": "r",
}
"""Letters of the looks that a session has; others are written as a digit, with a legend."""
COLOURFUL = 48
"""A colour has at least this difference between its channels; less is a shade of grey."""
FAINT = 0.8
"""A grey with less contrast than this part of the contrast of plain text is faint."""
HIGHLIGHTED = 0.15
"""A background that differs from the screen's by more than this part of the contrast of plain text is a highlight."""


def brightness(colour):
    return sum(colour.triplet)


def is_colourful(colour):
    return max(colour.triplet) - min(colour.triplet) >= COLOURFUL


def look(style, background, contrast):
    """The style of a cell in words that do not depend on the theme: attributes, faint or coloured, highlighted."""
    words = [name for name in ("bold", "italic", "underline", "reverse") if getattr(style, name)]
    behind = style.bgcolor or background
    if is_colourful(behind) or abs(brightness(behind) - brightness(background)) > HIGHLIGHTED * contrast:
        return " ".join(["highlighted", *words])
    if style.color is None:
        return " ".join(words)
    if is_colourful(style.color):
        return " ".join(["colour", *words])
    is_faint = abs(brightness(style.color) - brightness(behind)) < FAINT * contrast
    return " ".join(["faint", *words] if is_faint else words)


def looks(app, strips):
    """A letter for the look of each character that is not a plain space, row by row."""
    colours = app.theme_variables
    background, foreground = (Color.parse(colours[name]) for name in ("background", "foreground"))
    contrast = abs(brightness(foreground) - brightness(background))
    letters, others, rows = LOOKS, {}, []
    for strip in strips:
        row = ""
        for segment in strip:
            found = look(segment.style, background, contrast)
            letter = letters.get(found) or others.setdefault(found, str(len(others) + 1))
            row += "".join(" " if character == " " and letter in ".bfpcC" else letter for character in segment.text)
        rows.append(row.rstrip())
    legend = [f"{letter} {found}" for found, letter in others.items()]
    return "\n".join(["  ".join(legend), *rows]).strip("\n")


async def pictured(shown, settle):
    """The screen at every size: its text, and the look of its characters, which must be equal in all themes."""
    parts = []
    for box in shown.app.screen.query(Input):
        box.cursor_blink = False
    for size in SIZES:
        await shown.pilot.resize_terminal(*size)
        seen = set()
        for theme in THEMES:
            shown.app.theme = theme
            await settle()
            await shown.stands_still(size)
            seen.add(looks(shown.app, shown.strips))
        assert len(seen) == 1, "\n---\n".join(seen)
        rows = "\n".join(f"|{line}|" for line in shown.lines)
        parts.append(f"{size[0]}x{size[1]}\n{rows}\n{seen.pop()}\n")
    return "\n".join(parts)


def compare(name, picture):
    path = PICTURES / f"{name}.txt"
    if os.environ.get("LIVECAP_SNAPSHOTS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(picture, encoding="utf-8")
    assert path.exists(), "no picture yet: make snapshots"
    assert picture == path.read_text(encoding="utf-8"), "look at it; if it is right: make snapshots"


@pytest.mark.parametrize("name", LIVE)
async def test_a_session_looks_as_it_did(name):
    session = ScriptedSession()
    screen = live(session)
    async with LivecapApp(screen, Settings()).run_test(size=SIZES[1]) as pilot:
        shown = Shown(pilot.app, pilot)
        await shown.settle()
        await LIVE[name](shown, session)

        async def settle():
            await shown.settle()
            screen.poll()
            await shown.settle()
            await shown.shows("00:14:32" if name not in ("scrolled",) else "● 00:00:00")

        compare(name, await pictured(shown, settle))


@pytest.mark.parametrize("name", other_screens(Path()))
async def test_other_screens_look_as_they_did(name, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "cwd", lambda: Path("notes"))
    screen, seen = other_screens(tmp_path)[name]
    async with LivecapApp(screen, Settings()).run_test(size=SIZES[1]) as pilot:
        shown = Shown(pilot.app, pilot)
        compare(name, await pictured(shown, lambda: shown.shows(seen)))


@pytest.mark.parametrize("name", ["sessions", "past-session"])
async def test_past_sessions_look_as_they_did(name, tmp_path):
    names = write_sessions(tmp_path)
    screens = {
        "sessions": lambda: (SessionsScreen(tmp_path, lambda: 0.0), "3 sessions"),
        "past-session": lambda: (SessionScreen(Archive(tmp_path).open(names[1]), lambda: 0.0), "the pump"),
    }
    screen, seen = screens[name]()
    async with LivecapApp(screen, Settings()).run_test(size=SIZES[1]) as pilot:
        shown = Shown(pilot.app, pilot)
        compare(name, await pictured(shown, lambda: shown.shows(seen)))
