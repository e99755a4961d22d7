"""The diagnostics show current values, and plots of the last minutes."""

import sys

import pytest

from livecap.session.measures import CommittedWord, StepCost
from livecap.stream.statistics import StageSeconds
from livecap.transcript import TextCommitted, UtteranceEnded, Word
from livecap.tui.screens import diagnostics_screen
from livecap.tui.session_history import Moment, SessionHistory
from livecap.tui.widgets.plots import Axis, cost_rows, latency_rows, p95, stage_rows

WIDTH = 68


def step(at=1.0, waited=0.0):
    return StepCost(at, "", 0.5, 0.1, waited, StageSeconds(mel=0.002, encoder=0.03, prefill=0.05, generate=0.01))


def test_the_axis_ends_now_and_holds_ten_minutes_at_most():
    axis = Axis.until(100.0, WIDTH)
    assert (axis.n_columns, axis.column_seconds, axis.about) == (60, 2.0, "the last 2 min")
    assert Axis.until(20.0, WIDTH).about == "the last 20 s"
    assert Axis.until(100_000.0, WIDTH).about == "the last 10 min"
    spread = axis.spread([(100.0, 1.0), (97.9, 2.0), (-19.0, 3.0), (-21.0, 4.0)])
    assert spread[-1] == [1.0] and spread[-2] == [2.0] and spread[0] == [3.0]
    assert sum(map(len, spread)) == 3


def test_the_plot_of_latency_has_its_median_and_p95_in_the_title():
    words = [CommittedWord(at, 0.5 if at % 10 else 2.0) for at in range(1, 61)]
    rows = latency_rows(words, Axis.until(60.0, WIDTH))
    assert "p50 0.50" in rows[0] and "p95 2.00" in rows[0] and "60 words" in rows[0]
    plot = rows[1:]
    assert len({len(row) for row in plot}) == 1 and plot[0].startswith("     2 ┤") and plot[-1].startswith("     0 ┤")
    assert plot[0].count("█") == 6 and plot[-1].rstrip().endswith("█")


def test_there_is_no_latency_before_the_first_utterance():
    assert latency_rows([], Axis.until(0.0, WIDTH)) == ["Word to stable: known after the first utterance"]
    assert cost_rows([], Axis.until(0.0, WIDTH)) == ["Cost of a step: none yet"]
    assert stage_rows([], WIDTH) == []


def test_the_wait_is_a_shade_above_the_cost():
    rows = cost_rows([step(at=1.0), step(at=5.0, waited=0.4)], Axis.until(5.0, WIDTH))
    assert [row[-1] for row in rows[1:]] == ["░", "░", "░", "▆"]
    assert rows[-1][-5] in "▁▂▃▄▅▆▇█" and rows[1][-5] == " "


def test_every_stage_has_a_row_in_milliseconds():
    rows = stage_rows([step() for _ in range(70)], WIDTH)
    assert "last 60 steps" in rows[0]
    named = {row.split()[0]: row.split() for row in rows[1:]}
    assert list(named) == ["mel", "encoder", "prefill+verify", "generate", "host", "waited"]
    assert named["prefill+verify"][-2:] == ["50.0", "50.0"] and named["host"][-2:] == ["8.0", "8.0"]
    assert named["waited"][-2:] == ["0.0", "0.0"]
    assert all(len(row) <= WIDTH for row in rows)


@pytest.mark.parametrize(("system", "name"), [("linux", "memory"), ("darwin", "memory, peak")])
def test_the_memory_is_that_of_this_process_whatever_the_size_of_a_page(monkeypatch, system, name):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(diagnostics_screen, "resident_bytes", lambda: 71_000_000)
    monkeypatch.setattr(diagnostics_screen, "peak_resident_bytes", lambda: 72_000_000)
    found = diagnostics_screen.known_memory()
    assert found == (name, 71_000_000 if system == "linux" else 72_000_000)


def test_p95_of_few_values_is_between_them():
    assert p95([3.0]) == 3.0 and 1.0 <= p95([1.0, 2.0]) <= 2.0


def test_history_keeps_the_worst_of_each_second():
    class Status:
        lag_seconds, rtf, arrived_samples = 0.5, 0.2, 16_000

    history = SessionHistory()
    for now, lag in [(0.0, 0.5), (0.4, 3.0), (0.8, 0.1), (1.0, 0.2)]:
        Status.lag_seconds = lag
        history.note(Status, now)
    assert list(history.moments) == [Moment(1.0, 3.0, 0.2)]


async def test_the_screen_shows_stages_and_latency_of_the_session(show):
    async with show(size=(100, 60)) as screen:
        session = screen.session
        for second in range(1, 60):
            now, said = second * 16_000, second * 16_000 - 11_200
            session.becomes(arrived_samples=now)
            session.costs.add(step(at=float(second)))
            session.tell(TextCommitted("", second, "word", 0, now))
            word = Word("word", said - 1_600, said, "step")
            session.tell(UtteranceEnded("", second, "word", 0, now, "English", (word,)))
        session.becomes(arrived_samples=60 * 16_000)
        await screen.press("i")
        await screen.shows("p50 0.70", "prefill+verify", "Cost of a step", "the last 1 min")
