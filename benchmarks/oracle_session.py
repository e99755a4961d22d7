"""The real stream over the oracle, without a sound: quick enough for millions of steps, and every word counted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from benchmarks.oracle import PUBLISHED, Faults, Oracle
from benchmarks.scripted_speech import ScriptDetector
from livecap.audio_in.source import AudioBlock
from livecap.eval.alignment import align
from livecap.eval.reference import SpokenWord
from livecap.eval.wer import normalise
from livecap.model.text.tokenizer import Tokenizer
from livecap.stream.config import StreamConfig
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate


@dataclass
class Clock:
    """Seconds that pass when somebody says so."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds

    def spend(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class OracleSession:
    """What the stream said, and how the updates before went over into each other."""

    stable: dict[int, str] = field(default_factory=dict)
    """Utterance to its stable text."""
    n_updates: int = 0
    n_revisions: int = 0
    """Stable text that was not the beginning of the next. Must be 0."""
    n_rewritten: int = 0
    """Answers of the oracle that take something back of the one before, whether it was shown or not."""
    n_steps: int = 0
    n_drafted: int = 0
    n_accepted: int = 0
    n_begun: int = 0
    """Prompts that were begun: at pauses, and by rolling."""
    n_rolls: int = 0
    """Of them, those that went on in unbroken speech."""
    notices: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(self.stable[u] for u in sorted(self.stable))

    @property
    def acceptance(self) -> float:
        """Of draft tokens."""
        return self.n_accepted / max(self.n_drafted, 1)

    @property
    def rewrite_rate(self) -> float:
        """Share of steps whose answer takes something back."""
        return self.n_rewritten / max(self.n_steps, 1)


@dataclass(frozen=True)
class Counted:
    """Words of the script against words of the text."""

    n_words: int
    lost: list[str]
    invented: list[str]
    """Doubled words are among these."""


def run_oracle(
    words: Sequence[SpokenWord],
    tokenizer: Tokenizer,
    config: StreamConfig | None = None,
    faults: Faults = PUBLISHED,
    *,
    chunk_seconds: float = 0.1,
    noises: Sequence[SpokenWord] = (),
    seed: int = 0,
    tail_seconds: float = 2.0,
) -> OracleSession:
    """The whole script through the stream, in chunks of this length.

    Args:
        noises: what the detector takes for speech though nobody says a word.
    """
    config = config or StreamConfig()
    clock = Clock()
    voiced = sorted([*words, *noises], key=lambda word: word.start_sample)
    oracle = Oracle(words, tokenizer, faults, seed=seed, spend=clock.spend)
    session = OracleSession()
    transcriber = StreamingTranscriber(
        oracle,
        tokenizer,
        config,
        make_detector=lambda: ScriptDetector(voiced),  # type: ignore[arg-type,return-value]
        on_notice=session.notices.append,
        clock=clock,
    )
    end = voiced[-1].end_sample + round(tail_seconds * SAMPLE_RATE)
    for update in _updates(transcriber, end, round(chunk_seconds * SAMPLE_RATE)):
        session.n_updates += 1
        before = session.stable.get(update.utterance, "")
        session.n_revisions += not update.stable.startswith(before)
        session.stable[update.utterance] = update.stable
    statistics = transcriber.statistics
    session.n_steps, session.n_drafted = statistics.n_steps, statistics.n_drafted
    session.n_accepted = statistics.n_accepted
    session.n_begun, session.n_rolls = oracle.n_begun, statistics.n_rolls
    session.n_rewritten = oracle.n_rewritten
    return session


def _updates(transcriber: StreamingTranscriber, end: int, chunk_samples: int) -> Iterator[TranscriptUpdate]:
    silence = np.zeros(chunk_samples, np.float32)
    for start in range(0, end, chunk_samples):
        transcriber.accept(AudioBlock(start, silence))
        if transcriber.ready:
            yield from transcriber.step()
    yield from transcriber.finish()


def count_words(words: Sequence[SpokenWord], text: str, piece: int = 400) -> Counted:
    """What is missing from the text, and what nobody said."""
    expected = [part for word in words for part in normalise(word.text)]
    heard = normalise(text)
    lost: list[str] = []
    invented: list[str] = []
    for (a, b), (c, d) in _pieces(expected, heard, piece):
        for i, j in align(expected[a:b], heard[c:d]):
            if i is None:
                assert j is not None
                invented.append(heard[c + j])
            elif j is None or expected[a + i] != heard[c + j]:
                lost.append(expected[a + i])
                invented += [heard[c + j]] if j is not None else []
    return Counted(len(expected), lost, invented)


def _pieces(a: Sequence[str], b: Sequence[str], piece: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Both lists in corresponding pieces: equal stretches are stepped over, so that an hour costs little."""
    i = j = 0
    while i < len(a) or j < len(b):
        while i < len(a) and j < len(b) and a[i] == b[j]:
            i, j = i + 1, j + 1
        pairs = align(a[i : i + piece], b[j : j + piece + piece // 4], open_end=False)
        both = [(x, y) for x, y in pairs if x is not None and y is not None and a[i + x] == b[j + y]]
        if i + piece >= len(a) and j + piece + piece // 4 >= len(b):
            yield (i, len(a)), (j, len(b))
            return
        runs = [p for p, q in pairwise(both) if q == (p[0] + 1, p[1] + 1)]
        x, y = runs[len(runs) // 2] if runs else (piece, piece)
        yield (i, i + x), (j, j + y)
        i, j = i + x, j + y
