"""`livecap serve`: other programs transcribe with the model of this computer, over HTTP and WebSockets."""

import argparse
import math

from livecap.cli.arguments import add_setting, value_of
from livecap.cli.terminal import loading_code
from livecap.errors import SettingsError
from livecap.serve.rate import MOST_A_MINUTE
from livecap.settings.fields import Settings
from livecap.settings.values import ADDRESS, ORIGIN, PATH, Number, host_of


def add_arguments(serve: argparse.ArgumentParser) -> None:
    """The options of `livecap serve`."""
    add = serve.add_argument
    add(
        "--host",
        metavar="HOST",
        default="127.0.0.1",
        help="address to serve at (default: 127.0.0.1, this computer only)",
    )
    add(
        "--port",
        metavar="PORT",
        default=8765,
        type=value_of(Number(0, 65535, whole=True)),
        help="port to serve at (default: 8765)",
    )
    about = "file with the key that clients must send (default: the key in LIVECAP_API_KEY)"
    add("--api-key-file", metavar="FILE", type=value_of(PATH), help=about)
    add(
        "--wyoming", metavar="[HOST:]PORT", type=value_of(ADDRESS),
        help="also serve the Wyoming protocol of Home Assistant, which has no key, such as 10300 (this computer only) "
        "or 0.0.0.0:10300",
    )  # fmt: skip
    add(
        "--max-upload", metavar="MIB", default=512, type=value_of(Number(1, 1 << 20, whole=True)),
        help="size of the largest recording, in MiB (default: 512)",
    )  # fmt: skip
    add(
        "--files", metavar="DIR", type=value_of(PATH), action="append", default=[],
        help="clients may name recordings below DIR instead of sending them; may be given several times",
    )  # fmt: skip
    add(
        "--unload-after", metavar="MINUTES", type=value_of(Number(0.1, 1e6)), default=math.inf,
        help="free the memory of the model after MINUTES without a client; the next one waits until it is loaded",
    )  # fmt: skip
    add(
        "--max-rate", metavar="N", default=MOST_A_MINUTE, type=value_of(Number(1, 1e9)),
        help=f"at most N requests and connections per client and minute (default: {MOST_A_MINUTE})",
    )  # fmt: skip
    add(
        "--allow-origin", metavar="ORIGIN", type=value_of(ORIGIN), action="append", default=[],
        help="web pages of ORIGIN, such as https://app.example.com, may use the server; may be given several times",
    )  # fmt: skip
    for name in ("model", "dtype", "vad"):
        add_setting(serve, name)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Serve until the user stops it; returns the exit status."""
    try:
        host = host_of(options.host)
    except ValueError:
        raise SettingsError(
            f"--host must be localhost or an address such as 0.0.0.0, not {options.host[:60]!r}."
        ) from None
    try:
        with loading_code():
            from livecap.cli.serve_work import run_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "websockets", "python_multipart"):
            raise
        raise SettingsError(
            'livecap serve needs more packages: in a clone, run uv tool install ".[serve,mcp]" (or pip install).'
        ) from None
    return run_server(options, settings, host)
