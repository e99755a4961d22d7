"""`livecap` and `python -m livecap`."""

import os
import sys

from livecap.cli.main import run


def main() -> None:
    """Run the command line and leave with its exit status."""
    try:
        status = run(sys.argv[1:])
    except SystemExit as left:  # --help, or a wrong option
        if isinstance(left.code, str):
            raise  # Python says it, with status 1
        status = left.code or 0
    sys.exit(_with_output_written(status))


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
            from livecap.cli.output import warn

            warn(f"Cannot write the output: {error.strerror or error}.")
            return 1
    return status


if __name__ == "__main__":
    main()
