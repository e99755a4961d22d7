"""No text from a model, a device, a file or an old log reaches the terminal as a control sequence."""

import os
from datetime import datetime

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from livecap.archive.index import SessionSummary
from livecap.errors import AudioError
from livecap.transcript import Marked, Notice
from livecap.tui.app import LivecapApp
from livecap.tui.choices import InputChoice, ModelChoice
from livecap.tui.screens.device_screen import DeviceScreen
from livecap.tui.screens.live_screen import LiveScreen
from livecap.tui.screens.model_screen import ModelScreen
from livecap.tui.screens.sessions_screen import SessionsScreen
from tests.tui.machine import ScriptedMachine
from tests.tui.scripted_session import STARTED, ScriptedSession
from tests.tui.shown import Shown

PIECES = [
    *(
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x9b31m",
        "\x1bP",
        "\u202e",
        "\u2066",
        "\u200f",
        "\r\n",
        "\t",
        "\x00",
        "\x7f",
        "\ud800",
    ),
    *("[bold red]", "[/]", "[link=x]", "[@click=app.quit]", "\\[", "{x}"),
    *("\U000e0041", "字", "\U0001f469\u200d\U0001f467", "e\u0301", "שלום", "مرحبا", "word "),
]
untrusted = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
pairs = st.lists(st.tuples(untrusted, untrusted), min_size=1, max_size=12)
"""Several per app, since starting an app takes longer than showing them."""
few = settings(max_examples=200 if os.environ.get("LIVECAP_PROVE") else 2, phases=[Phase.generate])


def check(shown, width):
    """No control byte, no bidi override, no half character; every row as wide as the terminal."""
    for line in shown.lines:
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in line), ascii(line)
        assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ud800\U000e0041")
        assert cell_len(line) == width, ascii(line)


async def seen(screen, size, act):
    app = LivecapApp(screen)
    async with app.run_test(size=size) as pilot:
        shown = Shown(app, pilot)
        await shown.settle()
        await act(shown)
        await shown.settle()
        assert app.is_running and len(app.screen_stack) == 1
        check(shown, size[0])


@few
@given(pairs, st.sampled_from([(100, 28), (40, 12)]))
async def test_text_of_models_and_devices(texts, size):
    session = ScriptedSession()

    async def act(shown):
        for number, (text, name) in enumerate(texts):
            session.becomes(language=name, log_trouble=text, source=name, model=name)
            session.say(text, name, track=name, utterance=number)
            session.say(name, final=True, track=text, utterance=number, second=3)
            session.tell(Marked(name, 0, text, STARTED))
            session.tell(Notice(text, 0, "error"))
            session.becomes(error=name)
            await shown.settle()
            screen.poll()
            await shown.press("slash")
            shown.app.screen.query_one("#ask-input").value = text[:20].rstrip("\u200d")  # nobody types half a character
            await shown.settle()
            check(shown, size[0])
            await shown.press("enter", "escape")
        await shown.press("c")

    screen = LiveScreen(session, now=lambda: 0.0)
    await seen(screen, size, act)


@pytest.mark.parametrize("sought", ["a \U0001f469\u200d", "d \U0001f469", "and e"])
async def test_a_search_text_may_end_inside_a_character(sought):
    session = ScriptedSession()

    async def act(shown):
        session.say("a \U0001f469\u200d\U0001f467 and \U0001f469\u200d\U0001f467e\u0301", final=True)
        screen.poll()
        await shown.press("slash")
        shown.app.screen.query_one("#ask-input").value = sought
        await shown.settle()
        [row] = [strip for strip in shown.strips if "10:02" in "".join(segment.text for segment in strip)]
        assert len(row) > 3, "it is marked"
        assert cell_len("".join(segment.text for segment in row)) == sum(segment.cell_length for segment in row) == 100
        await shown.press("enter", "escape")

    screen = LiveScreen(session, now=lambda: 0.0)
    await seen(screen, (100, 28), act)


@few
@given(pairs)
async def test_names_of_devices_and_models(texts):
    machine = ScriptedMachine()
    machine.listed = [InputChoice(text, name, name) for text, name in texts]
    machine.meter = lambda chosen: (_ for _ in ()).throw(AudioError(chosen))
    machine.models = lambda: [ModelChoice(name, text, 1, 1, False, True) for text, name in texts]

    async def act(shown):
        for _ in texts:
            await shown.press("down")
            check(shown, 80)

    await seen(DeviceScreen(machine, lambda: 0.0), (80, 20), act)
    await seen(ModelScreen(machine, lambda: 0.0), (80, 20), act)


@few
@given(pairs)
async def test_text_of_old_sessions(tmp_path_factory, texts):
    screen = SessionsScreen(tmp_path_factory.mktemp("s"), lambda: 0.0)
    moment = datetime.fromisoformat(STARTED)
    sessions = [
        SessionSummary(
            "s" + name, text, moment, name, name, True, 3.0, 1, text, (name,), (text,), False, 12, True, True
        )
        for text, name in texts
    ]

    async def act(shown):
        await shown.shows("No sessions yet")  # the folder is empty; after it was read, nothing replaces the list
        screen.show_sessions(sessions)
        for _ in texts:
            await shown.press("r", "escape", "down")
            check(shown, 80)

    await seen(screen, (80, 20), act)
