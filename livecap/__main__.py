"""`livecap` and `python -m livecap`."""

import os
import signal
import sys

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")  # before NumPy is loaded: see livecap.model.backend

interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if interrupts:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while code is loaded, Ctrl-C ends it without a traceback

from livecap.cli.main import run  # noqa: E402

INTERRUPTED = 130
"""The exit status after Ctrl-C where there was nothing to end in order."""


def main() -> None:
    """Run the command line and leave with its exit status."""
    if interrupts:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = run(sys.argv[1:])
    except SystemExit as left:  # --help, or a wrong option
        if isinstance(left.code, str):
            raise  # Python says it, with status 1
        status = left.code or 0
    status = _with_output_written(status)
    if status == INTERRUPTED:
        os._exit(status)  # native libraries complain of what Python had no time to free
    sys.exit(status)


def _with_output_written(status: int) -> int:
    """What is still held back is written now; the exit status, 1 where that is the first thing that fails.

    Left to Python's end, a reader that went away would be a traceback, and status 120.
    """
    if sys.stdout is None:
        return status
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if status == 0 and not isinstance(error, BrokenPipeError):
            from livecap.cli.terminal import warn

            warn(f"Cannot write the output: {error.strerror or error}.")
            return 1
    return status


if __name__ == "__main__":
    main()
