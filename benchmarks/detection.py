"""Speech detectors in noise: speech missed, noise taken for speech, lateness, and processor time.

python -m benchmarks.detection human=FOLDER natural=FOLDER --out docs/benchmarks/detection.json

Each NAME=FOLDER holds recordings of one kind of voice without noise, 16 kHz; they are joined with 2 s of silence
between them. Three of recordings/ are measured too, as `formant`. A frame of 10 ms is speech where the words beside the
recording say so (NAME.words.json) or, without them, where it is at most 38 dB below the loudest; gaps below 0.2 s count
as speech. `silero` is the bare network, `earshot` the package of that name where it is installed.
"""

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import webrtcvad
from numpy.typing import NDArray

from benchmarks import noises
from livecap.audio_in.silero import FRAME_SAMPLES, SileroNetwork
from livecap.audio_in.source import AudioBlock
from livecap.audio_in.vad import DetectorConfig, SpeechDetector, SpeechStarted, Vad
from livecap.eval.output import as_json, store_figures
from livecap.eval.provenance import machine
from livecap.transcript import SAMPLE_RATE

ROOT = Path(__file__).parents[1]
FORMANT = ("dictation", "silences", "turns")
LABEL_SAMPLES = SAMPLE_RATE // 100
NOISES = ("rumble", "typing", "music", "babble", "fan", "white", "hum")
BLOCK_SAMPLES = SAMPLE_RATE // 20

Sound = NDArray[np.float32]
Marks = NDArray[np.bool_]
Detect = Callable[[Sound], tuple[Marks, list[int]]]
"""The voiced marks of each 10 ms, and the samples at which speech was reported to have started."""


