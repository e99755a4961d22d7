"""Full counts over the oracle: a piece always gives the same counts, and lost words make the command fail."""

import json
from pathlib import Path

import pytest

from benchmarks.oracle_counts import Piece, main, run_piece

GUESSES = "guesses:look_for_pause_seconds=40;keep_context_seconds=1;forced_pause_seconds=9;roll_pause_seconds=9"
"""A mode that cuts prompts anywhere."""


def test_a_piece_always_gives_the_same_counts() -> None:
    piece = Piece("steps", "any", 3)
    assert run_piece(piece) == run_piece(piece)


def test_lost_words_are_printed_with_their_piece_and_fail(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", f"rolls {GUESSES} 0"]) == 1
    assert " 0 lost, 0 extra" not in capsys.readouterr().out


def test_several_processes_count_what_one_process_counts(tmp_path: Path) -> None:
    stored = []
    for jobs in ("1", "2"):
        out = tmp_path / jobs
        assert main(["--steps", "800", "--rolls", "0", "--jobs", jobs, "--out", str(out)]) == 0
        stored.append(json.loads(out.read_text()))
    assert stored[0]["steps"] == stored[1]["steps"]
    assert stored[0]["steps"]["any"]["n_steps"] >= 800
    assert stored[0]["wrong"] == {}


def test_an_invalid_piece_is_reported_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "everything"]) == 1
    assert capsys.readouterr().err.startswith("oracle_counts: Invalid piece 'everything'")
