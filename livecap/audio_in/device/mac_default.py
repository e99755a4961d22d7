"""The name of a Mac's default input at this moment, from Core Audio; PortAudio only knows the one from when it started.

Anything unexpected gives None, "not known": the caller keeps the input it has.
"""

import ctypes
import ctypes.util
import sys
from functools import cache
from typing import Any

SYSTEM_OBJECT = 1
UTF8 = 0x08000100
NAME_BYTES = 512


class _Address(ctypes.Structure):
    """Core Audio's AudioObjectPropertyAddress."""

    _fields_ = [("selector", ctypes.c_uint32), ("scope", ctypes.c_uint32), ("element", ctypes.c_uint32)]


def _code(text: str) -> int:
    return int.from_bytes(text.encode("ascii"), "big")


@cache
def _libraries() -> tuple[Any, Any] | None:
    if sys.platform != "darwin":
        return None
    paths = [ctypes.util.find_library(name) for name in ("CoreAudio", "CoreFoundation")]
    if None in paths:
        return None
    core_audio, foundation = (ctypes.CDLL(path) for path in paths)
    foundation.CFStringGetCString.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_long, ctypes.c_uint32]
    foundation.CFRelease.argtypes = [ctypes.c_void_p]
    return core_audio, foundation


def default_input_name() -> str | None:
    """PortAudio's name for the default input, if it started now; None where that is not known."""
    libraries = _libraries()
    if libraries is None:
        return None
    core_audio, foundation = libraries
    device, name = ctypes.c_uint32(), ctypes.c_void_p()
    if not _get(core_audio, SYSTEM_OBJECT, "dIn ", device) or not _get(core_audio, device.value, "lnam", name):
        return None
    buffer = ctypes.create_string_buffer(NAME_BYTES)
    whole = name.value is not None and foundation.CFStringGetCString(name, buffer, NAME_BYTES, UTF8)
    if name.value is not None:
        foundation.CFRelease(name)
    return buffer.value.decode("utf-8", errors="replace") if whole else None


def _get(core_audio: Any, object_id: int, selector: str, value: Any) -> bool:
    """AudioObjectGetPropertyData into `value`; False where Core Audio refuses."""
    address = _Address(_code(selector), _code("glob"), 0)
    size = ctypes.c_uint32(ctypes.sizeof(value))
    status = core_audio.AudioObjectGetPropertyData(
        ctypes.c_uint32(object_id), ctypes.byref(address), 0, None, ctypes.byref(size), ctypes.byref(value)
    )
    return bool(status == 0)
