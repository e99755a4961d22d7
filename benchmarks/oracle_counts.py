"""What full counts over the oracle find: stable text that is taken back, words that a roll loses or doubles.

    python -m benchmarks.oracle_counts --steps 1000000 --rolls 10000 --jobs 2 --out docs/benchmarks/oracle.json

Steps are counted under random faults, styles and chunks; rolls with a model that is always right, over unbroken speech
with words said many times, so that every word that is not there was lost by the stream. Both are cut into pieces, each
made from its number alone: processes share them, and `--only "rolls 2 17"` hears a single one again.
"""

import argparse
import multiprocessing
import random
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cache
from itertools import count, islice
from pathlib import Path
from typing import Any

from benchmarks.oracle import Faults, Loop
from benchmarks.oracle_session import count_words, run_oracle
from benchmarks.scripted_speech import ScriptStyle, speak
from livecap.errors import LivecapError, SettingsError
from livecap.eval.modes import parse_mode
from livecap.eval.output import store_figures
from livecap.eval.provenance import machine
from livecap.model.checkpoint.load import resolve
from livecap.model.text.tokenizer import Tokenizer
from livecap.stream.config import ChunkConfig, StreamConfig

MODES = ("0.5", "2", "default")
UNBROKEN = ScriptStyle(
    pause_chance=0.02, pause_seconds=(0.1, 0.5), repeat_chance=0.05, most_repeats=5, count_chance=0.03
)
"""Speech whose pauses end no utterance, with words said several times and counting: every prompt has to roll."""
STEPS_WORDS, ROLLS_WORDS = 500, 4000
"""Of a piece: some 400 steps, and some 70 rolls."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A script that is made from these alone, and how it is heard."""

    kind: str
    """"steps" or "rolls"."""
    mode: str
    """As in `livecap eval`; "any" draws it by the seed."""
    seed: int

    def __str__(self) -> str:
        return f"{self.kind} {self.mode} {self.seed}"


@dataclass(frozen=True, slots=True)
class Found:
    """What one piece has counted, or several together."""

    n_words: int = 0
    n_steps: int = 0
    n_rolls: int = 0
    n_revisions: int = 0
    lost: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()
    """Doubled words are among these."""

    def __add__(self, other: "Found") -> "Found":
        return Found(
            self.n_words + other.n_words,
            self.n_steps + other.n_steps,
            self.n_rolls + other.n_rolls,
            self.n_revisions + other.n_revisions,
            self.lost + other.lost,
            self.invented + other.invented,
        )

    @property
    def is_right(self) -> bool:
        return not (self.n_revisions or self.lost or self.invented)


def pieces(kind: str) -> Iterator[Piece]:
    """All of a kind, without end."""
    for seed in count():
        yield from (Piece(kind, mode, seed) for mode in (("any",) if kind == "steps" else MODES))


def hear(piece: Piece, tokenizer_folder: Path | None = None) -> Found:
    """One piece through the stream.

    Args:
        tokenizer_folder: of Qwen's files; None is the embedded model's.
    """
    tokenizer = _tokenizer(tokenizer_folder)
    try:
        return _steps(piece, tokenizer) if piece.kind == "steps" else _rolls(piece, tokenizer)
    except Exception as error:
        error.add_note(f"in piece {str(piece)!r}")
        raise


def _steps(piece: Piece, tokenizer: Tokenizer) -> Found:
    chance = random.Random(piece.seed)
    style = ScriptStyle(
        pause_chance=chance.uniform(0, 0.5),
        repeat_chance=chance.uniform(0, 0.3),
        gap_seconds=(0.0, chance.uniform(0, 0.4)),
    )
    words = speak(STEPS_WORDS, piece.seed, style)
    chunk_seconds = chance.choice([None, chance.uniform(0.2, 4)])
    session = run_oracle(words, tokenizer, StreamConfig(ChunkConfig(chunk_seconds)), _faults(chance), seed=piece.seed)
    return Found(len(words), session.n_steps, session.n_rolls, session.n_revisions)


def _rolls(piece: Piece, tokenizer: Tokenizer) -> Found:
    words = speak(ROLLS_WORDS, piece.seed, UNBROKEN)
    session = run_oracle(words, tokenizer, parse_mode(piece.mode).config, Faults())
    counted = count_words(words, session.text)
    return Found(
        len(words), session.n_steps, session.n_rolls, session.n_revisions, tuple(counted.lost), tuple(counted.invented)
    )


