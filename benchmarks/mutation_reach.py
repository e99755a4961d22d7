"""Notes which functions of livecap run, for `python -m benchmarks.mutations`.

The command puts this file into its copy of the project, and the copy's livecap imports it, so that the processes that
tests start are seen, too. The environment variable MUTATIONS_REACHED names the file that gets a line for each function,
as `livecap/stream/policy.py CommitPolicy.shown`.
"""

import atexit
import os
import sys
import threading
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parent
FOLDER = str(ROOT / "livecap") + os.sep
_open, _write, _close = os.open, os.write, os.close  # tests replace them
_seen: set[int] = set()


def again() -> None:
    """Note every function again: another test begins."""
    _seen.clear()


def _on_call(frame: FrameType, event: str, argument: object) -> None:
    code = frame.f_code
    if id(code) in _seen:
        return
    _seen.add(id(code))
    if not code.co_filename.startswith(FOLDER) or not (path := os.environ.get("MUTATIONS_REACHED")):
        return
    name = f"{Path(code.co_filename).relative_to(ROOT).as_posix()} {code.co_qualname}\n"
    try:
        file = _open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:  # a test took away the disk or the descriptors; the function is noted when it runs next
        _seen.discard(id(code))
        return
    _write(file, name.encode())
    _close(file)


if "MUTATIONS_REACHED" in os.environ:
    atexit.register(sys.settrace, None)
    threading.settrace(_on_call)
    sys.settrace(_on_call)
