"""Errors near seams compared with errors elsewhere."""

import pytest

from livecap.eval.figures import figures, seam_ratios
from livecap.eval.figures_table import table
from livecap.eval.measurement import total
from livecap.eval.seam_errors import SeamErrors, seam_errors
from tests.eval.test_figures import measured, said, session

TEXT = "a b c d e f g h i j k l m n o p q r s t"
"""A word every half second, starting at 1 s."""


def test_an_error_belongs_to_its_word() -> None:
    seam = 16_000 * 5  # the words from 3 s to 7 s are near: e to m, nine of twenty
    near = seam_errors(said(TEXT), TEXT.replace("g", "x"), [seam])
    assert near == SeamErrors(n_seams=1, near_words=9, near_errors=1, other_words=11, other_errors=0, expected=0)
    far = seam_errors(said(TEXT), TEXT.replace("s ", ""), [seam])
    assert (far.near_errors, far.other_errors, far.ratio) == (0, 1, 0.0)


def test_an_inserted_word_belongs_to_the_word_before_it() -> None:
    errors = seam_errors(said(TEXT), TEXT.replace("g", "g x y"), [16_000 * 5])
    assert (errors.near_errors, errors.other_errors) == (2, 0)


def test_the_ratio_compares_error_rates() -> None:
    assert SeamErrors(1, 10, 2, 100, 10).ratio == pytest.approx(2.0)
    assert SeamErrors(0, 0, 0, 100, 10).ratio is None


def test_a_hard_recording_that_rolls_often_does_not_raise_the_ratio_within() -> None:
    hard = seam_errors(said(TEXT), TEXT.replace("g", "x").replace("r", "x").replace("s", "x"), [16_000 * 5])
    easy = seam_errors(said(TEXT), TEXT, [])
    both = hard + easy
    assert both.ratio is not None and both.ratio > 1.5
    assert both.ratio_within == pytest.approx(1 / 9 / (2 / 11))


def test_the_ratios_of_several_recordings_have_intervals() -> None:
    text, seam = TEXT.replace("g", "x").replace("r", "x"), 16_000 * 5
    parts = []
    for heard in (text, TEXT.replace("r", "x")):
        part = measured(said(TEXT), session((12.0, heard, "")))
        part.seams = seam_errors(said(TEXT), heard, [seam])
        parts.append(part)
    seams = seam_ratios(parts)
    assert seams["n"] == 2 and seams["ratio_within"] == pytest.approx(11 / 18, abs=0.001)
    assert (seams["low"], seams["high"]) == (0.0, pytest.approx(11 / 9, abs=0.001))  # one recording twice
    assert "0.61 (0.00..1.22)" in table([figures(total(parts)) | {"seams": seams}])
