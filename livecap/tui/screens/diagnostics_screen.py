"""DiagnosticsScreen: the numbers of a running session, and plots of its last ten minutes."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from livecap.session.status import SessionStatus
from livecap.text.safety import printable
from livecap.text.units import length_of_time, size
from livecap.this_machine import peak_resident_bytes, resident_bytes
from livecap.transcript import SAMPLE_RATE
from livecap.tui.app import LivecapApp
from livecap.tui.session_history import SessionHistory
from livecap.tui.widgets.key_hints import KeyHints
from livecap.tui.widgets.plots import (
    Axis,
    cost_rows,
    lag_rows,
    latency_rows,
    rtf_rows,
    stage_rows,
)
from livecap.version import VERSION

if TYPE_CHECKING:
    from livecap.session.live import LiveSession

REDRAW_SECONDS = 0.5
MIN_COLUMN_WIDTH = 44


def known_memory() -> tuple[str, int]:
    """The memory of this process, and how it is called. A Mac tells only the peak without starting another process."""
    if sys.platform == "linux":
        return "memory", resident_bytes()
    return "memory, peak", peak_resident_bytes()


class DiagnosticsScreen(Screen[None]):
    """Current values and plots, all as text that can be selected and copied."""

    app = getters.app(LivecapApp)

    DEFAULT_CSS = """
    DiagnosticsScreen {
        & VerticalScroll { padding: 1 2; }
        & Static { width: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,i", "leave", "Back", tooltip="Back to the transcript", id="diagnostics.back"),
        Binding("y", "copy", "Copy", tooltip="Copy everything as text", id="diagnostics.copy"),
        Binding(
            "down,j", "scroll(1)", "Down", key_display="↓", tooltip="Scroll down to the plots", id="diagnostics.down"
        ),
        Binding("up,k", "scroll(-1)", "Up", key_display="↑", tooltip="Scroll up", id="diagnostics.up"),
        Binding("pagedown,space", "scroll(10)", "Page down", show=False),
        Binding("pageup", "scroll(-10)", "Page up", show=False),
    ]

    def __init__(
        self,
        session: "LiveSession",
        history: SessionHistory,
        memory: Callable[[], tuple[str, int]] = known_memory,
    ) -> None:
        super().__init__()
        self._session, self._history, self._memory = session, history, memory

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield Static(id="facts", markup=False)
        yield KeyHints()

    def on_mount(self) -> None:
        self.draw()
        self.set_interval(REDRAW_SECONDS, self.draw)

    def on_resize(self) -> None:
        self.draw()

    def draw(self) -> None:
        """Show the current values."""
        self.query_one("#facts", Static).update(Text(self.text(max(20, self.size.width - 6))))

    def text(self, width: int) -> str:
        """The whole screen as plain text, with plots `width` columns wide."""
        session = self._session
        status = session.status
        axis = Axis.until(status.arrived_samples / SAMPLE_RATE, width)
        moments, steps = list(self._history.moments), session.costs.recent
        parts = [
            [f"livecap {VERSION}"],
            _in_columns([f"{name:<20} {value}" for name, value in self._facts(status) if value], width),
            latency_rows(session.latency.recent, axis),
            cost_rows(steps, axis),
            stage_rows(steps, width),
            lag_rows(moments, axis),
            rtf_rows(moments, axis),
        ]
        return "\n\n".join("\n".join(rows) for rows in parts if rows)

    def _facts(self, status: SessionStatus) -> list[tuple[str, str]]:
        session = self._session
        steps = session.costs.recent
        facts = [
            ("source", printable(status.source)),
            ("model", printable(status.model)),
            ("state", status.state.value + (", muted" if status.muted else "")),
            ("loaded in", f"{session.load_seconds:.1f} s" if session.load_seconds else ""),
            ("lag", f"{status.lag_seconds:.1f} s"),
            ("RTF, last steps", f"{status.rtf:.3f}" if status.rtf is not None else ""),
            ("decoding in total", length_of_time(session.costs.compute_seconds) if steps else ""),
            ("gaps", f"{status.n_gaps}, {status.gap_samples / SAMPLE_RATE:.1f} s lost" if status.n_gaps else "none"),
            *session.diagnostics.items(),
        ]
        name, n_bytes = self._memory()
        facts.append((name, size(n_bytes) if n_bytes else ""))
        for track in status.tracks:
            label = track.label or "sound"
            arrived = length_of_time(track.arrived_samples / SAMPLE_RATE)
            trouble = f", {track.trouble}" if track.trouble else ""
            facts.append((printable(label), f"{printable(track.source)}, {arrived}{trouble}"))
        facts += [
            ("log", printable(status.log_path or "")),
            ("log error", printable(status.log_trouble or "")),
        ]
        return facts

    def action_copy(self) -> None:
        self.notify(f"Copied {self.app.copy(self.text(80))}.", markup=False)

    def action_scroll(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)

    def action_leave(self) -> None:
        self.dismiss(None)


def _in_columns(rows: list[str], width: int) -> list[str]:
    """In a wide terminal, short rows in two columns and long ones below them; else the rows unchanged."""
    half = width // 2 - 1
    short = [row for row in rows if cell_len(row) <= half]
    if half < MIN_COLUMN_WIDTH:
        return rows
    n = (len(short) + 1) // 2
    left, right = short[:n], [*short[n:], ""]
    pairs = [
        f"{one}{' ' * (half + 2 - cell_len(one))}{other}".rstrip() for one, other in zip(left, right, strict=False)
    ]
    return [*pairs, *(row for row in rows if cell_len(row) > half)]