def _faults(chance: random.Random) -> Faults:
    """Anything that a model may do, from nothing to worse than any does."""
    loops = [Loop(chance.uniform(1, 300), chance.randint(1, 40), chance.uniform(0.5, 30)) for _ in range(3)]
    return Faults(
        unstable_chance=chance.random(),
        unstable_tokens=chance.randint(0, 12),
        right_context_seconds=chance.uniform(0, 1.5),
        sure_when_wrong=chance.random(),
        seam_damage=chance.random(),
        invention=chance.random(),
        loops=tuple(loops[: chance.randint(0, 3)]),
        language_flips=chance.random(),
        cost_seconds=chance.choice([0.05, chance.uniform(0, 3)]),
    )


@cache
def _tokenizer(folder: Path | None) -> Tokenizer:
    return Tokenizer.from_folder(folder or resolve("tiny"))


def measure(
    kind: str, at_least: int, found: Iterable[tuple[Piece, Found]]
) -> tuple[dict[str, Found], dict[Piece, Found]]:
    """Piece after piece, until so many steps or rolls were counted.

    Returns:
        What each mode has, and the pieces in which something is wrong.
    """
    by_mode: dict[str, Found] = {}
    wrong: dict[Piece, Found] = {}
    for piece, one in found:
        by_mode[piece.mode] = by_mode.get(piece.mode, Found()) + one
        if not one.is_right:
            wrong[piece] = one
            print(f"{_line(str(piece), one)}; lost {list(one.lost)}, too many {list(one.invented)}", flush=True)
        if sum(one.n_steps if kind == "steps" else one.n_rolls for one in by_mode.values()) >= at_least:
            break
    return by_mode, wrong


def _heard(kind: str, jobs: int, folder: Path | None) -> Generator[tuple[Piece, Found]]:
    """In order, whatever process is ready first: the same counts are made of the same pieces."""
    row = pieces(kind)
    if jobs == 1:
        yield from ((piece, hear(piece, folder)) for piece in row)
    # A process that is forked from one with BLAS's threads may stand still.
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    try:
        waiting = deque((piece, pool.submit(hear, piece, folder)) for piece in islice(row, 2 * jobs))
        while True:
            piece, future = waiting.popleft()
            yield piece, future.result()
            following = next(row)
            waiting.append((following, pool.submit(hear, following, folder)))
    finally:
        pool.shutdown(cancel_futures=True)


def _line(name: str, found: Found) -> str:
    counts = f"{found.n_words} words, {found.n_steps} steps, {found.n_rolls} rolls: {found.n_revisions} taken back"
    return f"{name}: {counts}, {len(found.lost)} lost, {len(found.invented)} too many"


def _figures(found: Found) -> dict[str, Any]:
    return asdict(found) | {"lost": len(found.lost), "invented": len(found.invented)}


def _run(options: argparse.Namespace) -> bool:
    """Counts, prints and stores; True where nothing is wrong."""
    stored: dict[str, Any] = {
        "machine": machine(),
        "tokenizer": options.tokenizer.name if options.tokenizer else "tiny",
    }
    everything_wrong: dict[Piece, Found] = {}
    began = time.monotonic()
    for kind, at_least in (("steps", options.steps), ("rolls", options.rolls)):
        if not at_least:
            continue
        with closing(_heard(kind, options.jobs, options.tokenizer)) as heard:
            by_mode, wrong = measure(kind, at_least, heard)
        for mode, found in by_mode.items():
            print(_line(f"{kind} {mode}", found), flush=True)
        stored[kind] = {mode: _figures(found) for mode, found in by_mode.items()}
        everything_wrong |= wrong
    stored |= {"wrong": {str(piece): asdict(found) for piece, found in everything_wrong.items()}}
    stored |= {"jobs": options.jobs, "seconds": round(time.monotonic() - began)}
    if options.out:
        store_figures(options.out, stored)
    return not everything_wrong


def _parse_piece(text: str) -> Piece:
    parts = text.split()
    if len(parts) != 3 or parts[0] not in ("steps", "rolls") or not parts[2].isdecimal():
        raise SettingsError(f"{text!r} is no piece: give it as it was printed, such as 'steps any 5' or 'rolls 2 17'.")
    return Piece(parts[0], parts[1], int(parts[2]))


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where anything was taken back, lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000, metavar="N", help="at least (default: a million)")
    parser.add_argument("--rolls", type=int, default=10_000, metavar="N", help="at least (default: ten thousand)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--only", metavar="PIECE", help='a single piece again, such as "rolls 2 17"')
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="Qwen's files (default: the embedded model's)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.only:
            piece = _parse_piece(options.only)
            found = hear(piece, options.tokenizer)
            print(_line(str(piece), found))
            return int(not found.is_right)
        return int(not _run(options))
    except LivecapError as error:
        print(f"oracle_counts: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
