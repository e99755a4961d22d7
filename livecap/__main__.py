"""`livecap` and `python -m livecap`."""

import os
import signal
import sys

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")  # before NumPy is loaded: see livecap.model.backend

interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if interrupts:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while code is loaded, Ctrl-C ends it without a traceback

from livecap.cli.main import run  # noqa: E402
from livecap.cli.terminal import INTERRUPTED, warn  # noqa: E402


def main() -> None:
    """Run the command line and exit with its status."""
    if interrupts:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = run(sys.argv[1:])
    except SystemExit as left:  # --help, or invalid arguments
        if isinstance(left.code, str):
            raise  # Python prints it and exits with status 1
        status = left.code or 0
    status = _flushed(status)
    if status == INTERRUPTED:
        os._exit(status)  # native libraries complain about what Python had no time to free
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # all is done: the second signal of one stop must not change the status
    sys.exit(status)


def _flushed(status: int) -> int:
    """Flush standard output; returns the exit status, which becomes 1 if only this fails.

    Otherwise Python would flush at its end, and a reader that left would cause a traceback and status 120.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if status == 0 and not isinstance(error, BrokenPipeError):
            warn(f"Cannot write the output: {error.strerror or error}.")
            return 1
    return status


if __name__ == "__main__":
    main()
