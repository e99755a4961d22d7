"""A screen with a scripted session and a clock that only the test moves."""

from contextlib import asynccontextmanager

import pytest

from livecap.tui.app import LivecapApp, forget
from livecap.tui.screens.live_screen import LiveScreen
from livecap.tui.transcript.transcript_view import TranscriptView
from livecap.tui.widgets.level_meter import LevelMeter
from livecap.tui.widgets.notice_line import NoticeLine
from livecap.tui.widgets.status_bar import StatusBar
from tests.tui.scripted_session import ScriptedSession
from tests.tui.shown import Shown


class LiveShown(Shown):
    """The screen of a running session, with its parts."""

    def __init__(self, app, pilot, session, clock):
        super().__init__(app, pilot)
        self.session, self.clock = session, clock
        self.live = app.get_default_screen()
        self.view = app.query_one(TranscriptView)
        self.meter = app.query_one(LevelMeter)
        self.bar = app.query_one(StatusBar)
        self.notice = app.query_one(NoticeLine)

    async def settle(self, seconds=0.0):
        """Show what the session said, `seconds` later."""
        self.clock[0] += seconds
        await super().settle()
        self.live.poll()
        await super().settle()


@pytest.fixture(autouse=True)
def all_colours(monkeypatch):
    """Screens look the same whatever terminal the tests run in."""
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "truecolor")


@pytest.fixture
def show():
    """Makes screens: `async with show(size=(100, 28)) as screen`."""

    @asynccontextmanager
    async def make(session=None, size=(100, 28), settings=None, remember=forget, notifications=False, **options):
        session = session or ScriptedSession()
        clock = [1000.0]
        live = LiveScreen(session, now=lambda: clock[0], **options)
        app = LivecapApp(live, settings, remember)
        async with app.run_test(size=size, notifications=notifications) as pilot:
            screen = LiveShown(app, pilot, session, clock)
            await screen.settle()
            yield screen

    return make
