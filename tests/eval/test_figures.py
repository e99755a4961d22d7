"""Figures of `livecap eval`, on small sessions whose figures can be counted by hand."""

from dataclasses import replace

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.eval.alignment import align, edit_distance, matches
from livecap.eval.figures import figures, seam_ratios, streaming_gap
from livecap.eval.figures_table import recordings_table
from livecap.eval.measurement import Measurement, assess, texts_of
from livecap.eval.reference import Reference, SpokenWord
from livecap.eval.seam_errors import SeamErrors
from livecap.eval.stability import revisions
from livecap.eval.timeline import Moment, Timeline
from livecap.eval.wer import count_errors, errors_by_word
from livecap.stream.statistics import StepStatistics
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate

words = st.lists(st.sampled_from("a b c d".split()), max_size=12)


def said(text: str, every: float = 0.5, begin: float = 1.0, silence: float = 2.0) -> Reference:
    """A reference with a word every `every` seconds from `begin`; each word lasts half of that."""
    spoken = tuple(
        SpokenWord(word, round((begin + i * every) * SAMPLE_RATE), round((begin + (i + 0.5) * every) * SAMPLE_RATE))
        for i, word in enumerate(text.split())
    )
    return Reference("r", np.zeros(spoken[-1].end_sample + round(silence * SAMPLE_RATE), np.float32), text, spoken)


def session(*rows: tuple[float, str, str], cost: float = 0.1, utterance: int = 0) -> Timeline:
    """The timeline of one utterance from rows (seconds heard, stable, partial); the last row closes it."""
    timeline = Timeline(sound_seconds=rows[-1][0])
    for i, (heard, stable, partial) in enumerate(rows):
        final = i == len(rows) - 1
        update = TranscriptUpdate("", utterance, stable, partial, SAMPLE_RATE, 0, "English", final)
        timeline.moments.append(Moment(update, heard, heard + cost, i))
        timeline.step_seconds.append(cost)
        timeline.lag_seconds.append(0.0)
    return timeline


def measured(reference: Reference, timeline: Timeline) -> Measurement:
    return assess(reference, timeline, "mode", StepStatistics(), None)


@given(words.filter(bool), words)
def test_the_edit_distance_is_that_of_jiwer(expected: list[str], heard: list[str]) -> None:
    assert edit_distance(expected, heard) == round(jiwer.wer(" ".join(expected), " ".join(heard)) * len(expected))


@given(words, words)
def test_an_alignment_has_every_word_once_and_the_cost_of_the_edit_distance(a: list[str], b: list[str]) -> None:
    pairs = align(a, b)
    assert [i for i, _ in pairs if i is not None] == list(range(len(a)))
    assert [j for _, j in pairs if j is not None] == list(range(len(b)))
    assert len(pairs) - len(matches(pairs, a, b)) == edit_distance(a, b)


@given(words, st.integers(0, 12))
def test_with_an_open_end_a_text_that_stops_early_costs_nothing(text: list[str], n: int) -> None:
    assert matches(align(text, text[:n], open_end=True), text, text[:n]) == [(i, i) for i in range(len(text[:n]))]


def test_latencies_of_a_session_are_those_counted_by_hand() -> None:
    # one ends at 1.25, two at 1.75, three at 2.25
    reference = said("one two three")
    timeline = session((1.5, "", "one"), (2.0, "one", " two"), (2.5, "one two", " three"), (3.0, "one two three", ""))
    latencies = measured(reference, timeline).latencies
    assert latencies["first_partial"].unaware == [0.5]
    assert latencies["emission"].unaware == [0.25, 0.25, 0.25]
    assert latencies["commit"].unaware == [0.75, 0.75, 0.75]
    assert latencies["commit"].aware == pytest.approx([0.85, 0.85, 0.85])
    assert latencies["final"].unaware == [0.25]
    assert latencies["close"].unaware == [0.75]


def test_text_after_speech_has_the_time_and_the_errors_of_the_first_and_of_the_final_text() -> None:
    # speech ends at 2.25
    reference = said("one two three")
    timeline = session(
        (2.0, "one", " two"), (2.5, "one", " to three"), (2.75, "one two", " three"), (3.5, "one two three", "")
    )
    after = measured(reference, timeline).after_speech
    assert after["first"].latencies.unaware == [0.25] and after["first"].latencies.aware == pytest.approx([0.35])
    assert after["first"].errors.word_errors == 1 and after["first"].errors.n_words == 3
    assert after["final"].latencies.unaware == [1.25] and after["final"].errors.word_errors == 0


def test_text_that_closes_before_speech_ends_or_after_it_goes_on_is_missed() -> None:
    early = measured(said("one two three"), session((1.5, "", "one"), (2.0, "one two", ""))).after_speech
    assert all(after.latencies.missed == 1 and after.errors.n_words == 0 for after in early.values())
    reference = said("one two", every=3.0)  # one ends at 2.5, two begins at 4
    late = measured(reference, session((3.0, "", "one"), (6.5, "one two", ""))).after_speech
    assert late["first"].latencies.unaware == [0.5] and late["first"].latencies.missed == 1
    assert late["final"].latencies.unaware == [] and late["final"].latencies.missed == 2


