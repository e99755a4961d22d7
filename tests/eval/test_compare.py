"""Comparing two sessions word by word."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from pytest import TempPathFactory, approx

from livecap.archive.recorded import RecordedSession
from livecap.eval.compare import compare
from livecap.eval.wer import normalise, word_error_rate
from tests.archive.facts import said, write


def session(parent: Path, texts: list[str]) -> RecordedSession:
    return RecordedSession(write(parent, said(texts)))


def test_changes_come_with_the_words_around_them(tmp_path: Path) -> None:
    expected = session(tmp_path, ["Good morning everyone.", "The budget is four summer offsites."])
    heard = session(tmp_path, ["Good morning, everyone!", "The budget is for the summer offsites"])
    found = compare(heard, expected)
    [change] = found.changes
    assert change.before == ("the", "budget", "is") and change.after == ("summer", "offsites")
    assert change.expected == ("four",) and change.heard == ("for", "the")
    assert (found.n_substituted, found.n_missing, found.n_invented) == (1, 0, 1)
    assert found.word_error_rate == 2 / 9


def test_a_session_does_not_differ_from_itself(tmp_path: Path) -> None:
    one = session(tmp_path, ["Good morning everyone."] * 60)
    found = compare(one, one)
    assert found.changes == () and found.word_error_rate == 0 and found.n_words == 180


def overlapping(parent: Path, first: str, rest: str, labels: tuple[str, str] = ("me", "them")) -> RecordedSession:
    """A session of two tracks; the first has two utterances."""
    mine = said([first, rest], labels[0])
    return RecordedSession(write(parent, [*mine, *said(["What did the customer say about it?"], labels[1])]))


def test_tracks_with_simultaneous_speech_are_compared_one_by_one(tmp_path: Path) -> None:
    expected = overlapping(tmp_path / "a", "The report is red.", "I have three small questions for you.")
    heard = overlapping(tmp_path / "b", "The report is red. I have three small", "questions for two.")
    found = compare(heard, expected)
    [change] = found.changes
    assert (change.track, change.expected, change.heard) == ("me", ("you",), ("two",))
    assert found.n_words == 18 and found.word_error_rate == 1 / 18


def test_a_track_with_another_label_is_still_compared(tmp_path: Path) -> None:
    expected = overlapping(tmp_path / "a", "One.", "Yes.")
    assert compare(overlapping(tmp_path / "b", "One.", "Yes.", ("Anna", "them")), expected).changes == ()


def test_changes_of_all_tracks_are_in_order_of_time(tmp_path: Path) -> None:
    expected = RecordedSession(write(tmp_path / "a", [*said(["Yes."] * 3, "me"), *said(["Yes."] * 3, "them")]))
    mine, theirs = said(["Yes.", "Yes.", "No."], "me"), said(["No.", "Yes."], "them")
    found = compare(RecordedSession(write(tmp_path / "b", [*mine, *theirs])), expected)
    assert [change.track for change in found.changes] == ["them", "me"]
    assert (found.n_substituted, found.n_missing, found.n_invented) == (2, 1, 0)


texts = st.lists(st.lists(st.sampled_from("a b c d".split()), max_size=6).map(" ".join), max_size=60)


@given(texts, texts)
def test_comparing_in_parts_is_exact_where_utterances_agree_in_time(
    tmp_path_factory: TempPathFactory, expected: list[str], heard: list[str]
) -> None:
    parent = tmp_path_factory.mktemp("sessions")
    found = compare(session(parent, heard), session(parent, expected))
    exact = word_error_rate(" ".join(expected), " ".join(heard))
    assert found.n_words == len(normalise(" ".join(expected)))
    if len(expected) <= 24 and len(heard) <= 24:  # one part
        assert found.word_error_rate == approx(exact)
    else:
        assert found.word_error_rate >= exact - 1e-9
