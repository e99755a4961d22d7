"""A screen with a scripted session, driven by a clock that only the test moves."""

from contextlib import asynccontextmanager

import pytest

from livecap.tui.app import LivecapApp, forget
from livecap.tui.screens.live_screen import LiveScreen
from livecap.tui.transcript.transcript_view import TranscriptView
from livecap.tui.widgets.level_meter import LevelMeter
from livecap.tui.widgets.notice_line import NoticeLine
from livecap.tui.widgets.status_bar import StatusBar
from tests.tui.scripted_session import ScriptedSession


class Screen:
    """The app under test and what a person sees of it."""

    def __init__(self, app, pilot, session, clock):
        self.app, self.pilot, self.session, self.clock = app, pilot, session, clock
        self.live = app.get_default_screen()
        self.view = app.query_one(TranscriptView)
        self.meter = app.query_one(LevelMeter)
        self.bar = app.query_one(StatusBar)
        self.notice = app.query_one(NoticeLine)

    async def settle(self, seconds=0.0):
        """Let what was said reach the screen, `seconds` later."""
        self.clock[0] += seconds
        self.app.call_later(self.live.poll)  # after what the session posted before
        await self.pilot.pause()

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await self.settle()

    async def shows(self, *words):
        """Wait for what Textual composes in its own time, such as the footer."""
        for _ in range(100):
            if all(word in self.text for word in words):
                return
            await self.settle()
        raise AssertionError(f"{words} not in:\n{self.text}")

    @property
    def lines(self):
        """Every row of the terminal as text."""
        return ["".join(segment.text for segment in strip) for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.lines)


@pytest.fixture
def show():
    """Makes screens: `async with show(size=(100, 28)) as screen`."""

    @asynccontextmanager
    async def make(session=None, size=(100, 28), settings=None, remember=forget, **options):
        session = session or ScriptedSession()
        clock = [1000.0]
        live = LiveScreen(session, now=lambda: clock[0], **options)
        app = LivecapApp(live, settings, remember)
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot, session, clock)
            await screen.settle()
            yield screen

    return make
