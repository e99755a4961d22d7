"""Figures about this machine and its processes."""

import os
import subprocess
import sys

from livecap.this_machine import memory_bytes, peak_resident_bytes, processor, resident_bytes


def test_a_process_holds_memory_and_the_machine_has_more() -> None:
    assert 1e6 < resident_bytes() <= peak_resident_bytes() < memory_bytes()
    assert resident_bytes(os.getpid()) > 1e6


def test_the_peak_stays_when_memory_is_given_back() -> None:
    before = peak_resident_bytes()
    block = bytearray(os.urandom(1) * 200_000_000)
    assert peak_resident_bytes() > before + 50_000_000
    del block
    assert peak_resident_bytes() > before + 50_000_000


def test_a_process_that_has_ended_holds_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert resident_bytes(process.pid) == 0


def test_the_processor_has_a_name() -> None:
    assert processor().strip()
