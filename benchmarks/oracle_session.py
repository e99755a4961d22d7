"""The real stream over the oracle, without sound: fast enough for millions of steps, with every word counted."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

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
    """A time function whose time moves only by `spend`."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds

    def spend(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class OracleSession:
    """What the stream said in one session, and how often it changed its mind."""

    stable: dict[int, str] = field(default_factory=dict)
    """The stable text of each utterance."""
    n_updates: int = 0
    n_revisions: int = 0
    """Updates whose stable text does not continue the previous stable text. Must be 0."""
    n_rewritten: int = 0
    """Answers of the oracle that change part of its previous answer, whether that was shown or not."""
    n_steps: int = 0
    n_drafted: int = 0
    n_accepted: int = 0
    n_begun: int = 0
    """Prompts that were begun, at pauses and by rolling."""
    n_rolls: int = 0
    """Prompts that were begun in unbroken speech."""
    notices: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(self.stable[u] for u in sorted(self.stable))

    @property
    def acceptance(self) -> float:
        """The share of draft tokens that were accepted."""
        return self.n_accepted / max(self.n_drafted, 1)

    @property
    def rewrite_rate(self) -> float:
        """The share of steps whose answer changes part of the previous one."""
        return self.n_rewritten / max(self.n_steps, 1)


@dataclass(frozen=True)
class WordCounts:
    """The words of a text compared with those of its script."""

    n_words: int
    lost: list[str]
    invented: list[str]
    """Words of the text that are not in the script, doubled words among them."""


def run_oracle(
    words: Sequence[SpokenWord],
    tokenizer: Tokenizer,
    config: StreamConfig | None = None,
    faults: Faults = PUBLISHED,
    *,
    block_seconds: float = 0.1,
    noises: Sequence[SpokenWord] = (),
    missed: Sequence[SpokenWord] = (),
    seed: int = 0,
    tail_seconds: float = 2.0,
    pauses: Collection[int] = (),
    make: Callable[..., Oracle] = Oracle,
) -> OracleSession:
    """Run a whole script through the stream.

    Args:
        block_seconds: the length of the arriving blocks.
        noises: times at which the detector reports speech though nobody says a word.
        missed: words in which the detector hears nobody. The sound is loud in all words then, and quiet elsewhere.
        tail_seconds: how long the sound goes on after the last word.
        pauses: samples at which listening pauses for a moment.
        make: makes the oracle, from the arguments of `Oracle`.
    """
    config = config or StreamConfig()
    clock = Clock()
    unheard = set(missed)
    voiced = sorted([*(word for word in words if word not in unheard), *noises], key=lambda word: word.start_sample)
    oracle = make(words, tokenizer, faults, seed=seed, spend=clock.spend)
    session = OracleSession()
    transcriber = StreamingTranscriber(
        oracle,
        tokenizer,
        config,
        make_detector=lambda: ScriptDetector(voiced),  # type: ignore[arg-type,return-value]
        on_notice=session.notices.append,
        now=clock,
    )
    end = max(word.end_sample for word in [*words, *noises]) + round(tail_seconds * SAMPLE_RATE)
    sound = loud_in(words, end) if missed else np.zeros(end, np.float32)
    for update in _updates(transcriber, sound, round(block_seconds * SAMPLE_RATE), pauses):
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


def loud_in(words: Sequence[SpokenWord], n: int, snr_db: float = 15.0) -> NDArray[np.float32]:
    """[n] white noise that is `snr_db` louder while a word is said."""
    sound = np.random.default_rng(n).standard_normal(n, np.float32) * np.float32(0.01)
    for word in words:
        sound[word.start_sample : word.end_sample] *= np.float32(10 ** (snr_db / 20))
    return sound


def _updates(
    transcriber: StreamingTranscriber, sound: NDArray[np.float32], block_samples: int, pauses: Collection[int]
) -> Iterator[TranscriptUpdate]:
    edges = sorted({*range(0, len(sound), block_samples), *pauses, len(sound)})
    for start, end in pairwise(edges):
        transcriber.accept(AudioBlock(start, sound[start:end]))
        if end in pauses:
            yield from transcriber.flush()
        elif transcriber.ready:
            yield from transcriber.step()
    yield from transcriber.flush()


def count_words(words: Sequence[SpokenWord], text: str, piece: int = 400) -> WordCounts:
    """The words that are missing from the text, and those that nobody said."""
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
    return WordCounts(len(expected), lost, invented)


def _pieces(a: Sequence[str], b: Sequence[str], piece: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Corresponding pieces of both lists, without their equal stretches, so that an hour of speech is cheap."""
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
