"""`livecap bridge`: other programs transcribe over lines of JSON on standard input and output (docs/bridge.md)."""

import argparse

from livecap.cli.arguments import add_setting, value_of
from livecap.settings.fields import Settings
from livecap.settings.values import PATH, Number


def add_arguments(bridge: argparse.ArgumentParser) -> None:
    """The options of `livecap bridge`; the second half is that of qwen3-asr-mlx-bridge."""
    add = bridge.add_argument
    add("model_name", metavar="MODEL", nargs="?", help="the same as --model")
    for name in ("model", "dtype", "language", "context", "vad", "chunk_seconds"):
        add_setting(bridge, name)
    add("--print-schema", action="store_true", help="print the JSON Schema of all messages, and exit")
    add("--print-capabilities", action="store_true", help="print what the bridge can do as JSON, and exit")
    add(
        "--max-new-tokens", metavar="N", type=value_of(Number(0, 1 << 20, whole=True)), default=0,
        help="at most N tokens per piece of at most 16 s (default: 0, as many as it needs)",
    )  # fmt: skip
    add("--cache-dir", metavar="DIR", type=value_of(PATH), help="folder of downloaded models, like HF_HUB_CACHE")
    add("--local-files-only", action="store_true", help="do not download a model that is not on this computer")
    add("--no-cache", action="store_true", help="compute everything again at each step: slower, with the same text")
    add("--no-trust-remote-code", action="store_true", help="has no effect: livecap never runs the code of a model")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Answer requests until the caller asks to stop, leaves, or a signal comes; returns the exit status."""
    from livecap.cli.bridge_work import run_bridge  # loads the model's code

    return run_bridge(options, settings)
