"""A decoder that is too slow lags and loses nothing: sound waits on the disk."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from livecap.archive.log import SessionLog
from livecap.audio_in.source import AudioBlock
from livecap.session.live import LiveSession
from livecap.session.sound_folder import SoundFolder
from livecap.session.tracks import TrackSource
from livecap.transcript import AudioGap, CaptureReport, Notice, SessionEvent, TranscriptUpdate
from tests.archive.when import STARTED
from tests.audio_in.fake_portaudio import MIC, Ear
from tests.session.scripted import SCRIPTED, ScriptedTranscriber, engine_of

SECOND = 16_000
MINUTES_10 = 600


def second(n: int) -> np.ndarray:
    """The n-th second of sound: a constant level that identifies it."""
    return np.full(SECOND, (n + 1) / 1024, np.float32)


class HalfSpeed(ScriptedTranscriber):
    """A decoder that takes two seconds for each second of sound."""

    def __init__(self, ear: Ear) -> None:
        super().__init__()
        self.ear = ear
        self.n_delivered = 0
        self.heard: list[float] = []
        """The first sample of each second."""
        self.longest_block = self.most_lag = self.most_memory = 0
        self._new = 0

    def accept(self, block: AudioBlock) -> None:
        self.heard += block.samples[::SECOND].tolist()
        self.longest_block = max(self.longest_block, len(block.samples))
        self._new += len(block.samples)
        self.decoded_samples = block.end_sample

    def step(self, chunk_samples: int | None = None) -> Iterator[TranscriptUpdate]:
        for _ in range(2 * (self._new // SECOND)):
            if self.n_delivered < MINUTES_10:
                self.deliver()
        self._new = 0
        source = self.ear.source
        self.most_lag = max(self.most_lag, source.arrived_samples - self.decoded_samples)
        self.most_memory = max(self.most_memory, tracemalloc.get_traced_memory()[0])
        if self.n_delivered == MINUTES_10 and self.decoded_samples == MINUTES_10 * SECOND:
            source.close()
        yield from ()

    def flush(self, chunk_samples: int | None = None) -> Iterator[TranscriptUpdate]:
        yield TranscriptUpdate("", 0, "all", "", 0, self.decoded_samples, "English", True)

    def deliver(self) -> None:
        self.ear.hear(second(self.n_delivered))
        self.n_delivered += 1


def test_ten_minutes_at_half_speed_lose_no_sample_and_need_little_memory(tmp_path: Path) -> None:
    ear = Ear(MIC)
    source = ear.open()
    log = SessionLog(tmp_path, STARTED)
    folder = SoundFolder(log.folder, save=False)
    folder.add("", source.spool)
    decoder = HalfSpeed(ear)
    decoder.deliver()
    session = LiveSession(
        [TrackSource("", source)],
        SCRIPTED,
        log,
        load_engine=engine_of(lambda track: decoder),
        sound_folder=folder,
    )
    told: list[SessionEvent | TranscriptUpdate] = []
    tracemalloc.start()
    try:
        session.start(told.append)
        assert session.wait(60)
    finally:
        tracemalloc.stop()
    assert decoder.heard == [float(second(n)[0]) for n in range(MINUTES_10)]
    assert decoder.most_lag > 250 * SECOND and decoder.longest_block == 30 * SECOND
    assert decoder.most_memory < 12 << 20  # the ring buffer, a block and its copies; the sound that waited is 19 MB
    assert source.spool.waiting_samples == 0
    [report] = [item for item in told if isinstance(item, CaptureReport)]
    assert report.captured_samples == report.decoded_samples == MINUTES_10 * SECOND
    assert not any(isinstance(item, Notice | AudioGap) for item in told)
    assert not (log.folder / "audio").exists()
