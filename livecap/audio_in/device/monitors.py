"""Monitors: inputs that capture what a Linux computer plays. PulseAudio and PipeWire have one for each output.

PortAudio on ALSA does not list them. They are opened through ALSA's `pulse` device, which captures the source that
the environment variable `PULSE_SOURCE` names when it is opened.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

ROUTED = ("default", "pulse", "sysdefault")
"""Names of ALSA's devices that capture what the sound server's default input is."""
ANSWER_SECONDS = 2.0
"""How long to wait for the sound server."""


@dataclass(frozen=True, slots=True)
class Monitor:
    """Captures what one output plays."""

    source: str
    """Name at the sound server."""
    name: str
    """The server's description, such as "Monitor of Built-in Audio"."""
    rate: int
    n_channels: int


def list_monitors() -> list[Monitor]:
    """The monitors of the running sound server; empty where no server runs, or `pactl` is not installed."""
    return [monitor for source in _sources() if (monitor := _monitor(source)) is not None]


def default_source() -> str | None:
    """The sound server's description of its default input, such as "Built-in Audio Analog Stereo": what ALSA's devices
    in `ROUTED` capture. None where no server tells. May take seconds."""
    name = _answer("get-default-source").strip()
    described = [str(source.get("description") or "") for source in _sources() if source.get("name") == name]
    return next(filter(None, described), None) if name else None


def _sources() -> list[dict[str, Any]]:
    try:
        sources = json.loads(_answer("--format=json", "list", "sources") or "[]")
    except (ValueError, RecursionError):
        return []
    return [source for source in sources if isinstance(source, dict)] if isinstance(sources, list) else []


def _answer(*question: str) -> str:
    """The output of `pactl`; "" without a sound server or without `pactl`."""
    pactl = shutil.which("pactl")
    if sys.platform != "linux" or pactl is None:
        return ""
    try:
        done = subprocess.run(
            [pactl, *question],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _monitor(source: dict[str, Any]) -> Monitor | None:
    name = str(source.get("name", ""))
    if not name.endswith(".monitor"):
        return None
    # "s16le 2ch 48000Hz"
    parts = str(source.get("sample_specification", "")).split()
    try:
        n_channels, rate = int(parts[1].removesuffix("ch")), int(parts[2].removesuffix("Hz"))
    except (IndexError, ValueError):
        n_channels, rate = 2, 48_000
    return Monitor(name, str(source.get("description") or name), rate, n_channels)


@contextmanager
def pulse_source(name: str) -> Iterator[None]:
    """ALSA's `pulse` device, opened in this context, captures this source. Not from two threads at once."""
    before = os.environ.get("PULSE_SOURCE")
    os.environ["PULSE_SOURCE"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["PULSE_SOURCE"]
        else:
            os.environ["PULSE_SOURCE"] = before
