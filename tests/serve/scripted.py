"""An engine whose transcribers hear words by a rule instead of a model, and a worker with it."""

import threading

import numpy as np

from livecap.engine import EngineSettings
from livecap.serve.worker import Worker
from livecap.transcript import TranscriptUpdate, Word

WORD = 1600
"""Samples of sound that are one word: 0.1 s."""


def loud(n_words, rate=16000, word=0.5):
    """[n] float32 that is heard as that many words."""
    return np.full(n_words * WORD * rate // 16000, word, np.float32)


def pcm(sound):
    """Sound as 16-bit samples."""
    return (sound * 32767).astype("<i2").tobytes()


class ScriptedTranscriber:
    """Each 0.1 s of loud sound is a word, named by its number in the stream; the last one may still change. The
    utterance ends where 0.1 s are silent. Edges of filters do not count as sound."""

    n_unsettled = 0

    def __init__(self, settings, gate):
        self.settings = settings
        self.gate = gate
        self.n_utterances = 0
        self._sound = np.zeros(0, np.float32)
        self._at = 0
        self._words = []

    def accept(self, block):
        assert self.gate.wait(20)
        assert block.start_sample == self._at + len(self._sound), "sound is missing"
        self._sound = np.concatenate([self._sound, block.samples])

    @property
    def ready(self):
        return len(self._sound) >= WORD

    def step(self):
        while len(self._sound) >= WORD:
            piece, self._sound = self._sound[:WORD], self._sound[WORD:]
            self._at += WORD
            if np.abs(piece).mean() > 0.1:
                self._words.append(Word(f"w{self._at // WORD}", self._at - WORD, self._at, "step"))
                yield self._update(final=False)
            elif self._words:
                yield self._update(final=True)

    def flush(self):
        yield from self.step()
        self._at += len(self._sound)
        self._sound = np.zeros(0, np.float32)
        if self._words:
            yield self._update(final=True)

    def _update(self, final):
        words = tuple(self._words)
        said = [word.text for word in words]
        stable, partial = (said, []) if final else (said[:-1], said[-1:])
        update = TranscriptUpdate(
            "",
            self.n_utterances,
            " ".join(stable),
            " " * bool(stable and partial) + " ".join(partial),
            words[0].start_sample,
            self._at,
            self.settings.language or "English",
            final,
            words if final else (),
        )
        if final:
            self.n_utterances += 1
            self._words = []
        return update

    def share(self, n_streams):
        self.n_sharing = n_streams

    def go_on_from(self, other, sample):
        self.n_utterances = other.n_utterances + bool(other._words)
        self._at = sample

    def close(self):
        pass


class ScriptedEngine:
    def __init__(self, settings):
        self.settings = settings
        self.asked = []
        """The settings of each transcriber."""
        self.gate = threading.Event()
        """Clear it, and nothing is heard."""
        self.gate.set()

    memory = {}

    def change(self, settings, on_notice):
        self.settings = settings

    def transcriber(self):
        self.asked.append(self.settings)
        return ScriptedTranscriber(self.settings, self.gate)

    def close(self):
        pass


def scripted_worker(said, engines=None):
    """A started worker; what it reports is appended to `said`, its engine to `engines`."""

    def load(settings):
        engine = ScriptedEngine(settings)
        if engines is not None:
            engines.append(engine)
        return engine

    worker = Worker(EngineSettings("tiny"), said.append, load)
    worker.start()
    return worker
