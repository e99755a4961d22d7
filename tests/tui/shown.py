"""Shown: the screen of an app under test, and the keys and text that the user sends to it."""

import asyncio
import time

from textual import events

WAIT_SECONDS = 60
ROUNDS = 4
"""A key causes a message, which causes another; after this many rounds all are handled and drawn."""


class Shown:
    """The terminal of a headless app."""

    def __init__(self, app, pilot):
        self.app, self.pilot = app, pilot

    async def settle(self):
        """Let the app handle all pending messages and draw."""
        for _ in range(ROUNDS):
            await self.pilot.pause(0)

    async def press(self, *keys):
        """Press keys by name; text is typed with `type`."""
        for key in keys:
            self.app.simulate_key(key)
            await self.settle()

    async def type(self, text):
        """Paste a text into the focused widget."""
        self.app.post_message(events.Paste(text))
        await self.settle()

    async def wait_for(self, condition, describe=lambda: ""):
        """Let threads and timers work until `condition()` is true."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, describe()
            await asyncio.sleep(0.01)
            await self.settle()

    async def shows(self, *words):
        """Wait until all of them are on the screen."""
        await self.wait_for(lambda: all(word in self.text for word in words), lambda: f"{words} not in:\n{self.text}")

    async def shows_no(self, *words):
        """Wait until none of them is on the screen."""
        await self.wait_for(lambda: not any(word in self.text for word in words), lambda: f"{words} in:\n{self.text}")

    async def stands_still(self, size):
        """Wait until the screen has this size, and looks the same twice in a row."""
        seen = []

        def is_still():
            seen.append(self.strips)
            return len(seen) > 1 and seen[-1] == seen[-2] and (seen[-1][0].cell_length, len(seen[-1])) == size

        await self.wait_for(is_still)

    @property
    def strips(self):
        return self.app.screen._compositor.render_strips()

    @property
    def lines(self):
        """Every row of the terminal as text."""
        return ["".join(segment.text for segment in strip) for strip in self.strips]

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.lines)
