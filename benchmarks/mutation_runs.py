"""Runs pytest again and again for `python -m benchmarks.mutations`; each run takes a second less than a new Python.

This process has imported the libraries that all tests need, though neither livecap, which changes, nor MLX, whose
threads would not survive a fork. It reads one JSON line for each run from standard input, forks, and prints two lines:
the id of the new process, and its exit status.
"""

import importlib
import json
import os
import sys
import traceback
from contextlib import suppress
from typing import Any, NoReturn

LIBRARIES = ("pytest", "pytest_asyncio", "xdist.plugin", "hypothesis", "numpy", "soundfile", "soxr", "tokenizers")


def main() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _run(json.loads(line))
        with suppress(OSError):  # before its id is known, so that it can be killed with all that it starts
            os.setpgid(process, process)
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(job: dict[str, Any]) -> NoReturn:
    import pytest

    os.setpgrp()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    printed = os.open(job["printed"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.environ.update(job["variables"])
    status = 1
    try:
        status = int(pytest.main(job["arguments"]))
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
