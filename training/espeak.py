"""Speech with word times from libespeak-ng, through ctypes."""

from __future__ import annotations

import ctypes
import ctypes.util

import numpy as np

AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
POS_CHARACTER = 1
RATE, PITCH, RANGE, WORDGAP = 1, 3, 4, 7
EVENT_END, EVENT_WORD = 0, 1


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """A synthesiser. The library has global state, so make only one per process."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1")
        self.rate = self._lib.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 200, None, 0)
        if self.rate <= 0:
            raise RuntimeError("libespeak-ng does not start")
        self._pieces: list[np.ndarray] = []
        self._events: list[tuple[int, int]] = []
        self._callback = _Callback(self._receive)
        self._lib.espeak_SetSynthCallback(self._callback)

    def _receive(self, wav: ctypes._Pointer, count: int, events: ctypes._Pointer) -> int:
        if wav and count > 0:
            self._pieces.append(np.ctypeslib.as_array(wav, (count,)).copy())
        index = 0
        while events[index].type != EVENT_END:
            event = events[index]
            if event.type == EVENT_WORD:
                self._events.append((event.text_position - 1, event.sample))
            index += 1
        return 0

    def speak(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int, gap: int) -> tuple:
        """Returns (samples int16, [(character position, start sample)]) at `self.rate`."""
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice}")
        for parameter, value in ((RATE, rate), (PITCH, pitch), (RANGE, pitch_range), (WORDGAP, gap)):
            self._lib.espeak_SetParameter(parameter, value, 0)
        self._pieces, self._events = [], []
        data = text.encode()
        status = self._lib.espeak_Synth(
            data, ctypes.c_size_t(len(data) + 1), 0, POS_CHARACTER, 0, CHARS_UTF8, None, None
        )
        if status != 0:
            raise RuntimeError(f"espeak-ng refuses a text with status {status}")
        audio = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)
        return audio, self._events


def word_starts(text: str, events: list[tuple[int, int]], total: int) -> list[int]:
    """The start sample of each word (split at spaces); a word without an event shares its neighbours' time."""
    spans, position = [], 0
    for word in text.split():
        begin = text.index(word, position)
        position = begin + len(word)
        spans.append((begin, position))
    starts: list[int | None] = []
    for begin, end in spans:
        inside = [sample for where, sample in events if begin <= where < end]
        starts.append(min(inside) if inside else None)
    if starts and starts[0] is None:
        starts[0] = events[0][1] if events else 0
    filled: list[int] = []
    for index, start in enumerate(starts):
        if start is None:
            after = next((k for k in range(index, len(starts)) if starts[k] is not None), None)
            right = total if after is None else int(starts[after])
            remaining = (len(starts) if after is None else after) - index + 1
            start = filled[-1] + (right - filled[-1]) // remaining
        filled.append(max(start, filled[-1] if filled else 0))
    return filled
