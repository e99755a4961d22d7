"""This computer and this process: the processor's name, the memory of the machine, the memory of a process."""

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path


def processor() -> str:
    """The maker's name of the processor, such as "Apple M2 Pro"; the architecture where the system does not know it."""
    if platform.system() == "Darwin":
        out = subprocess.run(["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        return out.stdout.strip() or platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory_bytes() -> int:
    """The physical memory of the whole machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resident_bytes(pid: int | None = None) -> int:
    """The resident memory of a process, by default this one; 0 where it has ended."""
    pid = pid or os.getpid()
    if sys.platform == "linux":
        return _status_bytes(pid, "VmRSS")
    out = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(out.stdout.strip() or 0) * 1024


def peak_resident_bytes() -> int:
    """The most resident memory that this process has had.

    Linux counts the parent's memory in `ru_maxrss` of a process that it started, but not in VmHWM.
    """
    if sys.platform == "linux":
        return _status_bytes(os.getpid(), "VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status_bytes(pid: int, name: str) -> int:
    """A line of /proc/PID/status; 0 where the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(name)), 0)
