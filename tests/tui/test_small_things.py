"""Plots, the level strip, the clipboard, durations and sizes."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.tui import clipboard
from livecap.tui.widgets.level_meter import BARS, height
from livecap.tui.widgets.plots import EIGHTHS, SHADE, bar, columns, nice_top


@given(st.lists(st.none() | st.floats(0, 1e4), min_size=1, max_size=90), st.integers(1, 6))
def test_a_plot_has_its_size_and_a_column_for_each_value(values, n_rows):
    top = nice_top([value for value in values if value is not None], 0.2)
    rows = columns(values, n_rows, top, above=[None if value is None else 2 * value for value in values])
    assert [len(row) for row in rows] == [len(values)] * n_rows
    for place, value in enumerate(values):
        cells = "".join(row[place] for row in rows)
        assert cells.lstrip(" ").lstrip(SHADE).lstrip(EIGHTHS[1:8]).strip("█") == ""
        filled = sum(EIGHTHS.index(cell) for cell in cells if cell != SHADE)
        assert filled == (max(1, round(value / top * n_rows * 8)) if value else 0)


@given(st.floats(0, 10), st.integers(1, 50))
def test_a_bar_has_its_width_and_is_visible_unless_zero(value, width):
    drawn = bar(value, 10.0, width)
    assert len(drawn) == width and (drawn.strip() == "") == (value == 0)


@given(st.lists(st.floats(0, 1e6), max_size=5), st.floats(0.01, 100))
def test_the_top_of_a_plot_is_round_and_not_below_any_value(values, least):
    top = nice_top(values, least)
    assert top >= max([least, *values]) * (1 - 1e-6) and top <= 10 * max([least, *values]) * (1 + 1e-6)
    assert f"{top:.0e}"[0] in "125"


@given(st.floats(0, 1), st.floats(0, 1))
def test_louder_is_never_lower_in_the_strip(one, other):
    low, high = sorted((one, other))
    assert 0 <= height(low) <= height(high) < len(BARS)


@pytest.mark.parametrize(
    ("platform", "environ", "programs", "expected"),
    [
        ("darwin", {}, {"pbcopy"}, "pbcopy"),
        ("linux", {"WAYLAND_DISPLAY": "w"}, {"wl-copy", "xclip"}, "wl-copy"),
        ("linux", {"DISPLAY": ":0"}, {"xsel"}, "xsel"),
        ("linux", {}, {"xclip"}, None),
        ("darwin", {"SSH_CONNECTION": "far"}, {"pbcopy"}, None),
    ],
)
def test_the_clipboard_is_that_of_the_users_machine(monkeypatch, platform, environ, programs, expected):
    monkeypatch.setattr("shutil.which", lambda name: name if name in programs else None)
    command = clipboard.clipboard_command(platform, environ)
    assert (command[0] if command else None) == expected


def test_a_clipboard_program_that_fails_returns_false(monkeypatch):
    monkeypatch.setattr(clipboard, "clipboard_command", lambda: ("false",))
    assert clipboard.copy("text") is False

    def hangs(*arguments, **options):
        raise subprocess.TimeoutExpired("xclip", 2)

    monkeypatch.setattr("subprocess.run", hangs)
    assert clipboard.copy("text") is False
