"""ScriptedSession: the part of a live session that the screen uses, driven by a test; no model, thread or clock."""

from dataclasses import replace
from pathlib import Path

from livecap.session.commit_latency import CommitLatency
from livecap.session.status import SessionStatus, State, TrackStatus
from livecap.session.step_costs import StepCosts
from livecap.transcript import SAMPLE_RATE, Marked, SessionStarted, TranscriptUpdate

STARTED = "2026-03-02T10:02:00.000+01:00"


class ScriptedSession:
    """The test says what happens; `calls` records what the screen requested."""

    def __init__(self, live=True, model="Qwen3-ASR-0.6B", ends_on_stop=True, source="Built-in Microphone"):
        self.log_folder = Path("no-such-folder")
        self.load_seconds = 0.5
        self.costs = StepCosts()
        self.latency = CommitLatency(lambda track: self.status.arrived_samples)
        self.diagnostics = {"xruns": "0 overflows, 0 flags"}
        self.listeners = [self.latency]
        self.calls = []
        self.ends_on_stop = ends_on_stop
        self.status = SessionStatus(
            state=State.LOADING,
            source=source,
            model=model,
            live=live,
            started_wall=1_772_442_120.0,
            arrived_samples=0,
            decoded_samples=0,
            level=0.0,
            speaking=False,
            language=None,
            language_forced=False,
            rtf=None,
            n_gaps=0,
            gap_samples=0,
            log_path=None,
            error=None,
        )

    # ---- called by the screen

    def add_listener(self, listener):
        assert not self.calls, "before start"
        self.listeners.append(listener)

    def start(self):
        self.calls.append("start")
        self.becomes(state=State.LISTENING)
        self.tell(SessionStarted("s", self.status.source, self.status.model, STARTED, self.status.live, None, "0"))

    def pause(self):
        self.calls.append("pause")
        self.becomes(state=State.PAUSED)

    def resume(self):
        self.calls.append("resume")
        self.becomes(state=State.LISTENING)

    def mute(self):
        self.calls.append("mute")
        self.becomes(muted=True)

    def unmute(self):
        self.calls.append("unmute")
        self.becomes(muted=False)

    def mark(self, note, sample=None, track=""):
        self.calls.append(f"mark {note!r} at {sample}")
        self.tell(Marked(track, sample, note, STARTED))

    def seek(self, seconds):
        self.calls.append(f"seek {seconds}")

    def end_utterance(self):
        self.calls.append("end_utterance")

    def stop(self):
        self.calls.append("stop")
        self.becomes(state=State.ENDED if self.ends_on_stop else State.FINISHING)

    def wait(self, timeout=None):
        return self.status.state in (State.ENDED, State.FAILED)

    # ---- called by tests

    def becomes(self, **changes):
        self.status = replace(self.status, **changes)

    def has_tracks(self, **sources):
        """Set the tracks, from label to source."""
        tracks = [
            TrackStatus(label, source, 0, 0, 0.1, speaking=False, language=None, trouble=None)
            for label, source in sources.items()
        ]
        self.becomes(tracks=tuple(tracks))

    def tell(self, item):
        for listener in self.listeners:
            listener(item)

    def say(self, stable="", partial="", utterance=0, second=0.0, final=False, track=""):
        start = int(second * SAMPLE_RATE)
        self.tell(TranscriptUpdate(track, utterance, stable, partial, start, start + SAMPLE_RATE, "English", final))
