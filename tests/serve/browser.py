"""The captions page in a real Chromium."""

import base64
import time

from tests.export.browser import Page


class Browser:
    """One window; each page opens in a new tab."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.run = page.run

    def open(self, url, width=1000, height=400):
        self._page.open(url)
        self._page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def until(self, script, wanted=True, seconds=30):
        """Wait until an expression has a value."""
        seen = None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen = self.run(script)
            if seen == wanted:
                return
            time.sleep(0.05)
        raise AssertionError(f"{script} is {seen!r}, not {wanted!r}")

    def picture(self):
        """A PNG of the page."""
        return base64.b64decode(self._page.call("Page.captureScreenshot", format="png")["data"])
