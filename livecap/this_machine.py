"""What computes here: the processor's name, its cores, the memory."""

import os
import platform
import subprocess
from pathlib import Path


def processor() -> str:
    """As its maker calls it, such as "Apple M2 Pro"; what the system says where that is not to be had."""
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
    """Of the whole machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
