"""Speech of SVOX Pico, through ctypes: a parametric voice of an American and of a British woman, very fast.

The package is source code; its library is compiled once, with the C compiler `cc`.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

import numpy as np

from training.sources import fetched
from training.voices import RATE, Spoken, whole

LANGUAGES = ("en-US", "en-GB")
"""Each is one voice."""
_RECEIVE = ctypes.CFUNCTYPE(
    ctypes.c_bool,
    ctypes.c_void_p,
    ctypes.c_uint32,
    ctypes.c_uint32,
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_uint8),
    ctypes.c_uint32,
    ctypes.c_bool,
)
"""What the library calls with sound: (user, rate, format, channels, samples, bytes, final) to whether to go on."""


class Pico:
    """Both voices. Make only one per process: the sound of all arrives in one place.

    Raises:
        SystemExit: the library cannot be compiled, or it does not find a voice.
    """

    def __init__(self, work: Path) -> None:
        package = fetched("ttspico", work)
        source = package / package.name / "picopi" / "pico"
        self._lib = ctypes.CDLL(str(_compiled(source)))
        self._lib.TtsEngine_Create.restype = ctypes.c_void_p
        for set_value in (self._lib.TtsEngine_SetRate, self._lib.TtsEngine_SetPitch):
            set_value.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self._lib.TtsEngine_Speak.restype = ctypes.c_bool
        self._lib.TtsEngine_Speak.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        self._sound: list[bytes] = []
        self._receive = _RECEIVE(self._received)
        folder = f"{source / 'lang'}/".encode()
        self._engines = {
            language: ctypes.c_void_p(self._lib.TtsEngine_Create(folder, language.encode(), self._receive))
            for language in LANGUAGES
        }
        for language, engine in self._engines.items():
            if not engine:
                raise SystemExit(f"Pico does not load its voice {language} from {source / 'lang'}.")

    def spoken(self, text: str, language: str, rate: int, pitch: int) -> Spoken | None:
        """Speak `text`; None if the voice was silent. Word times are unknown (-1).

        Args:
            rate, pitch: in percent of the voice's own.
        """
        engine = self._engines[language]
        self._sound.clear()
        self._lib.TtsEngine_SetRate(engine, rate)
        self._lib.TtsEngine_SetPitch(engine, pitch)
        if not self._lib.TtsEngine_Speak(engine, text.encode(), None):
            return None
        samples = np.frombuffer(b"".join(self._sound), np.int16)
        return whole(samples, text.split(), f"pico {language}")

    def _received(self, user: int, rate: int, kind: int, channels: int, samples: object, n: int, final: bool) -> bool:
        if n:
            assert (rate, channels) == (RATE, 1)
            self._sound.append(ctypes.string_at(samples, n))  # type: ignore[arg-type]
        return True


def _compiled(source: Path) -> Path:
    """The shared library beside its source, compiled if it is not there."""
    library = source / "libpico.so"
    if not library.exists():
        part = source / f"libpico.{os.getpid()}.part"
        folders = [source / "lib", source / "tts"]
        files = [path for folder in folders for path in sorted(folder.glob("*.c"))]
        command = ["cc", "-O2", "-w", "-shared", "-fPIC", "-o", part, *files, *(f"-I{folder}" for folder in folders)]
        try:
            subprocess.run([*command, "-lm"], check=True)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"Cannot compile Pico: {error}. It needs a C compiler, `cc`.") from None
        part.rename(library)
    return library
