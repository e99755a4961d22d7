"""Full counts over the oracle: pieces say the same wherever they are heard, and lost words fail."""

import json
from pathlib import Path

import pytest

from benchmarks.oracle_counts import Piece, hear, main

GUESSES = "guesses:look_for_pause_seconds=40;keep_context_seconds=1;forced_pause_seconds=9;roll_pause_seconds=9"
"""A prompt that is cut anywhere."""


def test_a_piece_counts_the_same_whenever_it_is_heard() -> None:
    piece = Piece("steps", "any", 3)
    assert hear(piece) == hear(piece)


def test_lost_words_are_told_with_their_piece_and_fail(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", f"rolls {GUESSES} 0"]) == 1
    assert " 0 lost, 0 too many" not in capsys.readouterr().out


def test_processes_share_the_pieces_and_count_what_one_counts(tmp_path: Path) -> None:
    stored = []
    for jobs in ("1", "2"):
        out = tmp_path / jobs
        assert main(["--steps", "800", "--rolls", "0", "--jobs", jobs, "--out", str(out)]) == 0
        stored.append(json.loads(out.read_text()))
    assert stored[0]["steps"] == stored[1]["steps"]
    assert stored[0]["steps"]["any"]["n_steps"] >= 800
    assert stored[0]["wrong"] == {}


def test_what_is_no_piece_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "everything"]) == 1
    assert capsys.readouterr().err.startswith("oracle_counts: 'everything' is no piece")
