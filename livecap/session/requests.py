"""Requests: what the user asks of a running session, on any thread."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from livecap.audio_in.source import OnNotice
from livecap.engine import EngineSettings
from livecap.errors import AudioError
from livecap.session.publish import Publisher
from livecap.session.sound_folder import SoundFolder
from livecap.session.tracks import Track, arrived_samples
from livecap.session.wall_clock import WallClock
from livecap.text.scripts import shortened
from livecap.transcript import SAMPLE_RATE, Marked, SpeakerNamed


class Requests:
    """What the user asks of a running session. Any thread may call these methods; the last ones belong to the decode
    thread. A request that needs a transcriber waits for that thread, which carries it out between two blocks."""

    def __init__(
        self,
        tracks: Sequence[Track],
        publisher: Publisher,
        notice: OnNotice,
        wall: WallClock,
        sound_folder: SoundFolder | None,
    ) -> None:
        self._tracks = tracks
        self._publisher = publisher
        self._notice = notice
        self._wall = wall
        self._sound_folder = sound_folder
        self._recognition: deque[Mapping[str, Any]] = deque()
        self.is_stopping = False
        self.arrival = threading.Event()
        """Wakes the decode thread: sound arrived, or there is a request."""
        self.sought: int | None = None
        """Where the recording is to go on, until the decode thread has gone there; guarded by the publisher's lock."""

    def stop(self) -> None:
        """Stop listening, decode what was heard, and end the session."""
        self.is_stopping = True
        for track in self._tracks:
            track.source.close()

    def mark(self, note: str = "", sample: int | None = None, track: str = "") -> None:
        """Mark a moment: now, or the one at `sample` of a track."""
        at = arrived_samples(self._tracks) if sample is None else sample
        self._publisher.publish_while_running(Marked(track, at, note, self._wall.now()))

    def name_speaker(self, speaker: int, name: str) -> None:
        """Name a speaker, by number, for the whole session; "" takes the name away."""
        self._publisher.publish_while_running(SpeakerNamed(speaker, name))

    def mute(self) -> None:
        """Replace sound by silence from now on, also in the kept sound; the clock goes on. Twice is harmless. Sound may
        arrive before the session begins, so it can be muted then, too."""
        with self._publisher.lock:
            if self.muted or (self._publisher.has_begun and not self._publisher.running):
                return
            if self._sound_folder is not None:  # first: nothing may be kept that is not heard
                self._sound_folder.mute(True)
            for track in self._tracks:
                track.requests.mute(track.source.arrived_samples)
        self._notice("Muted: nothing is transcribed.", "info")

    def unmute(self) -> None:
        """Hear again. Twice is harmless."""
        with self._publisher.lock:
            if not self.muted:
                return
            n_samples = max(track.requests.unmute(track.source.arrived_samples) for track in self._tracks)
            if self._sound_folder is not None:
                self._sound_folder.mute(False)
        self._notice(f"Unmuted after {n_samples / SAMPLE_RATE:.0f} s of silence.", "info")

    @property
    def muted(self) -> bool:
        return any(track.requests.muted for track in self._tracks)

    def end_utterance(self) -> None:
        """End what is being said now, however late it is decoded; what follows is a new utterance."""
        for track in self._tracks:
            track.requests.end_utterance(track.source.arrived_samples)
        self.arrival.set()

    def change_recognition(self, changes: Mapping[str, Any]) -> None:
        """Use another model, language or context from the next utterance on. Sound waits meanwhile. If the model cannot
        be loaded, a notice says so and the session goes on as before.

        Args:
            changes: fields of `EngineSettings` by name.
        """
        self._recognition.append(changes)
        self._notice(f"From the next utterance on: {recognition_summary(changes)}.", "info")
        self.arrival.set()

    def seek(self, seconds: float) -> None:
        """Go on that much later in a recording, or earlier below 0, within its sound. Calls add up until the decode
        thread has gone there.

        Raises:
            AudioError: this session is live.
        """
        recordings = [track.source for track in self._tracks if track.source.seekable]
        if not recordings:
            raise AudioError("This session is live: only a recording can be rewound or skipped.")
        with self._publisher.lock:
            if not self._publisher.running or self.is_stopping:
                return
            here = arrived_samples(self._tracks) if self.sought is None else self.sought
            there = max(here + round(seconds * SAMPLE_RATE), min(source.first_sample for source in recordings))
            ends = [source.end_sample for source in recordings if source.end_sample is not None]
            if seconds > 0 and ends:  # the last second stays to be heard, since the session ends with the sound
                there = max(here, min(there, max(ends) - SAMPLE_RATE))
            if there != here:
                self.sought = there
        self.arrival.set()

    def switch_input(self, device: str | None, label: str = "") -> None:
        """Go on with another input device; the time between the two is a gap.

        Args:
            device: as `livecap --device` takes it; None is the default input.
            label: of the track; "" for the first one.

        Raises:
            AudioError: there is no such input, or the track does not listen to one.
        """
        track = next(track for track in self._tracks if label in ("", track.label))
        track.source.switch_to(device)
        track.requests.switch_input()

    # ---- the decode thread

    def take_seek(self) -> int:
        """Where to go on. Hold the publisher's lock until the sources are there."""
        sample, self.sought = self.sought, None
        assert sample is not None, "nothing is sought"
        return sample

    def take_recognition(self) -> Mapping[str, Any] | None:
        """The next change of recognition; None if there is none."""
        return self._recognition.popleft() if self._recognition else None


def recognition_summary(changes: Mapping[str, Any]) -> str:
    """How sound is recognised, in words: "Qwen3-ASR-0.6B, German, expecting Priya, Kowalski".

    Args:
        changes: fields of `EngineSettings` by name; those that are missing are not mentioned.
    """
    parts = []
    if "model" in changes:
        parts.append(EngineSettings(changes["model"]).model_name)
    if "language" in changes:
        parts.append(changes["language"] or "any language")
    if "context" in changes:
        words = " ".join(changes["context"].split())
        parts.append(f"expecting {shortened(words, 80)}" if words else "no expected words")
    return ", ".join(parts)
