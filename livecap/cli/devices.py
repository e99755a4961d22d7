"""`livecap devices`: the input devices of this computer."""

import argparse
from dataclasses import asdict

from livecap.audio_in.device.devices import list_inputs
from livecap.cli.arguments import add_json
from livecap.cli.terminal import warn
from livecap.settings.fields import Settings
from livecap.text.printing import say, say_json
from livecap.text.safety import printable


def add_arguments(devices: argparse.ArgumentParser) -> None:
    """The options of `livecap devices`."""
    add_json(devices)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Print the inputs, the default one marked; returns the exit status.

    Raises:
        AudioError: PortAudio is missing.
    """
    inputs = list_inputs()
    if settings.output == "json":
        say_json([asdict(device) for device in inputs], indent=2)
        return 0
    if not inputs:
        warn("No input device found. Connect a microphone, or transcribe a recording with livecap --replay FILE.")
        return 1
    for device in inputs:
        mark = "*" if device.is_default else " "
        rate = f"{device.default_rate / 1000:g} kHz"
        form = f"{rate:>9}  {device.n_channels} ch  {device.host_api}"
        say(f"{mark} {device.index:3}  {printable(device.name):40}  {form}")
    say()
    say("* marks the default. Choose an input with --device and its index, its name or part of its name.")
    return 0
