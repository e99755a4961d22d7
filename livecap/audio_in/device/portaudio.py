"""What a Microphone needs of the sound system, in one place that a test can stand in for."""

from livecap.audio_in.device.devices import find_input, list_inputs, open_input, reinitialise
from livecap.audio_in.device.enumeration import probe_inputs

__all__ = ["default_input_name", "find_input", "list_inputs", "open_input", "probe_inputs", "reinitialise"]


def default_input_name() -> str | None:
    """The name of the default input, now; None where that cannot be known."""
    from livecap.audio_in.device.mac_default import (
        default_input_name as ask,
    )  # slow to load, and capture begins before it

    return ask()