def test_a_wrong_word_has_no_latency() -> None:
    timeline = session((2.5, "", "one too three"), (3.0, "one too three", ""))
    assert len(measured(said("one two three"), timeline).latencies["commit"].unaware) == 2


def test_a_word_shown_before_it_was_spoken_is_another_word() -> None:
    """The text has the first "no". The second is equal, but it was spoken later, so it must not be paired with it."""
    timeline = session((1.5, "", "no"), (1.6, "no", ""))
    reference = said("no yes no")
    latency = measured(reference, timeline).latencies["commit"].unaware
    assert latency == pytest.approx([1.6 - 1.25])


def test_partial_latency_is_the_speech_since_the_newest_correct_word() -> None:
    reference = said("one two three four")
    timeline = session((1.9, "", "one"), (3.0, "one two three four", ""))
    # one ends at 1.25, two at 1.75, four at 2.75: nothing is spoken between 1.75 and 2, nor after 2.75
    assert measured(reference, timeline).latencies["partial"].unaware == pytest.approx([0.5, 1.5])


def test_changed_words_are_unstable_and_added_words_are_not() -> None:
    timeline = session(
        (1.5, "", "one to"), (2.0, "", "one two thee"), (2.5, "", "one two three"), (3, "one two three", "")
    )
    figures = measured(said("one two three"), timeline).stability
    assert (figures.n_unstable_words, figures.n_final_words) == (2, 3)
    assert figures.normalized_erasure == pytest.approx(2 / 3)


def test_an_inserted_word_makes_following_words_erased_but_not_unstable() -> None:
    timeline = session((1.5, "", "one three"), (2.0, "", "one two three"), (3, "one two three", ""))
    figures = measured(said("one two three"), timeline).stability
    assert (figures.n_unstable_words, figures.n_erased_tokens) == (0, 1)


def test_text_that_moves_into_the_next_utterance_is_not_unstable() -> None:
    timeline = session((1.5, "", "one two three"), (2.0, "one two", ""))
    rest = session((2.0, "", "three"), (2.5, "three", ""), utterance=1)
    moments = timeline.moments + [Moment(m.update, m.heard_seconds, m.wall_seconds, m.step + 1) for m in rest.moments]
    figures = measured(said("one two three"), Timeline(moments, [], [0.1], [0.0], 3.0)).stability
    assert (figures.n_unstable_words, figures.n_erased_tokens, figures.n_revisions) == (0, 0, 0)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(1.0, "one", ""), (2.0, "one two", "")], 0),
        ([(1.0, "one two", ""), (2.0, "one", "")], 1),
        ([(1.0, "one two", ""), (2.0, "one too", "")], 1),
    ],
)
def test_a_change_of_stable_text_is_a_revision(rows: list[tuple[float, str, str]], expected: int) -> None:
    assert revisions(session(*rows).moments) == expected


def test_an_update_of_a_closed_utterance_is_a_revision() -> None:
    moments = session((1.0, "one", "")).moments
    assert revisions([*moments, *moments]) == 1


def test_the_difference_from_offline_of_one_recording_has_an_interval_from_its_pieces() -> None:
    reference = said(" ".join("ab" * 40))
    live = reference.text.split()
    live[0] = live[45] = "x"  # two of the four pieces of 20 words have an error
    one = measured(reference, session((50.0, " ".join(live), "")))
    one.errors["offline"] = count_errors(reference.text, reference.text)
    one.errors_by_word = {
        name: errors_by_word(reference.text.split(), text)
        for name, text in {"stable": " ".join(live), "offline": reference.text}.items()
    }
    gap = streaming_gap([one], "stable")
    assert gap == {"gap": 0.025, "low": 0.0, "high": 0.05}
    line = recordings_table([figures(one) | {"wer_gap": {"stable": gap}}]).splitlines()[1]
    assert "+2.50 (+0.00..+5.00)" in line
    assert streaming_gap([one, one], "stable") == {"gap": 0.025, "low": 0.025, "high": 0.025}


def test_text_in_a_script_without_spaces_is_joined_without_them() -> None:
    pieces = ["今天我们去", "公园散步"]
    moments = [
        Moment(TranscriptUpdate("", i, text, "", 0, 1, "Chinese", True), 1, 1, i) for i, text in enumerate(pieces)
    ]
    assert texts_of(Timeline(moments)) == ("今天我们去公园散步",) * 2


def test_without_seams_or_with_one_recording_there_is_no_interval() -> None:
    for seams in (SeamErrors(), SeamErrors(1, 10, 2, 10, 1)):
        assert "low" not in seam_ratios([replace(measured(said("a b c"), session((3.0, "a b c", ""))), seams=seams)])
