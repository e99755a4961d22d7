"""Subtitle cues are readable and on time and lose nothing, also when two people speak at once."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.export.cues import MAX_CELLS, MAX_UTTERANCES, Cue, CueLimits, cues, units_of
from livecap.text.scripts import cells
from livecap.transcript import UtteranceEnded, Word
from tests.archive.facts import SECOND, said

scripts = st.sampled_from(
    "yes no budget international, finance. okay? 預算。 時間表、 これは テスト。 ภาษาไทย Donaudampfschifffahrt".split()
)


ENGLISH = "yes no budget international, finance. okay? we will see about that.".split()


@st.composite
def utterances(draw: st.DrawFn) -> list[UtteranceEnded]:
    at, found = 0, []
    for number in range(draw(st.integers(1, 6))):
        at += draw(st.integers(0, 3 * SECOND))
        start, words = at, []
        for text in draw(st.lists(scripts, min_size=1, max_size=40)):
            length = draw(st.integers(800, 12_000))
            words.append(Word(text, at, at + length, "step"))
            at += length + draw(st.sampled_from([0, 0, 0, 2000, 20_000]))
        known = draw(st.booleans())
        text = " ".join(word.text for word in words)
        track = draw(st.sampled_from(["me", "them"]))
        found.append(UtteranceEnded(track, number, text, start, at, None, tuple(words) if known else ()))
    return found


def spoken(found: list[Cue], track: str, labels: bool) -> str:
    """The text shown of a track, without labels, dashes and spaces."""
    lines = [
        (line, len(set(cue.labels)) > 1)
        for cue in found
        for line, of in zip(cue.lines, cue.labels, strict=True)
        if of == track
    ]
    prefix = f"{track}: " if labels else "- "
    texts = [line.removeprefix(prefix) if labels or mixed else line for line, mixed in lines]
    assert all(text != line for text, (line, mixed) in zip(texts, lines, strict=True) if mixed), (
        "two speakers are told apart"
    )
    return re.sub(r"\s", "", "".join(texts))


def assert_readable(found: list[Cue], said: list[UtteranceEnded], labels: bool) -> None:
    for cue in found:
        assert 1 <= len(cue.lines) == len(cue.labels) <= 2
        assert all(0 < cells(line) <= MAX_CELLS and line == line.strip() for line in cue.lines)
        assert SECOND <= cue.end_sample - cue.start_sample <= 7 * SECOND
    assert all(a.end_sample <= b.start_sample for a, b in pairwise(found)), "in order, one at a time"
    for track in ("me", "them"):
        wanted = "".join(utterance.text for utterance in said if utterance.track == track)
        assert spoken(found, track, labels) == re.sub(r"\s", "", wanted), "every word is shown, in order"


@given(utterances(), st.booleans())
def test_cues_are_readable_whatever_is_said(said: list[UtteranceEnded], labels: bool) -> None:
    assert_readable(list(cues(said, labels)), said, labels)


@st.composite
def two_people(draw: st.DrawFn) -> list[UtteranceEnded]:
    """Two people who speak independently, together at most 20 characters per second."""
    found = []
    speed = draw(st.integers(4, 16))
    for track, characters_per_second in (("me", speed), ("them", 20 - speed)):
        at = draw(st.integers(0, 3 * SECOND))
        for number in range(draw(st.integers(1, 4))):
            start, words = at, []
            for text in draw(st.lists(st.sampled_from(ENGLISH), min_size=1, max_size=25)):
                length = (len(text) + 1) * SECOND // characters_per_second
                words.append(Word(text, at, at + length, "step"))
                at += length + draw(st.sampled_from([0, 0, 0, 8_000, 20_000]))
            text = " ".join(word.text for word in words)
            found.append(UtteranceEnded(track, number, text, start, at, None, tuple(words)))
            at += draw(st.integers(0, 4 * SECOND))
    return sorted(found, key=lambda utterance: utterance.start_sample)


def lateness(found: list[Cue], said: list[UtteranceEnded], labels: bool) -> float:
    """The longest time in seconds from a word to its cue."""
    times = {track: [word for one in said if one.track == track for word in one.words] for track in ("me", "them")}
    latest = 0
    for cue in found:
        for track in dict.fromkeys(cue.labels):
            length = len(spoken([cue], track, labels))
            while length > 0:
                word = times[track].pop(0)
                length -= len(word.text)
                latest = max(latest, cue.start_sample - word.start_sample)
    return latest / SECOND


@given(two_people(), st.booleans())
def test_two_people_who_speak_at_once_are_shown_when_they_speak(said: list[UtteranceEnded], labels: bool) -> None:
    found = list(cues(said, labels))
    assert_readable(found, said, labels)
    assert lateness(found, said, labels) <= 2


def sentence(track: str, text: str, start: float, end: float) -> UtteranceEnded:
    return UtteranceEnded(track, round(start), text, round(start * SECOND), round(end * SECOND), None)


def test_an_interjection_does_not_wait_for_the_end_of_a_long_speech() -> None:
    long = "We have eleven thousand left for it. Priya is still waiting for the final numbers from finance, so we wait."
    found = list(cues([sentence("them", long, 0, 8), sentence("me", "And Peter?", 3, 4)], labels=True))
    [at] = [cue.start_sample / SECOND for cue in found if "me: And Peter?" in cue.lines]
    assert 1 <= at <= 5


def test_three_people_who_speak_at_once_get_at_most_two_lines() -> None:
    tracks = ("me", "them", "room")
    found = list(cues([sentence(track, "A budget.", 0, 4) for track in tracks], labels=True))
    assert all(len(cue.lines) <= 2 for cue in found)
    assert [spoken(found, track, labels=True) for track in tracks] == ["Abudget."] * 3


def test_the_speaker_is_named_when_it_changes() -> None:
    said = [
        sentence("me", "One more thing.", 0, 3),
        sentence("me", "The budget.", 6, 8),
        sentence("them", "Yes.", 11, 13),
    ]
    assert [cue.lines for cue in cues(said, labels=True)] == [
        ("me: One more thing.",),
        ("The budget.",),
        ("them: Yes.",),
    ]
    assert [cue.lines for cue in cues(said, labels=False)] == [("One more thing.",), ("The budget.",), ("Yes.",)]


def test_utterances_share_a_cue_only_if_they_follow_quickly() -> None:
    texts = ["We order it to the eighteenth of January.", "If he is late, we can start with the hotel."]
    slow = [sentence("", text, 4 * number, 4 * number + 4) for number, text in enumerate(texts)]
    assert [" ".join(cue.lines) for cue in cues(slow, labels=False)] == texts
    hasty = [sentence("", text, number / 2, number / 2 + 0.5) for number, text in enumerate(["Yes.", "No.", "Well."])]
    assert [cue.lines for cue in cues(hasty, labels=False)] == [("Yes. No.",), ("Well.",)]


def test_a_label_leaves_room_for_the_words() -> None:
    said = [sentence("預" * 40, "A budget.", 0, 3), sentence("me", "Yes.", 1, 2)]
    lines = [line for cue in cues(said, labels=True) for line in cue.lines]
    assert max(map(cells, lines)) <= MAX_CELLS and any(line.endswith(": A budget.") for line in lines)


@given(utterances())
def test_units_of_an_utterance_are_its_text_in_order_of_time(said: list[UtteranceEnded]) -> None:
    for utterance in said:
        units = units_of(utterance)
        assert "".join(unit.text for unit in units) == utterance.text
        assert all(unit.start_sample <= unit.end_sample for unit in units)
        assert all(a.end_sample <= b.start_sample for a, b in pairwise(units))


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("ที่นี่จะเป็น", ["ที่", "นี่", "จะ", "เป็", "น"]),
        ("ພາສາໄທ", ["ພາ", "ສາ", "ໄທ"]),
        ("မြန်မာ", ["မြ", "န်", "မာ"]),
        ("ខ្មែរ", ["ខ្មែ", "រ"]),
        ("か\u3099っこ ｶﾞｰ", ["か\u3099っ", "こ", " ｶﾞｰ"]),
        ("葛\U000e0101城", ["葛\U000e0101", "城"]),
    ],
)
def test_no_cue_is_cut_before_a_sign_of_the_character_before(text: str, units: list[str]) -> None:
    assert [unit.text for unit in units_of(UtteranceEnded("me", 0, text, 0, SECOND, None))] == units


def test_the_words_of_a_whole_book_have_their_times() -> None:
    """Text that was aligned is one utterance; looking at all words for each word would take minutes here."""
    words = tuple(
        Word(f"word{number},", number * SECOND, number * SECOND + 8000, "aligned") for number in range(20_000)
    )
    text = " ".join(word.text for word in words)
    units = units_of(UtteranceEnded("", 0, text, 0, words[-1].end_sample, "English", words))
    assert [(unit.text.strip(), unit.start_sample, unit.end_sample) for unit in units] == [
        (word.text, word.start_sample, word.end_sample) for word in words
    ]


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        (
            "We have eleven thousand left for it.",
            "Priya is still waiting for the final numbers from finance, so we wait.",
        ),
        ("हमारे पास ग्यारह हज़ार बचे हैं।", "प्रिया अब भी वित्त विभाग से अंतिम संख्याओं की प्रतीक्षा कर रही है और हम भी रुके हैं"),
        (
            "هل بقي لدينا أحد عشر ألفا لهذا؟",
            "ما زالت بريا تنتظر الأرقام النهائية من قسم المالية ولذلك ننتظر نحن أيضا هنا",
        ),
    ],
)
def test_cues_are_cut_where_sentences_end(first: str, rest: str) -> None:
    [utterance] = [fact for fact in said([f"{first} {rest}"]) if isinstance(fact, UtteranceEnded)]
    found = list(cues([utterance], labels=False))
    assert found[0].lines[0].endswith(first[-6:]) or found[0].lines[-1].endswith(first[-6:])
    assert all(not line.startswith(("。", ",", "、")) for cue in found for line in cue.lines)


@pytest.mark.parametrize("limits", [CueLimits(max_words=1), CueLimits(max_gap_seconds=0.05)])
def test_cues_of_single_words_do_not_fall_behind_the_speech(limits: CueLimits) -> None:
    """A second for each word would make 250 words of 100 s last 250 s."""
    times = [number * 2 * SECOND // 5 for number in range(250)]
    words = tuple(Word(f"word{number}", at, at + SECOND // 4, "step") for number, at in enumerate(times))
    text = " ".join(word.text for word in words)
    found = list(cues([UtteranceEnded("", 0, text, 0, 100 * SECOND, None, words)], labels=False, limits=limits))
    assert [cue.lines for cue in found] == [(word.text,) for word in words]
    assert [cue.start_sample for cue in found] == times
    assert all(a.end_sample == b.start_sample for a, b in pairwise(found))


def test_words_of_the_same_moment_are_shown_one_after_the_other() -> None:
    words = tuple(Word(text, SECOND, SECOND, "step") for text in ("one", "two", "three"))
    said = UtteranceEnded("", 0, "one two three", SECOND, 2 * SECOND, None, words)
    found = list(cues([said], labels=False, limits=CueLimits(max_words=1)))
    assert [cue.start_sample / SECOND for cue in found] == [1, 1.1, 1.2]
    assert found[-1].end_sample == 2.2 * SECOND


def test_a_wide_character_takes_two_cells() -> None:
    assert cells("abc") == 3 and cells("預算") == 4 and cells("e\u0301") == 1
    [utterance] = [fact for fact in said(["預" * 60]) if isinstance(fact, UtteranceEnded)]
    found: list[Cue] = list(cues([utterance], labels=False))
    assert all(len(line) <= 21 for cue in found for line in cue.lines)


def test_a_day_is_cut_into_cues_while_it_is_read() -> None:
    n_read = 0

    def day() -> Iterator[UtteranceEnded]:
        nonlocal n_read
        for number in range(2000):
            n_read += 1
            at = number * 3 * SECOND
            text = f"This is number {number} of all that was said."
            yield UtteranceEnded("me" if number % 3 else "them", number, text, at, at + 2 * SECOND, None, ())

    shown = cues(day(), labels=True)
    first = next(shown)
    assert n_read <= MAX_UTTERANCES + 1, "a day does not wait in memory"
    rest = list(shown)
    assert_readable([first, *rest], list(day()), labels=True)
