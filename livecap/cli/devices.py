"""`livecap devices`: the inputs of this machine."""

import argparse
import json
from dataclasses import asdict

from livecap.settings.fields import Settings
from livecap.text.safety import printable


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`livecap devices [--json]`."""
    devices = commands.add_parser("devices", help="list the inputs of this machine")
    devices.add_argument("--json", dest="as_json", action="store_true", help="as JSON")
    devices.set_defaults(run=_devices)


def _devices(options: argparse.Namespace, settings: Settings) -> int:
    return list_devices(options.as_json or options.json)


def list_devices(as_json: bool) -> int:
    """Print the inputs, the default one marked; returns the exit status.

    Raises:
        AudioError: PortAudio is missing.
    """
    from livecap.audio_in.device.devices import list_inputs
    from livecap.cli.terminal import warn

    inputs = list_inputs()
    if as_json:
        print(json.dumps([asdict(device) for device in inputs], ensure_ascii=False, indent=2))
        return 0
    if not inputs:
        warn("No input was found. Connect a microphone; livecap --replay FILE needs none.")
        return 1
    for device in inputs:
        mark = "*" if device.is_default else " "
        rate = f"{device.default_rate / 1000:g} kHz"
        form = f"{rate:>9}  {device.n_channels} ch  {device.host_api}"
        print(f"{mark} {device.index:3}  {printable(device.name):40}  {form}")
    print("\n* is the default. Choose one with --device and its index, its name or a part of it.")
    return 0
