"""ScriptedSession: the part of a live session that the screen uses, driven by a test; no model, thread or clock."""

from dataclasses import fields, replace
from pathlib import Path

from livecap.session.measures import CommitLatency, StepCosts
from livecap.session.status import SessionStatus, State, TrackStatus
from livecap.transcript import SAMPLE_RATE, Marked, SessionStarted, SpeakerNamed, TranscriptUpdate

STARTED = "2026-03-02T10:02:00.000+01:00"

TRACK_FIELDS = {field.name for field in fields(TrackStatus)}


def track_status(label, source, level=0.1):
    return TrackStatus(label, source, 0, 0, level, speaking=False, language=None, trouble=None)


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
        self.requests = self
        self.ends_on_stop = ends_on_stop
        self.status = SessionStatus(
            state=State.LOADING,
            model=model,
            live=live,
            started_wall=1_772_442_120.0,
            forced_language=None,
            rtf=None,
            log_path=None,
            error=None,
            tracks=(track_status("", source, level=0.0),),
        )

    # ---- called by the screen

    def start(self, *listeners):
        self.listeners += listeners
        self.calls.append("start")
        self.becomes(state=State.LISTENING)
        source, labels = self.status.source, tuple(track.label for track in self.status.tracks)
        self.tell(SessionStarted("s", source, self.status.model, STARTED, self.status.live, None, "0", tracks=labels))

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

    def name_speaker(self, speaker, name):
        self.calls.append(f"speaker {speaker} is {name!r}")
        self.tell(SpeakerNamed(speaker, name))

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
        """Changes of the session, and of its first track."""
        of_track = {name: changes.pop(name) for name in TRACK_FIELDS & changes.keys()}
        first, *others = changes.pop("tracks", self.status.tracks)
        self.status = replace(self.status, tracks=(replace(first, **of_track), *others), **changes)

    def has_tracks(self, **sources):
        """Set the tracks, from label to source."""
        self.becomes(tracks=tuple(track_status(label, source) for label, source in sources.items()))

    def tell(self, item):
        for listener in self.listeners:
            listener(item)

    def say(self, stable="", partial="", utterance=0, second=0.0, final=False, track=""):
        start = int(second * SAMPLE_RATE)
        self.tell(TranscriptUpdate(track, utterance, stable, partial, start, start + SAMPLE_RATE, "English", final))
