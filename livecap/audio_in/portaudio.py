"""What a Microphone needs of the sound system, in one place that a test can stand in for."""

from livecap.audio_in.devices import list_inputs, open_input, reinitialise
from livecap.audio_in.enumeration import probe_inputs
from livecap.audio_in.mac_default import default_input_name

__all__ = ["default_input_name", "list_inputs", "open_input", "probe_inputs", "reinitialise"]
