"""Memory of a process: its own, whatever started it."""

import subprocess
import sys

from livecap.this_machine import peak_resident_bytes, resident_bytes


def test_the_peak_of_a_process_is_not_that_of_the_one_that_started_it() -> None:
    ballast = bytearray(300_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])  # every page is used
    script = "from livecap.this_machine import peak_resident_bytes; print(peak_resident_bytes())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 1e6 < int(done.stdout) < 150e6
    assert peak_resident_bytes() >= resident_bytes() * 0.9 > 300e6 * 0.9
