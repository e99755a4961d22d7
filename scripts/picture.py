"""Draw a PNG of the real screen, for the README.

    python scripts/picture.py docs/screen.png                  a recording through the embedded model, as if live
    python scripts/picture.py docs/screen.png --scripted       without a model, with the recording's reference text

The app runs without a terminal, Textual exports the screen as SVG, and resvg renders it. This needs resvg-py and the
font Fira Code (Debian: fonts-firacode); nothing else in livecap needs them.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from livecap.tui.app import LivecapApp  # noqa: E402
from livecap.tui.screens.live_screen import LiveScreen  # noqa: E402
from livecap.tui.transcript.transcript_view import TranscriptView  # noqa: E402

FONT = "Fira Code"
SIZE = (100, 28)


async def picture(session: Any, path: Path, size: tuple[int, int], until: Callable[[LivecapApp], bool]) -> None:
    """Run the app with a session that has not been started, and draw it when `until` returns True."""
    app = LivecapApp(LiveScreen(session))
    async with app.run_test(size=size) as pilot:
        while not until(app):
            if session.status.error:
                raise SystemExit(session.status.error)
            await pilot.pause(0.02)
        await pilot.pause()
        svg = app.export_screenshot(title="livecap")
        session.stop()
        await asyncio.to_thread(session.wait, 60)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(svg))
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def png(svg: str) -> bytes:
    """An SVG rendered as PNG."""
    try:
        import resvg_py
    except ImportError:
        raise SystemExit("The picture needs resvg: pip install resvg-py (and the font Fira Code).") from None
    svg = svg.replace("font-family: arial", f"font-family: {FONT}")  # of the title; not every machine has Arial
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, font_family=FONT, monospace_family=FONT, zoom=2))


def heard(recording: Path, seconds: float, folder: Path) -> tuple[Any, Callable[[LivecapApp], bool]]:
    """A real session of a recording, and a condition: `seconds` of it are on the screen, followed by partial text."""
    from livecap.cli.run import make_session
    from livecap.settings.fields import Settings

    session = make_session(Settings(replay=recording, model="tiny", log_dir=folder))

    def until(app: LivecapApp) -> bool:
        rows = app.query_one(TranscriptView).rows
        return session.status.tracks[0].decoded_samples >= seconds * 16_000 and bool(rows) and rows[-1][1] != ""

    return session, until


def scripted(recording: Path) -> tuple[Any, Callable[[LivecapApp], bool]]:
    """A session that shows the recording's reference text without a model."""
    from tests.tui.scripted_session import ScriptedSession

    session = ScriptedSession(live=False, model="tiny", source=recording.name)
    lines = recording.with_suffix(".txt").read_text(encoding="utf-8").splitlines()[:9]

    def until(app: LivecapApp) -> bool:
        if not session.calls:
            return False
        for number, line in enumerate(lines):
            last = number == len(lines) - 1
            stable, partial = (line[:-22], line[-22:]) if last else (line, "")
            session.say(stable, partial, utterance=number, second=1.2 + 4.6 * number, final=not last)
        n_samples = int(4.6 * len(lines) * 16_000)
        session.becomes(arrived_samples=n_samples, decoded_samples=n_samples - 9_000, level=0.24, rtf=0.04)
        session.becomes(speaking=False, language="English")
        app.call_later(app.get_default_screen().poll)
        return True

    return session, until


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", type=Path, help="the PNG to write")
    parser.add_argument("--recording", type=Path, default=ROOT / "recordings" / "letter.flac")
    parser.add_argument("--seconds", type=float, default=33.0, help="how much of it is decoded before the picture")
    parser.add_argument("--scripted", action="store_true", help="without a model: show the recording's reference text")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.scripted:
            session, until = scripted(options.recording)
        else:
            session, until = heard(options.recording, options.seconds, Path(folder))
        asyncio.run(picture(session, options.path, SIZE, until))


if __name__ == "__main__":
    main()
