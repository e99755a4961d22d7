"""PortAudio asked about the virtual machine of a test."""

import pytest

from livecap.audio_in.device import devices
from livecap.errors import AudioError
from tests.audio_in.virtual_mic import VirtualMic


def show_portaudio(virtual: VirtualMic, monkeypatch: pytest.MonkeyPatch) -> None:
    """These devices are all there is until the test ends, which is skipped where PortAudio is missing."""
    for name, value in virtual.env.items():
        monkeypatch.setenv(name, value)
    try:
        devices.reinitialise()
    except AudioError as error:
        pytest.skip(str(error))
