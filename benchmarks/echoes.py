"""Two tracks of which one hears the other: a loudspeaker in a small space, made by arithmetic."""

import threading
from collections import deque
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from livecap.audio_in.echo.feeds import EchoFree, Played
from livecap.audio_in.source import AudioBlock, AudioSource

SECOND = 16_000
RECORDINGS = Path(__file__).parents[1] / "recordings"
Sound = NDArray[np.float32]


def voice(name: str, start: float, seconds: float) -> Sound:
    """[n] of a shipped recording."""
    first = round(start * SECOND)
    sound: Sound = soundfile.read(RECORDINGS / f"{name}.flac", round(seconds * SECOND), first, dtype="float32")[0]
    return sound


def hiss(n_samples: int, decibel: float = -65.0) -> Sound:
    """[n] of a microphone's own noise."""
    return (10 ** (decibel / 20) * np.random.default_rng(5).standard_normal(n_samples)).astype(np.float32)


def echo(played: Sound, delay_ms: float, quieter_db: float, seed: int = 1, drift_ppm: float = 0.0) -> Sound:
    """[n] of the played sound as a microphone hears it: from a small loudspeaker that distorts and has no bass, with
    reflections of a quarter of a second, later and more quietly, by a clock that is faster by `drift_ppm`."""
    chance, n = np.random.default_rng(seed), SECOND // 3
    path = chance.standard_normal(n) * 10 ** (-3 * np.arange(n) / SECOND / 0.25) * 0.12
    path[:64], path[0] = 0, 1
    for _ in range(6):
        path[int(chance.uniform(0.002, 0.02) * SECOND)] += chance.uniform(-0.5, 0.5)
    level = loudness(played)
    size = 1 << (len(played) + n).bit_length()
    bins = np.fft.rfftfreq(size, 1 / SECOND)
    speaker = 1 / np.sqrt(1 + (250 / np.maximum(bins, 1)) ** 4) / np.sqrt(1 + (bins / 6000) ** 6)
    distorted = np.tanh(0.075 * played / level) * level
    heard = np.fft.irfft(np.fft.rfft(distorted, size) * np.fft.rfft(path, size) * speaker)[: len(played)]
    heard *= level / loudness(heard) * 10 ** (-quieter_db / 20)
    if drift_ppm:
        heard = np.interp(np.arange(len(heard)) * (1 + drift_ppm * 1e-6), np.arange(len(heard)), heard)
    delay = round(delay_ms * SECOND / 1000)
    return np.concatenate([np.zeros(delay), heard])[: len(played)].astype(np.float32)


def loudness(sound: NDArray[np.floating]) -> float:
    """Root mean square of what can be heard of a sound."""
    return float(np.sqrt(np.mean(sound[np.abs(sound) > 1e-3] ** 2)))


def quieter(sound: Sound, than: Sound, seconds: tuple[float, float]) -> float:
    """How much quieter a sound is than another one in [from, to) seconds, in decibel."""
    part = slice(*(round(at * SECOND) for at in seconds))
    return float(10 * np.log10(np.mean(than[part] ** 2) / (np.mean(sound[part] ** 2) + 1e-15)))


class Device(AudioSource):
    """Sound that arrives when `arrived_samples` is set; blocks may have been put first: gaps, and pauses (empty)."""

    live = True
    first_sample = 0
    arrived_samples = 0
    level = 0.0

    def __init__(
        self, name: str, sound: Sound, gaps: dict[int, int] | None = None, pauses: tuple[int, ...] = ()
    ) -> None:
        """
        Args:
            gaps: sample of the sound to samples that were lost before it.
            pauses: samples of the sound at which listening paused.
        """
        self.name = name
        self._sound, self._gaps, self._pauses = sound, dict(gaps or {}), deque(pauses)
        self._taken = self._lost = 0
        self.away = False

    @property
    def trouble(self) -> str | None:
        return "away" if self.away else None

    @property
    def ended(self) -> bool:
        return self._taken >= len(self._sound)

    def take(self) -> AudioBlock | None:
        if self._pauses and self._pauses[0] <= self._taken:
            return AudioBlock(self._pauses.popleft() + self._lost, self._sound[:0])
        self._lost += self._gaps.pop(self._taken, 0)
        ends = [at for at in (*self._gaps, *self._pauses) if at > self._taken]
        end = min([min(self.arrived_samples - self._lost, len(self._sound)), *ends])
        if end <= self._taken:
            return None
        block = AudioBlock(self._taken + self._lost, self._sound[self._taken : end])
        self._taken = end
        return block

    def wake(self, event: threading.Event) -> None:
        """Sound arrives when `arrived_samples` is set; see `AudioSource`."""

    def pause(self) -> None:
        """It pauses where `pauses` says."""

    resume = close = pause

    def seek(self, sample: int) -> int:
        self._taken, self.arrived_samples = sample, sample
        return sample


class Pair:
    """A microphone and what is played, with the feeds of both; `notices` are those that were given."""

    def __init__(self, microphone: Device, played: Device) -> None:
        self.microphone, self.player = microphone, played
        self.notices: list[str] = []
        self.played = Played(played)
        self.feed = EchoFree(microphone, self.played, lambda message, severity="warning": self.notices.append(message))
        self.blocks: list[AudioBlock] = []
        """What came out of the microphone's feed."""
        self.played_blocks: list[AudioBlock] = []
        self.longest_wait = 0
        """The most samples that waited in the feed."""

    def run(self, until: int, block: int = 800, late: int = 0, start: int = 0) -> "Pair":
        """Let sound arrive in blocks and take it. What is played arrives `late` samples later than the microphone."""
        for now in range(start + block, until + block, block):
            self.microphone.arrived_samples = min(now, until)
            self.player.arrived_samples = max(0, min(now, until) - late)
            self.take()
            end = self.blocks[-1].end_sample if self.blocks else 0
            self.longest_wait = max(self.longest_wait, self.microphone.arrived_samples - end)
        self.player.arrived_samples = until
        self.take()
        return self

    def take(self) -> None:
        """Take all that there is, in turn."""
        while True:
            mine, theirs = self.feed.take(), self.played.take()
            self.blocks += [mine] if mine is not None else []
            self.played_blocks += [theirs] if theirs is not None else []
            if mine is None and theirs is None:
                return

    @property
    def sound(self) -> Sound:
        """What came out, where nothing is missing."""
        for one, other in zip(self.blocks, self.blocks[1:], strict=False):
            assert one.end_sample == other.start_sample, "sound is missing or came twice"
        return np.concatenate([block.samples for block in self.blocks])


def pair(microphone: Sound, played: Sound) -> Pair:
    """Both devices, not yet heard."""
    return Pair(Device("Room Mic", microphone), Device("BlackHole", played))
