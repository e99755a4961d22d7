"""Everything a Microphone needs from PortAudio, in one module that tests replace."""

from livecap.audio_in.device.devices import find_input, list_inputs, open_input, reinitialise
from livecap.audio_in.device.enumeration import probe_inputs

__all__ = ["default_input_name", "find_input", "list_inputs", "open_input", "probe_inputs", "reinitialise"]


def default_input_name() -> str | None:
    """The name of the default input at this moment; None where that is not known."""
    from livecap.audio_in.device import mac_default  # slow to load, and capture begins before it

    return mac_default.default_input_name()
