"""What the sound server tells: monitors, and the microphone that a default stands for. Anything else is nothing."""

import json
import sys
from pathlib import Path

import pytest

from livecap.audio_in.device.monitors import default_source, list_monitors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a server")
SOURCES = [
    {"name": "alsa_output.hdmi.monitor", "description": "Monitor of HDMI", "sample_specification": "s16le 6ch 48000Hz"},
    {"name": "alsa_input.usb", "description": "Yeti Nano", "sample_specification": "s16le 1ch 44100Hz"},
]


@pytest.fixture
def pactl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Puts a `pactl` with these answers in the path."""

    def put(default: str, sources: str, status: int = 0) -> None:
        (tmp_path / "default").write_text(default)
        (tmp_path / "sources").write_text(sources)
        program = tmp_path / "pactl"
        chosen = f"[ $1 = get-default-source ] && cat {tmp_path}/default || cat {tmp_path}/sources"
        program.write_text(f"#!/bin/sh\n{chosen}\nexit {status}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return put


def test_the_default_is_described(pactl) -> None:  # type: ignore[no-untyped-def]
    pactl("alsa_input.usb\n", json.dumps(SOURCES))
    assert default_source() == "Yeti Nano"
    [monitor] = list_monitors()
    assert (monitor.name, monitor.rate, monitor.n_channels) == ("Monitor of HDMI", 48_000, 6)


@pytest.mark.parametrize(
    ("default", "sources", "status"),
    [
        ("", json.dumps(SOURCES), 0),
        ("another", json.dumps(SOURCES), 0),
        ("alsa_input.usb", "{}", 0),
        ("alsa_input.usb", '[1, null, {"name": "alsa_input.usb"}]', 0),
        ("alsa_input.usb", "[" * 100_000, 0),
        ("alsa_input.usb", "Connection refused", 0),
        ("alsa_input.usb", json.dumps(SOURCES), 1),
    ],
)
def test_any_other_answer_is_nothing(pactl, default: str, sources: str, status: int) -> None:  # type: ignore[no-untyped-def]
    pactl(default, sources, status)
    assert default_source() is None


def test_without_the_program_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert default_source() is None and list_monitors() == []
