"""Modes and bounds, as the command line gives them."""

from dataclasses import fields

import pytest

from livecap.errors import SettingsError
from livecap.eval.bounds import GOALS_OF_MODES, goals, missed, parse_bound
from livecap.eval.modes import parse_mode, parse_modes
from livecap.stream.config import StreamConfig
from livecap.stream.policy import Rule


@pytest.mark.parametrize(
    ("text", "seconds", "name"),
    [("0.5", 0.5, "0.5 s"), (".5", 0.5, "0.5 s"), ("0.50", 0.5, "0.5 s"), ("2.0", 2.0, "2 s"), ("12", 12.0, "12 s")],
)
def test_a_number_is_a_chunk_and_has_one_name_however_it_is_written(text: str, seconds: float, name: str) -> None:
    mode = parse_mode(text)
    assert (mode.name, mode.config.chunk.chunk_seconds) == (name, seconds)


@pytest.mark.parametrize("text", ["default", "auto"])
def test_default_is_the_configuration_of_the_stream(text: str) -> None:
    mode = parse_mode(text)
    assert (mode.name, mode.config) == ("default", StreamConfig())


def test_settings_of_parts_can_be_named() -> None:
    config = parse_mode("mine:chunk_seconds=1;commit.rule=agreement;held_words=3;reuse.reuse_kv=false").config
    assert (config.chunk.chunk_seconds, config.commit.rule, config.commit.held_words) == (1.0, Rule.AGREEMENT, 3)
    assert not config.reuse.reuse_kv
    assert parse_mode("mine:chunk_seconds=auto").config.chunk.chunk_seconds is None


def test_a_setting_has_one_name_in_all_groups() -> None:
    config = StreamConfig()
    names = [setting.name for group in fields(config) for setting in fields(getattr(config, group.name))]
    assert len(names) == len(set(names))


OLD_SETTINGS = """
    step_seconds=3 step_cost_seconds=3 least_step_seconds=3 most_step_seconds=3 first_step_seconds=3
    first_words_seconds=3 load=3 commit.rule=rollback commit.rollback_tokens=3 commit.rollback_cold_seconds=3
    commit.settled_seconds=3 commit.agree_seconds=3 commit.doubtful_seconds=3 commit.sure_margin=3
    commit.shown_margin=3 commit.pause_margin=3 commit.believed_margin=3 commit.hold_display=false commit.kept_steps=3
    commit.short_voice_seconds=3 commit.held_words=3 max_context_seconds=3 look_for_pause_seconds=3 roll_seconds=3
    roll_pause_seconds=3 forced_pause_seconds=3 keep_context_seconds=3 spoken_margin_seconds=3 split_seconds=3
    max_utterance_seconds=3 latest_split_seconds=3 restart_seconds=3 joined_pause_seconds=3 max_step_seconds=3
    breath_seconds=3 end_margin_seconds=3 pad_seconds=3 preroll_seconds=3 settled_prompt_seconds=3 tokens_per_second=3
    spare_tokens=3 max_loop_period=3 loop_repeats=3 min_loop_tokens=3 most_runaways=3 verify_draft=false
    reuse_encoder=false reuse_kv=false
""".split()


YOUNGER = ("detector.", "commit.doubted_margin", "utterance.doubt_seconds", "utterance.quiet_seconds")
"""Settings that are younger than the old names."""


def test_modes_of_older_versions_change_the_same_settings() -> None:
    config = StreamConfig()
    for setting in OLD_SETTINGS:
        changed = parse_mode(f"old:{setting}").config
        assert changed != config, setting
        config = parse_mode(f"old:{';'.join(OLD_SETTINGS[: OLD_SETTINGS.index(setting) + 1])}").config
    before = StreamConfig()
    same = [
        f"{group.name}.{setting.name}"
        for group in fields(config)
        for setting in fields(getattr(config, group.name))
        if getattr(getattr(config, group.name), setting.name) == getattr(getattr(before, group.name), setting.name)
    ]
    assert [name for name in same if not name.startswith(YOUNGER)] == [], "each of the old names sets something else"


