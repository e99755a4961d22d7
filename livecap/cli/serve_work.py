"""The work of `livecap serve`: a key, the model, and the server until the user stops it."""

import argparse
import threading

from livecap.cli.recognition import engine_settings
from livecap.cli.terminal import signals_stop, warn
from livecap.serve.run import key_for, root_of, serve
from livecap.settings.fields import Settings
from livecap.settings.values import address_of


def run_server(options: argparse.Namespace, settings: Settings, host: str) -> int:
    """Serve at an address; returns the exit status."""
    key = key_for(host, options.api_key_file)  # before a model is downloaded
    folders = [root_of(folder) for folder in options.files]
    wyoming = address_of(options.wyoming) if options.wyoming else None
    recognition = engine_settings(settings)  # may download: Ctrl-C ends that at once
    stop = threading.Event()
    with signals_stop(stop.set):
        serve(
            recognition, host, options.port, key, options.max_upload << 20, warn, stop, wyoming,
            folders=folders, unload_seconds=60 * options.unload_after,
            most_a_minute=options.max_rate, origins=options.allow_origin,
        )  # fmt: skip
    return 0
