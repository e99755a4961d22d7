"""The speed of the screen in a long session: `python -m benchmarks.screen --out docs/benchmarks/screen.json`.

The real app runs without a terminal (Textual's headless driver) in 120 columns and 40 rows, with 50,000 utterances of
one to three rows. An update is the effect of a decoder step: the view takes it, and the changed rows become the escape
sequences for a terminal. The time of a key is from its event to the screen that shows the effect. All times are
processor time, so other programs on the machine do not count.
"""

import argparse
import asyncio
import gc
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from textual._compositor import CompositorUpdate
from textual.widgets import Input

from livecap.eval.output import as_json, store_figures
from livecap.eval.provenance import machine
from livecap.session.status import SessionStatus, State, TrackStatus
from livecap.this_machine import peak_resident_bytes
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate
from livecap.tui.app import LivecapApp, Tidying
from livecap.tui.screens.live_screen import LiveScreen
from livecap.tui.transcript.transcript_view import TranscriptView

WORDS = "we agreed to move the launch to the second week of march and nobody sees a problem with that date".split()
"""Used in random order, for rows of many widths."""
BOUNDS = {"update_ms_p95": 5.0, "key_ms_p95": 50.0}
"""The bounds with the largest number of utterances."""
PRESSES = 20
"""How often each key is pressed; the first presses are slower."""


class DrawingApp(LivecapApp):
    """The app, but it also makes the escape sequences for a terminal; without one, Textual makes none."""

    def _display(self, screen: Any, renderable: Any) -> None:
        if isinstance(renderable, CompositorUpdate):
            self.n_characters = len(renderable.render_segments(self.console))


class StillSession:
    """A session for the screen in which nothing happens."""

    log_folder = Path()

    def __init__(self) -> None:
        self.status = SessionStatus(
            state=State.LISTENING,
            model="model",
            live=True,
            started_wall=1_772_442_120.0,
            forced_language=None,
            rtf=0.1,
            log_path=None,
            error=None,
            tracks=(TrackStatus("", "microphone", 0, 0, 0.1, speaking=False, language="English", trouble=None),),
        )

    def start(self, listener: object) -> None:
        """The listener is never called."""

    def wait(self, timeout: float | None = None) -> bool:
        """The session never ends."""
        return False


@dataclass(frozen=True, slots=True)
class Milliseconds:
    """The distribution of many durations."""

    p50: float
    p95: float
    max: float

    @classmethod
    def from_seconds(cls, seconds: list[float]) -> "Milliseconds":
        """From at least two durations."""
        cuts = statistics.quantiles(seconds, n=20)
        return cls(*(round(1e3 * value, 2) for value in (statistics.median(seconds), cuts[18], max(seconds))))


def sentence(chance: random.Random, n_words: int) -> str:
    """A random sentence."""
    return " ".join(chance.choice(WORDS) for _ in range(n_words))


async def measure(n_utterances: int, n_updates: int, size: tuple[int, int] = (120, 40)) -> dict[str, Any]:
    """The figures with this many utterances on the page."""
    chance = random.Random(7)
    screen = LiveScreen(StillSession(), now=lambda: 0.0)  # type: ignore[arg-type]
    app = DrawingApp(screen)

    def update(number: int, stable: str, partial: str = "", final: bool = False) -> TranscriptUpdate:
        start = number * 5 * SAMPLE_RATE
        return TranscriptUpdate("", number, stable, partial, start, start + SAMPLE_RATE, "English", final)

    async with app.run_test(size=size) as pilot:
        view = screen.query_one(TranscriptView)
        began = time.process_time()
        view.show(update(n, sentence(chance, chance.randint(4, 40)), final=True) for n in range(n_utterances))
        await pilot.pause()
        loading = time.process_time() - began

        Tidying()()  # a session creates these objects over hours, and tidies many times meanwhile
        updates, text = [], ""
        number = n_utterances
        for step in range(n_updates):
            text = f"{text} {sentence(chance, 3)}".strip()
            final = step % 12 == 11
            before = time.process_time()
            view.show([update(number, text, "" if final else " " + sentence(chance, 4), final)])
            screen._on_timer_update()  # as when the screen is idle: lay out, and draw the changes
            updates.append(time.process_time() - before)
            if final:
                number, text = number + 1, ""
            await pilot.pause(0)

        keys: dict[str, list[float]] = {}
        for key in ("up", "pageup", "home", "pagedown", "end", "t", "c", "z"):
            keys[key] = [await pressed(pilot, key) for _ in range(PRESSES)]
        typed, entered = [], []
        for _ in range(3):
            await pilot.press("slash")
            line = screen.query_one("#ask-input", Input)
            typed += [await took(pilot, partial(line.insert_text_at_cursor, letter)) for letter in "second"]
            entered.append(await pressed(pilot, "enter"))
            for key in ("n", "N"):
                keys.setdefault(key, []).extend([await pressed(pilot, key) for _ in range(PRESSES)])
            await pilot.press("escape")
        keys |= {"a letter to search": typed, "enter in search": entered}
        before = time.process_time()
        await pilot.resize_terminal(90, 40)
        await pilot.pause()
        resized = time.process_time() - before
    return {
        "n_utterances": n_utterances,
        "n_rows": view.virtual_size.height,
        "load_seconds": round(loading, 2),
        "update_ms": asdict(Milliseconds.from_seconds(updates)),
        "key_ms": {key: asdict(Milliseconds.from_seconds(seconds)) for key, seconds in keys.items()},
        "resize_ms": round(1e3 * resized, 1),
        "resident_mb_max": round(peak_resident_bytes() / 1e6),
    }


async def pressed(pilot: Any, key: str) -> float:
    """Seconds from a key to the screen that shows its effect."""
    return await took(pilot, lambda: pilot.app.simulate_key(key))


async def took(pilot: Any, act: Callable[[], object]) -> float:
    """Seconds until the effect of `act` is drawn, without the pauses of Textual's test driver."""
    before = time.process_time()
    act()
    for _ in range(2):  # a scroll is requested in one round and done in the next
        await pilot._wait_for_screen()
        pilot.app.screen._on_timer_update()
    return time.process_time() - before


def main() -> int:
    """Measure, print and store; the exit status is 1 where a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.screen", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="also write the figures to a file")
    parser.add_argument("--utterances", type=int, nargs="*", default=[1_000, 50_000])
    parser.add_argument("--updates", type=int, default=600)
    options = parser.parse_args()
    gc.freeze()  # as livecap.tui.terminal does
    figures = [asyncio.run(measure(n, options.updates)) for n in options.utterances]
    report = {"machine": machine(), "textual": version("textual"), "figures": figures}
    print(as_json(report))
    if options.out:
        store_figures(options.out, report)
    last = figures[-1]
    slowest_key = max(key["p95"] for key in last["key_ms"].values())
    return int(last["update_ms"]["p95"] > BOUNDS["update_ms_p95"] or slowest_key > BOUNDS["key_ms_p95"])


if __name__ == "__main__":
    sys.exit(main())