@pytest.mark.parametrize("text", ["fast", "x:nothing=1", "x:commit.rule=maybe", "x:reuse_kv=2", "x:commit", "x:a.b=1"])
def test_an_invalid_mode_lists_the_valid_ones(text: str) -> None:
    with pytest.raises(SettingsError, match="There are|Allowed|SETTING=VALUE"):
        parse_mode(text)


def test_a_missed_bound_names_the_value() -> None:
    figures = {"mode": "2 s", "a": {"b": 1.5}, "c": None}
    assert missed(figures, [parse_bound("a.b <= 1.5"), parse_bound("a.b >= 1")]) == []
    assert missed(figures, [parse_bound("a.b <= 1.4")]) == ["2 s: a.b <= 1.4 is missed: it is 1.5."]
    assert missed(figures, [parse_bound("c.d <= 1")]) == ["2 s: c.d <= 1 is missed: nothing was measured."]


def test_figures_that_were_not_measured_miss_their_bounds_and_hide_no_other() -> None:
    figures = {"mode": "default", "latency_seconds": {}, "rtf": 0.5}
    bounds = [parse_bound("latency_seconds.commit.unaware.p50 <= 1.2"), parse_bound("rtf <= 0.1")]
    assert missed(figures, bounds) == [
        "default: latency_seconds.commit.unaware.p50 <= 1.2 is missed: nothing was measured.",
        "default: rtf <= 0.1 is missed: it is 0.5.",
    ]


@pytest.mark.parametrize("text", ["rtf", "rtf < 1", "rtf <= fast", "rtf <= 1.2.3", ""])
def test_an_invalid_bound_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_bound(text)


def test_a_bound_on_an_unknown_figure_is_refused() -> None:
    with pytest.raises(SettingsError, match="no figure"):
        missed({"a": {"c": 1}}, [parse_bound("a.b <= 1")])


@pytest.mark.parametrize("mode", ["default", "0.5 s", "2 s", "mine"])
def test_every_mode_has_the_common_goals_and_some_have_more(mode: str) -> None:
    assert len(goals(mode)) == len(goals("")) + len(GOALS_OF_MODES.get(mode, ()))


def test_the_modes_with_goals_of_their_own_exist() -> None:
    assert {parse_mode(text).name for text in ("default", "0.5", "2")} == set(GOALS_OF_MODES)


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["mine:chunk_seconds=1", "mine:chunk_seconds=4"], "mine"),
        (["default", "auto"], "default"),
        (["0.5", ".50"], "0.5 s"),
    ],
)
def test_modes_that_are_compared_have_different_names(texts: list[str], name: str) -> None:
    with pytest.raises(SettingsError, match=f"Two modes are named '{name}'"):
        parse_modes(texts)
    assert len(parse_modes(["default", "0.5", "mine:chunk_seconds=1"])) == 3


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_setting_that_is_no_number_is_one_sentence(value: str) -> None:
    with pytest.raises(SettingsError, match="cannot be"):
        parse_mode(f"mine:chunk_seconds={value}")


def test_a_bound_names_a_number() -> None:
    figures = {"mode": "default", "error_rate": {"default stable": {"rate": 0.1}}}
    assert missed(figures, [parse_bound("error_rate.default stable.rate <= 0.2")]) == []
    with pytest.raises(SettingsError, match="mode is not a number"):
        missed(figures, [parse_bound("mode <= 1")])


@pytest.mark.parametrize("mode", ["0.5 s", "0", "agree-1", "1.5: é"])
def test_a_bound_names_a_figure_of_any_mode(mode: str) -> None:
    figures = {"mode": "tiny", "error_rate": {"0": {"rate": 7}, f"{mode} stable": {"rate": 0.1}}, "rtf": {mode: 0.2}}
    bounds = [parse_bound(f"error_rate.{mode} stable.rate <= 0.05"), parse_bound(f"rtf.{mode} <= 0.2")]
    assert missed(figures, bounds) == [f"tiny: error_rate.{mode} stable.rate <= 0.05 is missed: it is 0.1."]
    with pytest.raises(SettingsError, match="live.rate is not among 0, "):
        missed(figures, [parse_bound("error_rate.live.rate <= 1")])
