"""What a person sees of an app under test, and the keys they press."""


class Shown:
    """The terminal of a headless app."""

    def __init__(self, app, pilot):
        self.app, self.pilot = app, pilot

    async def settle(self):
        """Let threads and messages do their work."""
        await self.pilot.pause(0.01)

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await self.settle()

    async def shows(self, *words):
        """Wait until all of them are seen."""
        for _ in range(400):
            if all(word in self.text for word in words):
                return
            await self.settle()
        raise AssertionError(f"{words} not in:\n{self.text}")

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
