"""A plot of emission against speech, as SVG: how long after its end each word was shown, and became stable."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from livecap.transcript import SAMPLE_RATE

if TYPE_CHECKING:  # the rest is light, so that help is quick
    from livecap.eval.measurement import Measurement

WIDTH, HEIGHT = 1000, 240
LEFT, RIGHT, TOP, BOTTOM = 50, 20, 34, 34
SHOWN_COLOUR, STABLE_COLOUR = "#2f7fc1", "#d9822b"


def plot(parts: "Sequence[Measurement]") -> str:
    """An SVG with one panel for each recording and mode, below one another."""
    panels = [_panel(part, i * HEIGHT) for i, part in enumerate(parts)]
    height = HEIGHT * len(parts)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *(line for panel in panels for line in panel),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _panel(part: "Measurement", top: int) -> Iterable[str]:
    """x: when the word was said. y: how much later it was shown (blue) and became stable (orange)."""
    points = []
    for word in part.words:
        if word.spoken is not None:
            end = word.spoken.end_sample / SAMPLE_RATE
            shown = (word.shown or word.committed).heard_seconds - end
            points.append((end, shown, word.committed.heard_seconds - end, word.text))
    most = max([3.0, *(stable for _, _, stable, _ in points)])
    x_scale = (WIDTH - LEFT - RIGHT) / max(part.sound_seconds, 1.0)
    y_scale = (HEIGHT - TOP - BOTTOM) / most
    floor = top + HEIGHT - BOTTOM

    def x(seconds: float) -> str:
        return f"{LEFT + seconds * x_scale:.1f}"

    def y(seconds: float) -> str:
        return f"{floor - max(0.0, seconds) * y_scale:.1f}"

    title = escape(f"{part.recording}, {part.mode}")
    shown_word = f'<tspan fill="{SHOWN_COLOUR}">shown</tspan>'
    stable_word = f'<tspan fill="{STABLE_COLOUR}">stable</tspan>'
    title += f": seconds from the end of a word to {shown_word} and {stable_word}, against when it was said"
    yield f'<text x="{LEFT}" y="{top + 18}">{title}</text>'
    for tick in range(int(most) + 1):
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 8}" y="{y(tick)}" text-anchor="end" dy="4">{tick}</text>'
    spacing = next(s for s in (5, 10, 30, 60, 120, 300, 600, 3600) if s * x_scale > 45 or s == 3600)
    for tick in range(0, int(part.sound_seconds) + 1, spacing):
        yield f'<text x="{x(tick)}" y="{floor + 18}" text-anchor="middle">{tick}</text>'
    for end, shown, stable, text in points:
        at = x(end)
        yield f'<line x1="{at}" x2="{at}" y1="{y(shown)}" y2="{y(stable)}" stroke="#ccc"/>'
        for delay, colour in ((shown, SHOWN_COLOUR), (stable, STABLE_COLOUR)):
            yield f'<circle cx="{at}" cy="{y(delay)}" r="2.2" fill="{colour}"><title>{escape(text)}</title></circle>'
