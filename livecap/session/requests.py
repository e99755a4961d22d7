"""SteeredSession: a LiveSession that a person steers: marks, silence, new paragraphs, another model or input.

What touches a transcriber is asked for on any thread and carried out on the decode thread, between two chunks.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from livecap.audio_in.device.microphone import Microphone
from livecap.audio_in.replay import Replay
from livecap.audio_in.source import AudioBlock
from livecap.errors import AudioError, LivecapError
from livecap.session.live import LiveSession
from livecap.session.status import SessionStatus
from livecap.session.tracks import Track
from livecap.transcript import SAMPLE_RATE, Marked


class SteeredSession(LiveSession):
    """Any thread may call what stands first."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As LiveSession."""
        super().__init__(*arguments, **options)
        self._requests: deque[Callable[[], None]] = deque()
        self._silences: dict[str, list[tuple[int, int | None]]] = {track.label: [] for track in self._tracks}
        """Of each track: [start, end) of what a person did not want to be heard; the last may be open."""
        self._muted = False
        self._ends: dict[str, deque[int]] = {track.label: deque() for track in self._tracks}
        """Of each track: where a person wants an utterance to end, in sound that is not decoded yet."""
        self._sought: int | None = None
        """Where a person wants the recording to go on; guarded by the publisher's lock."""

    def mark(self, note: str = "", sample: int | None = None, track: str = "") -> None:
        """Mark a moment: now, or where `sample` of a track is."""
        at = self._arrived_samples if sample is None else sample
        self._publisher.publish_while_running(Marked(track, at, note, self._wall.now()))

    def mute(self) -> None:
        """From now on sound is heard, and kept, as silence; the clock goes on. Twice is harmless."""
        with self._publisher.lock:
            if self._muted or not self._publisher.running:
                return
            self._muted = True
            if self._sound_folder is not None:  # first: what is heard is what is kept
                self._sound_folder.mute(True)
            for track in self._tracks:
                self._silences[track.label].append((track.source.arrived_samples, None))
        self.notice("Muted: what is said now is not heard.", "info")

    def unmute(self) -> None:
        """Hear again. Twice is harmless."""
        with self._publisher.lock:
            if not self._muted:
                return
            self._muted = False
            start = 0
            for track in self._tracks:
                start, _ = self._silences[track.label].pop()
                self._silences[track.label].append((start, track.source.arrived_samples))
        if self._sound_folder is not None:
            self._sound_folder.mute(False)
        self.notice(f"Heard again after {(self._arrived_samples - start) / SAMPLE_RATE:.0f} s of silence.", "info")

    def end_utterance(self) -> None:
        """What is said now ends here, however late it is decoded; what follows is a new utterance."""
        for track in self._tracks:
            self._ends[track.label].append(track.source.arrived_samples)
        self._arrival.set()

    def change_recognition(self, changes: Mapping[str, Any]) -> None:
        """Use another model, language or context from the next utterance on. Sound waits meanwhile. If the model cannot
        be loaded, a notice says so and the session goes on as before.

        Args:
            changes: fields of `EngineSettings` by name.
        """
        self._ask(lambda: self._change_recognition(changes))

    def seek(self, seconds: float) -> None:
        """A recording goes on so many seconds later, or earlier below 0, within what there is of it. Asked for again
        before it was done, it goes so much farther.

        Raises:
            AudioError: this session hears no recording.
        """
        recordings = [track.source for track in self._tracks if isinstance(track.source, Replay)]
        if not recordings:
            raise AudioError("This session hears what happens now: it can only be gone back in a recording.")
        with self._publisher.lock:
            if self._stopping or not self._publisher.running:
                return
            asked = self._sought
            here = self._arrived_samples if asked is None else asked
            there = max(here + round(seconds * SAMPLE_RATE), min(source.first_sample for source in recordings))
            ends = [source.end_sample for source in recordings if source.end_sample is not None]
            if seconds > 0 and ends:  # the last second stays to be heard, since the session ends with the sound
                there = max(here, min(there, max(ends) - SAMPLE_RATE))
            if there == here:
                return
            self._sought = there
        if asked is None:
            self._ask(self._jump)

    def switch_input(self, device: str | int | None, label: str = "") -> None:
        """A track goes on with another input; the time between the two is a gap.

        Args:
            label: of the track; of the first one without it.

        Raises:
            AudioError: no such input, or this session does not hear one.
        """
        for track in self._tracks:
            if isinstance(track.source, Microphone) and label in ("", track.label):
                track.source.switch_to(device)
                return
        raise AudioError("This session hears no input that could be changed. Start another one: livecap --device NAME.")

    @property
    def is_stopping(self) -> bool:
        """It was told to end; that may be before it started."""
        return self._stopping

    @property
    def status(self) -> SessionStatus:
        """As LiveSession has it."""
        return replace(super().status, muted=self._muted)

    @property
    def diagnostics(self) -> dict[str, str]:
        """What somebody who looks for a fault wants to know, name to value, in the order to be shown."""
        facts: dict[str, str] = {}
        if last := self.costs.last:
            facts["last step"] = f"{last.compute_seconds * 1e3:.0f} ms for {last.sound_seconds:.1f} s of sound"
        for track in self._tracks:
            name = f"{track.label} " if track.label else ""
            if track.transcriber is not None:
                done = track.transcriber.statistics
                step_seconds = track.transcriber.chunk_samples / SAMPLE_RATE
                facts[f"{name}step of sound"] = f"{step_seconds:.2f} s, {done.n_steps} steps so far"
                if n_tokens := done.n_accepted + done.n_passes:
                    facts[f"{name}guessed right"] = f"{done.n_accepted / n_tokens:.0%} of {n_tokens} tokens"
                facts[f"{name}passes"] = f"{done.n_passes / max(1, done.n_steps):.1f} a step"
            if isinstance(track.source, Microphone):
                status = track.source.health
                facts[f"{name}xruns"] = f"{status.n_overflows} overflows, {status.n_flags} flags"
                facts[f"{name}opened"] = "once" if status.n_opened == 1 else f"{status.n_opened} times"
                if status.drift_ppm is not None:
                    facts[f"{name}clock drift"] = f"{status.drift_ppm:.0f} ppm"
        for name, n_bytes in (self._engine.memory if self._engine else {}).items():
            facts[name] = f"{n_bytes / 1e6:.0f} MB"
        return facts

    # ---- the decode thread

    def _ask(self, request: Callable[[], None]) -> None:
        self._requests.append(request)
        self._arrival.set()

    def _between_rounds(self) -> None:
        while self._requests:
            self._requests.popleft()()
        for track in self._listening:
            self._end_here(track)

    def _hear(self, track: Track, chunk: AudioBlock) -> None:
        chunk = silenced(chunk, self._silences[track.label])
        ends = self._ends[track.label]
        while ends and chunk.start_sample < ends[0] < chunk.end_sample:
            n = ends[0] - chunk.start_sample
            super()._hear(track, AudioBlock(chunk.start_sample, chunk.samples[:n]))
            self._end_here(track)
            chunk = AudioBlock(chunk.start_sample + n, chunk.samples[n:])
        super()._hear(track, chunk)
        self._end_here(track)

    def _end_here(self, track: Track) -> None:
        """The utterance, where a person wanted that and all before it is taken."""
        ends = self._ends[track.label]
        while ends and ends[0] <= track.end_sample:
            ends.popleft()
            self._decode(track, track.step(closes=True))

    def _end_utterances(self) -> None:
        for track in self._tracks:
            if track.transcriber is not None and not track.source.ended:
                self._decode(track, track.step(closes=True))

    def _jump(self) -> None:
        with self._publisher.lock:
            sample, self._sought = self._sought, None
        self._close_utterances()
        for track in self._tracks:
            assert isinstance(track.source, Replay) and sample is not None
            try:
                there = track.source.seek(sample)
            except LivecapError as error:
                self.notice(str(error), "error")
                continue
            self._renew_transcriber(track, there)
            self._publisher.publish(track.jump(there))
            self._ends[track.label].clear()
            self._silences[track.label] = [(there, None)] if self._muted else []
            if track not in self._listening and not track.source.ended:
                self._listening.append(track)

    def _close_utterances(self) -> None:
        """All that was heard is said and settled."""
        self._end_utterances()
        while self._settle(self._tracks):
            pass

    def _renew_transcriber(self, track: Track, sample: int | None = None) -> None:
        """Another one goes on, where it stopped or at `sample`."""
        old = track.transcriber
        assert old is not None and self._engine is not None, "requests are carried out once the model is loaded"
        track.transcriber = self._engine.transcriber(track.label, self.notice)
        track.transcriber.go_on_from(old, sample)
        old.close()

    def _change_recognition(self, changes: Mapping[str, Any]) -> None:
        assert self._engine is not None, "requests are carried out once the model is loaded"
        recognition = replace(self._engine.settings, **changes)
        try:
            self._engine.change(recognition, self.notice)
        except LivecapError as error:
            self.notice(f"{error} The session goes on as before.", "error")
            return
        self._close_utterances()
        for track in self._tracks:
            self._renew_transcriber(track)
        self._recognition, self._model = recognition, recognition.model_name
        self.notice(f"From here on: {self._model}, {recognition.language or 'any language'}.", "info")


def silenced(chunk: AudioBlock, silences: Sequence[tuple[int, int | None]]) -> AudioBlock:
    """The chunk, with zeros where it lies in one of [start, end); an open end is now."""
    samples = chunk.samples
    for start, end in silences:
        low = max(0, start - chunk.start_sample)
        high = len(samples) if end is None else min(len(samples), end - chunk.start_sample)
        if low < high:
            samples = samples.copy()
            samples[low:high] = 0.0
    return chunk if samples is chunk.samples else AudioBlock(chunk.start_sample, samples)
