"""NoticeLine: information, warnings and errors as a sentence at the bottom, never as a dialog over the text."""

import math

from rich.segment import Segment
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from livecap.text.safety import printable
from livecap.tui.transcript.paragraph import Paragraph

SHOWN_SECONDS = 20.0
"""Information and warnings disappear after this time; an error stays until the next one or `escape`."""
MAX_ROWS = 3
SYMBOLS = {"info": "·", "warning": "▲", "error": "⨯"}


class NoticeLine(Widget):
    """One sentence on as many rows as it needs, at most `MAX_ROWS`; no row without a sentence."""

    COMPONENT_CLASSES = {"notice--info", "notice--warning", "notice--error"}
    DEFAULT_CSS = """
    NoticeLine {
        height: auto;
        width: 1fr;
        & .notice--error { text-style: bold; }
    }
    """

    sentence: reactive[str] = reactive("", layout=True)
    severity: reactive[str] = reactive("info")

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._leaves_at = math.inf

    def show(self, sentence: str, severity: str, now: float) -> None:
        """Show a sentence instead of the last one. An error is only replaced by another error.

        Args:
            severity: "info", "warning" or "error"; anything else is a warning.
            now: seconds of a monotonic clock.
        """
        severity = severity if severity in SYMBOLS else "warning"
        if self.sentence and self.severity == "error" and severity != "error":
            return
        self.severity = severity
        self.sentence = printable(sentence).strip()
        self._leaves_at = math.inf if severity == "error" else now + SHOWN_SECONDS

    def tick(self, now: float) -> None:
        """Hide the sentence if it has been shown long enough; `now` in seconds of the same clock."""
        if self.sentence and now >= self._leaves_at:
            self.dismiss()

    def dismiss(self, sentence: str | None = None) -> None:
        """Hide the sentence; if one is given, only that one."""
        if sentence in (None, self.sentence):
            self.sentence = ""

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return min(MAX_ROWS, self._paragraph(width).height)

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        style = self.get_component_rich_style(f"notice--{self.severity}")
        symbol = SYMBOLS[self.severity] if y == 0 else " "
        text = self._paragraph(width).row(y)[0]
        segments = [Segment(f" {symbol} ", style), Segment(text, style)]
        return Strip(segments).adjust_cell_length(width, base).apply_style(base)

    def _paragraph(self, width: int) -> Paragraph:
        paragraph = Paragraph("", 0, stable=self.sentence)
        paragraph.lay_out(max(1, width - 4))
        return paragraph
