"""Full counts over the oracle: stable text that is revised, and words that a roll loses or doubles.

    python -m benchmarks.oracle_counts --steps 1000000 --rolls 10000 --jobs 2 --out docs/benchmarks/oracle.json

Steps are counted with random faults, styles and chunks. Rolls are counted with a model that is always right, on
unbroken speech with repeated words, so that the stream is to blame for every missing word. Both are cut into pieces
that are made from their number only: processes share them, and `--only "rolls 2 17"` runs a single one again.
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
from livecap.stream.statistics import Counts

MODES = ("0.5", "2", "default")
UNBROKEN = ScriptStyle(
    pause_chance=0.02, pause_seconds=(0.1, 0.5), repeat_chance=0.05, most_repeats=5, count_chance=0.03
)
"""Speech whose pauses do not end utterances, with repeated words and counting: every prompt has to roll."""
STEPS_WORDS, ROLLS_WORDS = 500, 4000
"""Words of a piece: about 400 steps, and about 70 rolls."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A script and a mode of the stream, made from these values only."""

    kind: str
    """"steps" or "rolls"."""
    mode: str
    """A mode of `livecap eval`; "any" chooses one by the seed."""
    seed: int

    def __str__(self) -> str:
        return f"{self.kind} {self.mode} {self.seed}"


@dataclass(frozen=True, slots=True)
class Found(Counts):
    """The counts of one piece, or of several added up."""

    n_words: int = 0
    n_steps: int = 0
    n_rolls: int = 0
    n_revisions: int = 0
    lost: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()
    """Words of the text that are not in the script, doubled words among them."""

    @property
    def is_right(self) -> bool:
        return not (self.n_revisions or self.lost or self.invented)


def pieces(kind: str) -> Iterator[Piece]:
    """Pieces of one kind, without end."""
    for seed in count():
        yield from (Piece(kind, mode, seed) for mode in (("any",) if kind == "steps" else MODES))


def run_piece(piece: Piece, tokenizer_folder: Path | None = None) -> Found:
    """Run one piece through the stream.

    Args:
        tokenizer_folder: Qwen's tokenizer files; None uses the embedded model's.
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
    """Random faults, from none to worse than any real model."""
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
    """Run pieces until at least this many steps or rolls are counted.

    Returns:
        The counts of each mode, and those of each piece that has an error.
    """
    by_mode: dict[str, Found] = {}
    wrong: dict[Piece, Found] = {}
    for piece, one in found:
        by_mode[piece.mode] = by_mode.get(piece.mode, Found()) + one
        if not one.is_right:
            wrong[piece] = one
            print(f"{_line(str(piece), one)}; lost {list(one.lost)}, extra {list(one.invented)}", flush=True)
        if sum(one.n_steps if kind == "steps" else one.n_rolls for one in by_mode.values()) >= at_least:
            break
    return by_mode, wrong


def _counted(kind: str, jobs: int, folder: Path | None) -> Generator[tuple[Piece, Found]]:
    """The counts of pieces in order, whichever process is ready first, so that the totals do not depend on `jobs`."""
    row = pieces(kind)
    if jobs == 1:
        yield from ((piece, run_piece(piece, folder)) for piece in row)
    # Spawned: a process forked from one with BLAS threads may hang.
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    try:
        waiting = deque((piece, pool.submit(run_piece, piece, folder)) for piece in islice(row, 2 * jobs))
        while True:
            piece, future = waiting.popleft()
            yield piece, future.result()
            following = next(row)
            waiting.append((following, pool.submit(run_piece, following, folder)))
    finally:
        pool.shutdown(cancel_futures=True)


def _line(name: str, found: Found) -> str:
    counts = f"{found.n_words} words, {found.n_steps} steps, {found.n_rolls} rolls: {found.n_revisions} revised"
    return f"{name}: {counts}, {len(found.lost)} lost, {len(found.invented)} extra"


def _figures(found: Found) -> dict[str, Any]:
    return asdict(found) | {"lost": len(found.lost), "invented": len(found.invented)}


def _run(options: argparse.Namespace) -> bool:
    """Count, print and store; True where there is no error."""
    stored: dict[str, Any] = {
        "machine": machine(),
        "tokenizer": options.tokenizer.name if options.tokenizer else "tiny",
    }
    everything_wrong: dict[Piece, Found] = {}
    began = time.monotonic()
    for kind, at_least in (("steps", options.steps), ("rolls", options.rolls)):
        if not at_least:
            continue
        with closing(_counted(kind, options.jobs, options.tokenizer)) as heard:
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
        raise SettingsError(f"Invalid piece {text!r}: give it as printed, such as 'steps any 5' or 'rolls 2 17'.")
    return Piece(parts[0], parts[1], int(parts[2]))


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where anything was revised, lost or doubled."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.oracle_counts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--steps", type=int, default=1_000_000, metavar="N", help="the least number of steps (default: a million)"
    )
    parser.add_argument(
        "--rolls", type=int, default=10_000, metavar="N", help="the least number of rolls (default: ten thousand)"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--only", metavar="PIECE", help='run a single piece again, such as "rolls 2 17"')
    parser.add_argument(
        "--tokenizer", type=Path, metavar="DIR", help="Qwen's tokenizer files (default: the embedded model's)"
    )
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.only:
            piece = _parse_piece(options.only)
            found = run_piece(piece, options.tokenizer)
            print(_line(str(piece), found))
            return int(not found.is_right)
        return int(not _run(options))
    except LivecapError as error:
        print(f"oracle_counts: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
