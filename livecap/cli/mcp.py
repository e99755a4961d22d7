"""`livecap mcp`: assistants read sessions over the Model Context Protocol, on standard input and output."""

import argparse
import signal

from livecap.cli.arguments import add_log_dir, sessions_folder
from livecap.errors import SettingsError
from livecap.settings.fields import Settings


def add_arguments(mcp: argparse.ArgumentParser) -> None:
    """The options of `livecap mcp`."""
    add_log_dir(mcp)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Serve until standard input ends; returns the exit status.

    Raises:
        SettingsError: the package `mcp` is not installed.
    """
    try:
        from livecap.integrations.mcp_server import make_server  # an extra package, which loads slowly
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types", "pydantic"):
            raise
        raise SettingsError(
            'livecap mcp needs more packages: in a clone, run uv tool install ".[serve,mcp]" (or pip install).'
        ) from None
    server = make_server(sessions_folder(settings))
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C would wait for the next line of standard input
    server.run("stdio")
    return 0
