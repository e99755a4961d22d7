"""A source, a transcriber and an engine that follow a script, to test sessions without a model."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from livecap.archive.disk import Disk
from livecap.archive.log import SessionLog
from livecap.audio_in.source import AudioBlock, AudioSource
from livecap.engine import EngineSettings
from livecap.errors import ModelError
from livecap.session.live import LiveSession
from livecap.session.notices import Notices
from livecap.session.tracks import TrackSource
from livecap.speakers.diariser import VoiceDiariser
from livecap.stream.statistics import StepStatistics
from livecap.transcript import SessionEvent, TranscriptUpdate
from tests.archive.when import STARTED

SECOND = 16_000


class ScriptedSource(AudioSource):
    """Yields one second of sound after another; with a gate, one for each time that it is released."""

    level = 0.0
    first_sample = arrived_samples = 0
    heard = None

    def __init__(
        self,
        starts: list[int],
        gate: threading.Semaphore | None = None,
        error: Exception | None = None,
        name: str = "script",
    ) -> None:
        self.name = name
        self._starts = list(starts)
        self._gate = gate
        self._error = error
        self.arrived_samples = 0
        self.closed = False
        self.paused = False

    @property
    def ended(self) -> bool:
        return self.closed or (not self._starts and self._error is None)

    def take(self) -> AudioBlock | None:
        if self.closed:
            return None
        if not self._starts:
            if self._error is not None:
                raise self._error
            return None
        if self._gate is not None and not self._gate.acquire(blocking=False):
            return None
        start = self._starts.pop(0)
        self.arrived_samples = start + SECOND
        return AudioBlock(start, np.zeros(SECOND, np.float32))

    def wake(self, event: threading.Event) -> None:
        event.set()

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True
        if self._gate is not None:
            self._gate.release()


class ScriptedTranscriber:
    """Recognises one word a second: `w0 w1 w2`. A word is stable once the next one is heard."""

    language = "English"
    speaking = True
    n_unsettled = 0
    chunk_samples = SECOND
    statistics = StepStatistics()

    def __init__(self, fault: BaseException | None = None, track: str = "") -> None:
        self.decoded_samples = 0
        self.track = track
        self._n = 0
        self._fault = fault

    @property
    def due_until(self) -> int:
        return self.decoded_samples

    @property
    def ready(self) -> bool:
        return True

    def accept(self, block: AudioBlock) -> None:
        self._n += 1
        self.decoded_samples = block.end_sample

    def step(self, chunk_samples: int | None = None) -> Iterator[TranscriptUpdate]:
        if self._fault is not None and self._n == 2:
            raise self._fault
        yield self._update(self._n - 1, final=False)

    def flush(self, chunk_samples: int | None = None) -> Iterator[TranscriptUpdate]:
        yield self._update(self._n, final=True)

    def close(self) -> None:
        self.closed = True

    def _update(self, n_stable: int, final: bool) -> TranscriptUpdate:
        words = [f" w{i}" for i in range(self._n)]
        stable = "".join(words[:n_stable]).lstrip()
        text = "".join(words).lstrip()
        return TranscriptUpdate(self.track, 0, stable, text[len(stable) :], 0, self.decoded_samples, "English", final)


class ScriptedEngine:
    """Makes scripted transcribers. The model `missing` cannot be loaded."""

    def __init__(self, make: Callable[[str], object], settings: EngineSettings) -> None:
        """
        Args:
            make: the transcriber of the track with this label.
        """
        self._make = make
        self.settings = settings
        self.memory: dict[str, int] = {}
        self.is_closed = False

    def transcriber(self, track: str, on_notice: Callable[[str], None]) -> object:
        return self._make(track)

    def change(self, settings: EngineSettings, on_notice: Callable[[str], None]) -> None:
        if settings.model == "missing":
            raise ModelError("There is no such model.")
        self.settings = settings

    def warm_up(self) -> None:
        """Nothing to compile."""

    def close(self) -> None:
        self.is_closed = True


def engine_of(make: Callable[[str], object]) -> Any:
    """A function that loads such an engine, for a session."""
    return lambda settings, on_notice: ScriptedEngine(make, settings)


SCRIPTED = EngineSettings("scripted")


def make_session(
    folder: Path,
    source: ScriptedSource | dict[str, ScriptedSource],
    make: Callable[[str], object] = lambda track: ScriptedTranscriber(track=track),
    disk: Disk | None = None,
    voices: Callable[[], VoiceDiariser] | None = None,
) -> tuple[LiveSession, list[SessionEvent | TranscriptUpdate]]:
    """A session that is not started, with one source or several by label, and a list to start it with."""
    notices = Notices()
    log = SessionLog(folder, STARTED, disk, notices.on_log_trouble)
    sources = source if isinstance(source, dict) else {"": source}
    tracks = [TrackSource(label, each) for label, each in sources.items()]
    loads: dict[str, Any] = {"load_engine": engine_of(make)}
    if voices is not None:
        loads |= {"labels_speakers": True, "load_voices": voices}
    return LiveSession(tracks, SCRIPTED, log, notices=notices, **loads), []
