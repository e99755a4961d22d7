"""What the command line of the benchmarks understands."""

import pytest

from livecap.errors import SettingsError
from livecap.eval.bounds import GOALS_OF_MODES, goals, missed, parse_bound
from livecap.eval.modes import parse_mode
from livecap.stream.config import StreamConfig
from livecap.stream.policy import Rule


def test_a_number_is_a_chunk() -> None:
    mode = parse_mode("0.5")
    assert (mode.name, mode.config.step_seconds) == ("0.5 s", 0.5)


def test_default_is_the_streams_own() -> None:
    assert parse_mode("default").config == StreamConfig()


def test_settings_of_parts_can_be_named() -> None:
    config = parse_mode("mine:step_seconds=1;commit.rule=agreement;commit.held_words=3;reuse_kv=false").config
    assert (config.step_seconds, config.commit.rule, config.commit.held_words) == (1.0, Rule.AGREEMENT, 3)
    assert not config.reuse_kv
    assert parse_mode("mine:step_seconds=auto").config.step_seconds is None


@pytest.mark.parametrize("text", ["fast", "x:nothing=1", "x:commit.rule=maybe", "x:reuse_kv=2", "x:commit", "x:a.b=1"])
def test_a_mode_that_is_none_says_what_there_is(text: str) -> None:
    with pytest.raises(SettingsError, match="There are|Allowed|SETTING=VALUE"):
        parse_mode(text)


def test_a_bound_that_is_missed_says_by_what() -> None:
    figures = {"mode": "2 s", "a": {"b": 1.5}, "c": None}
    assert missed(figures, [parse_bound("a.b <= 1.5"), parse_bound("a.b >= 1")]) == []
    assert missed(figures, [parse_bound("a.b <= 1.4")]) == ["2 s: a.b <= 1.4 is missed: it is 1.5."]
    assert missed(figures, [parse_bound("c.d <= 1")]) == ["2 s: c.d <= 1 is missed: nothing was measured."]


@pytest.mark.parametrize("text", ["rtf", "rtf < 1", "rtf <= fast", ""])
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_bound(text)


def test_a_figure_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingsError, match="no figure"):
        missed({"a": {}}, [parse_bound("a.b <= 1")])


@pytest.mark.parametrize("mode", ["default", "0.5 s", "2 s", "mine"])
def test_goals_are_bounds_and_some_are_of_one_mode(mode: str) -> None:
    assert len(goals(mode)) == len(goals("")) + len(GOALS_OF_MODES.get(mode, ()))


def test_goals_of_modes_name_modes_that_there_are() -> None:
    assert {parse_mode(text).name for text in ("default", "0.5", "2")} == set(GOALS_OF_MODES)