def joined(paths: list[Path], most_seconds: float) -> tuple[Sound, Marks]:
    """The recordings in one sound, with the marks of its speech."""
    pause = np.zeros(2 * SAMPLE_RATE, np.float32)
    sounds, marks = [pause], [np.zeros(len(pause) // LABEL_SAMPLES, bool)]
    for path in paths:
        sound = soundfile.read(path, dtype="float32")[0]
        sound = sound[: len(sound) // LABEL_SAMPLES * LABEL_SAMPLES]
        sound = sound * np.float32(0.05 / noises.speech_rms(sound))
        sounds += [sound, pause]
        marks += [_speech(sound, path.with_suffix(".words.json")), marks[0]]
        if sum(map(len, sounds)) > most_seconds * SAMPLE_RATE:
            break
    return np.concatenate(sounds), np.concatenate(marks)


def _speech(sound: Sound, words: Path) -> Marks:
    frames = sound.reshape(-1, LABEL_SAMPLES).astype(np.float64)
    level = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-18)
    speech: Marks = level > level.max() - 38
    if words.exists():
        speech = np.zeros(len(frames), bool)
        for word in json.loads(words.read_text(encoding="utf-8")):
            speech[int(word["start"] * 100) : int(word["end"] * 100) + 1] = True
    at = np.flatnonzero(speech)
    for here, there in zip(at[:-1], at[1:], strict=True):
        if there - here < 20:
            speech[here:there] = True
    return speech


def whole(vad: Vad) -> Detect:
    """livecap's detector, in blocks of 50 ms."""

    def detect(sound: Sound) -> tuple[Marks, list[int]]:
        detector, starts = SpeechDetector(DetectorConfig(vad)), []
        marks = np.zeros(len(sound), bool)
        for at in range(0, len(sound), BLOCK_SAMPLES):
            events = detector.accept(AudioBlock(at, sound[at : at + BLOCK_SAMPLES]))
            starts += [at + BLOCK_SAMPLES for event in events if isinstance(event, SpeechStarted)]
            for start, end in detector.voiced_spans(at - BLOCK_SAMPLES, at + BLOCK_SAMPLES):
                marks[start:end] = True
        return marks[LABEL_SAMPLES // 2 :: LABEL_SAMPLES], starts

    return detect


def bare(n_samples: int, make: Callable[[], Callable[[Sound], float]]) -> Detect:
    """A detector that scores frames of `n_samples` one by one; above 0.5 is voiced."""

    def detect(sound: Sound) -> tuple[Marks, list[int]]:
        score = make()
        voiced = np.array([score(sound[i : i + n_samples]) > 0.5 for i in range(0, len(sound) - n_samples, n_samples)])
        at = (np.arange(len(sound) // LABEL_SAMPLES) * LABEL_SAMPLES + LABEL_SAMPLES // 2) // n_samples
        starts = np.flatnonzero(np.diff(voiced.astype(np.int8), prepend=0) == 1) + 1
        return voiced[np.minimum(at, len(voiced) - 1)], list(starts * n_samples)

    return detect


def _webrtc() -> Callable[[Sound], float]:
    vad = webrtcvad.Vad(2)
    return lambda frame: float(vad.is_speech((frame * 32767).astype("<i2").tobytes(), SAMPLE_RATE))


def detectors() -> dict[str, Detect]:
    """What is compared, by name."""
    found = {
        "livecap": whole(Vad.SILERO),
        "livecap --vad webrtc": whole(Vad.WEBRTC),
        "silero": bare(FRAME_SAMPLES, lambda: SileroNetwork().score),
        "webrtcvad": bare(SAMPLE_RATE // 50, _webrtc),
    }
    try:
        earshot = importlib.import_module("earshot")
    except ModuleNotFoundError:
        return found
    return found | {"earshot": bare(256, lambda: earshot.Detector().predict_f32)}


def measure(detect: Detect, sound: Sound, speech: Marks) -> dict[str, float | None]:
    """The figures of one detector on one sound."""
    began = time.process_time()
    voiced, reported = detect(sound)
    cost = time.process_time() - began
    voiced = voiced[: len(speech)]
    onsets = [i for i in range(50, len(speech)) if speech[i] and not speech[i - 50 : i].any()]
    # Speech that is reported already when it starts, because of the noise, is not late.
    after = [min((at - i * LABEL_SAMPLES for at in reported if at >= i * LABEL_SAMPLES), default=0) for i in onsets]
    late = [samples / SAMPLE_RATE for samples in after if samples < SAMPLE_RATE]
    return {
        "missed_percent": round(100 * float((~voiced)[speech].mean()), 1) if speech.any() else None,
        "false_percent": round(100 * float(voiced[~speech].mean()), 1),
        "onset_seconds": round(float(np.median(late)), 3) if late else None,
        "cost_ms_per_second": round(1000 * cost / (len(sound) / SAMPLE_RATE), 2),
    }


def noisy(sound: Sound, speech: Marks, talk: list[Sound]) -> Iterator[tuple[str, Sound]]:
    """The sound above faint white noise, then with each noise at 10 and 5 dB."""
    rms = float(np.sqrt(np.mean(np.square(sound[np.repeat(speech, LABEL_SAMPLES)], dtype=np.float64))))
    sound = sound + noises.white(len(sound), np.random.default_rng(0)) * np.float32(rms * 10 ** (-45 / 20))
    yield "clean", sound
    for name in NOISES:
        random = np.random.default_rng(1)
        noise = noises.babble(len(sound), random, talk) if name == "babble" else noises.KINDS[name](len(sound), random)
        for snr_db in (10, 5):
            yield f"{name} {snr_db} dB", np.clip(sound + noise * np.float32(rms * 10 ** (-snr_db / 20)), -1, 1)


def alone() -> Iterator[tuple[str, Sound]]:
    """A minute of each noise, and of the noise of a quiet place."""
    for name, make in {"quiet": noises.white, **noises.KINDS}.items():
        level_db = -75 if name == "quiet" else -35
        yield name, make(60 * SAMPLE_RATE, np.random.default_rng(2)) * np.float32(10 ** (level_db / 20))


def main() -> int:
    """Measure, print and store; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("voices", nargs="*", metavar="NAME=FOLDER")
    parser.add_argument("--seconds", type=float, default=60, help="most sound of each kind of voice (60)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    voices = {"formant": [ROOT / "recordings" / f"{name}.flac" for name in FORMANT]}
    voices |= {name: sorted(Path(folder).glob("*.flac")) for name, folder in (v.split("=", 1) for v in options.voices)}
    result: dict[str, Any] = {"machine": machine(), "voices": {}, "noise_alone": {}}
    for name, paths in voices.items():
        sound, speech = joined(paths, options.seconds)
        talk = np.split(sound[np.repeat(speech, LABEL_SAMPLES)], [sum(speech) * LABEL_SAMPLES // 2])
        for surroundings, heard in noisy(sound, speech, talk):
            for kind, detect in detectors().items():
                figures = measure(detect, heard, speech)
                result["voices"].setdefault(name, {}).setdefault(surroundings, {})[kind] = figures
                print(f"{name:8} {surroundings:13} {kind:21}", *figures.values(), flush=True)
    for name, heard in alone():
        nothing = np.zeros(len(heard) // LABEL_SAMPLES, bool)
        for kind, detect in detectors().items():
            figures = measure(detect, heard, nothing)
            result["noise_alone"].setdefault(name, {})[kind] = figures
            print(f"{name:22} {kind:21}", figures["false_percent"], figures["cost_ms_per_second"], flush=True)
    if options.out:
        store_figures(options.out, result)
    else:
        print(as_json(result["machine"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
