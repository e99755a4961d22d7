"""ModelThread: calls in order, and none that waits for a thread that has ended."""

import subprocess
import sys

import pytest

from livecap.errors import ModelError
from livecap.model_thread import ModelThread


def test_a_call_after_the_end_is_an_error_and_not_waited_for() -> None:
    thread = ModelThread()
    done: list[str] = []
    assert thread.run(lambda: 1) == 1
    thread.submit(lambda: done.append("call"))
    thread.stop(last=lambda: done.append("last"))
    thread.stop(last=lambda: done.append("again"))
    assert done == ["call", "last"]
    with pytest.raises(ModelError, match="closed"):
        thread.submit(lambda: 2).result(10)


FORKED = """
import os, sys
from livecap.errors import ModelError
from livecap.model_thread import ModelThread

def in_a_child(work):
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        work()
        sys.exit()  # as at the end of a program
    print("status", os.waitpid(child, 0)[1])

def refused(call):
    try:
        call()
    except ModelError as error:
        print(str(error).partition(",")[0])

def work():
    refused(lambda: thread.run(lambda: 1))
    refused(ModelThread)
    thread.stop()

in_a_child(lambda: print(ModelThread().run(lambda: "works")))
thread = ModelThread()
in_a_child(work)
print(thread.run(lambda: "goes on"))
"""
AT_THE_END = """
import atexit
from livecap.errors import ModelError
from livecap.model_thread import ModelThread

def last():
    try:
        thread.run(lambda: 1)
    except ModelError as error:
        print(error)
    thread.stop()

atexit.register(last)  # runs after what ends the thread
thread = ModelThread()
thread.at_exit = lambda: print("at exit")
"""
INTERRUPTED = """
import threading
from livecap.model_thread import ModelThread

def endless():
    begun.set()
    n_interrupts = 0
    while n_interrupts < 2:
        try:
            while True:
                pass
        except SystemExit:
            n_interrupts += 1
    print("interrupted", flush=True)

begun = threading.Event()
thread = ModelThread()
thread.at_exit = lambda: print("at exit")
thread.submit(endless)
thread.submit(lambda: print("waits")).add_done_callback(lambda future: print("left out", future.cancelled()))
begun.wait()
STOP
print("leaves", flush=True)
"""
ABANDONED = INTERRUPTED.replace("STOP", 'thread.stop(0, last=lambda: print("last"))')
REFUSED = "This process was forked from one that had loaded a model"


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        (FORKED, ["works", "status 0", REFUSED, REFUSED, "status 0", "goes on"]),
        (AT_THE_END, ["at exit", "This engine is closed. Load the model again."]),
        (INTERRUPTED.replace("STOP", ""), ["leaves", "interrupted", "left out True", "at exit"]),
        (ABANDONED, ["leaves", "interrupted", "left out True", "last"]),
    ],
    ids=["forked", "at the end", "interrupted", "abandoned"],
)
def test_nobody_waits_for_a_thread_of_another_process_or_one_that_has_to_end(script: str, lines: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.splitlines(), done.returncode, done.stderr) == (lines, 0, "")
