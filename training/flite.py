"""Speech with word times from libflite, through ctypes."""

from __future__ import annotations

import ctypes

import numpy as np

FIRST_SEGMENT = b"daughter1.R:SylStructure.daughter1.daughter1.R:Segment.p.end"
LAST_SEGMENT = b"daughtern.R:SylStructure.daughtern.daughtern.R:Segment.end"


class _Wave(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    ]


class _Voice(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("features", ctypes.c_void_p)]


def _signatures(lib: ctypes.CDLL) -> None:
    pointer = ctypes.c_void_p
    lib.flite_synth_text.restype, lib.flite_synth_text.argtypes = pointer, [ctypes.c_char_p, pointer]
    lib.utt_wave.restype, lib.utt_wave.argtypes = ctypes.POINTER(_Wave), [pointer]
    lib.utt_relation.restype, lib.utt_relation.argtypes = pointer, [pointer, ctypes.c_char_p]
    lib.relation_head.restype, lib.relation_head.argtypes = pointer, [pointer]
    lib.item_next.restype, lib.item_next.argtypes = pointer, [pointer]
    lib.ffeature_float.restype, lib.ffeature_float.argtypes = ctypes.c_float, [pointer, ctypes.c_char_p]
    lib.feat_set_float.restype = None
    lib.feat_set_float.argtypes = [pointer, ctypes.c_char_p, ctypes.c_float]
    lib.delete_utterance.restype, lib.delete_utterance.argtypes = None, [pointer]


class Flite:
    """The flite voices of this machine, loaded on first use."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
        self._lib.flite_init()
        _signatures(self._lib)
        self._voices: dict[str, ctypes._Pointer] = {}

    def _voice(self, name: str) -> ctypes._Pointer:
        if name not in self._voices:
            register = getattr(ctypes.CDLL(f"libflite_cmu_{name}.so.1"), f"register_cmu_{name}")
            register.restype, register.argtypes = ctypes.POINTER(_Voice), [ctypes.c_char_p]
            self._voices[name] = register(None)
        return self._voices[name]

    def speak(self, text: str, voice: str, stretch: float) -> tuple:
        """Returns (samples int16, rate, [(start, end) seconds per token of flite])."""
        handle = self._voice(voice)
        self._lib.feat_set_float(handle.contents.features, b"duration_stretch", stretch)
        utterance = self._lib.flite_synth_text(text.encode(), handle)
        try:
            wave = self._lib.utt_wave(utterance).contents
            audio = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).copy()
            times, item = [], self._lib.relation_head(self._lib.utt_relation(utterance, b"Token"))
            while item:
                first = self._lib.ffeature_float(item, FIRST_SEGMENT)
                last = self._lib.ffeature_float(item, LAST_SEGMENT)
                times.append((float(first), float(last)))
                item = self._lib.item_next(item)
            return audio, wave.sample_rate, times
        finally:
            self._lib.delete_utterance(utterance)
