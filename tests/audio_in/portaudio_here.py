"""Points PortAudio to the virtual microphones of a test."""

import pytest

from livecap.audio_in.device import devices
from livecap.errors import AudioError
from tests.audio_in.virtual_mic import VirtualMic


def show_portaudio(virtual: VirtualMic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test ends, only these devices exist. Skips the test where PortAudio is missing."""
    for name, value in virtual.env.items():
        monkeypatch.setenv(name, value)
    try:
        devices.reinitialise()
    except AudioError as error:
        pytest.skip(str(error))
