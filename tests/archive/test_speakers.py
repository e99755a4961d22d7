"""Who said what: voices that were heard, and what a person said of them, in the text of every reader."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.archive.amend import amend
from livecap.archive.archive import Archive
from livecap.archive.folder import EVENTS
from livecap.archive.recorded import RecordedSession
from livecap.archive.search import Query
from livecap.archive.speakers import Speakers, speakers_of, split
from livecap.errors import LogError
from livecap.export.formats import FORMATS, export_pieces
from livecap.transcript import (
    SessionEvent,
    SpeakerNamed,
    SpeakersHeard,
    SpeakersMerged,
    UtteranceEnded,
    UtteranceSettled,
    Voice,
    Word,
    speaker_letter,
)
from tests.archive.facts import SECOND, header, said, write


def heard(utterance: int, *voices: tuple[float, float, int], track: str = "", settled: bool = True) -> SpeakersHeard:
    """Voices as (start, end, speaker) in seconds of the session."""
    found = tuple(Voice(round(start * SECOND), round(end * SECOND), speaker) for start, end, speaker in voices)
    return SpeakersHeard(track, utterance, found, settled)


TEXTS = ["Shall we begin?", "Yes, of course. Who has the numbers?", "Me."]
TALK: list[SessionEvent] = [
    *said(TEXTS),
    heard(0, (0, 4, 0)),
    heard(1, (5, 6.7, 1), (6.7, 9, 0)),
    heard(2, (10, 14, 1)),
]
"""Two speakers in one track; the second utterance is said by both."""


def labelled(session: RecordedSession) -> list[tuple[str, str]]:
    return [(utterance.label, utterance.text) for utterance in session.utterances()]


def test_an_utterance_of_two_speakers_is_read_in_two_parts(tmp_path: Path) -> None:
    session = RecordedSession(write(tmp_path, TALK))
    assert labelled(session) == [
        ("A", "Shall we begin?"),
        ("B", "Yes, of course."),
        ("A", "Who has the numbers?"),
        ("B", "Me."),
    ]
    parts = list(session.utterances())[1:3]
    assert (parts[0].start_sample, parts[1].end_sample) == (5 * SECOND, 9 * SECOND)
    assert (
        parts[0].end_sample == parts[0].words[-1].end_sample == parts[1].start_sample == parts[1].words[0].start_sample
    )
    assert session.speakers == ["A", "B"] and session.ended is not None


def test_the_only_voice_of_a_track_keeps_the_tracks_label_until_it_is_named(tmp_path: Path) -> None:
    facts = [*said(["Mine."], "me"), heard(0, (0, 4, 0), track="me"), *said(TEXTS, "them")]
    facts += [heard(0, (0, 4, 1), track="them"), heard(1, (5, 9, 2), track="them"), heard(2, (10, 14, 1), track="them")]
    started = header(tracks=("me", "them"))
    assert {label for label, _ in labelled(RecordedSession(write(tmp_path / "a", facts, started)))} == {"me", "B", "C"}
    facts.append(SpeakerNamed(0, "Anna"))
    assert {label for label, _ in labelled(RecordedSession(write(tmp_path / "b", facts, started)))} == {
        "Anna",
        "B",
        "C",
    }


def test_a_name_holds_for_the_whole_session_also_after_its_end(tmp_path: Path) -> None:
    folder = write(tmp_path, [SpeakerNamed(1, "Priya"), *TALK, SpeakerNamed(0, "Tom"), SpeakerNamed(0, "Tomás")])
    assert [label for label, _ in labelled(RecordedSession(folder))] == ["Tomás", "Priya", "Tomás", "Priya"]
    assert "[10:02:08] Priya: Yes, of course.\n" in (folder / "transcript.md").read_text()


def test_merged_speakers_are_one_and_can_be_parted_again(tmp_path: Path) -> None:
    merged = [*TALK, SpeakerNamed(1, "Priya"), SpeakersMerged(0, 1)]
    assert {label for label, _ in labelled(RecordedSession(write(tmp_path / "a", merged)))} == {"Priya"}
    parted = [*merged, SpeakersMerged(0, 0)]
    assert {label for label, _ in labelled(RecordedSession(write(tmp_path / "b", parted)))} == {"A", "Priya"}


def test_a_name_that_is_taken_away_is_taken_from_all_who_are_one() -> None:
    speakers = Speakers()
    for fact in (SpeakerNamed(1, "Priya"), SpeakerNamed(0, ""), SpeakersMerged(1, 0)):
        speakers.note(fact)
    assert speakers.label(0) == "Priya", "a name that is given up before a merge says nothing of the others"
    speakers.note(SpeakerNamed(0, ""))
    assert speakers.label(0) == speakers.label(1) == "A"
    speakers.note(SpeakerNamed(0, "Tom"))
    speakers.note(SpeakerNamed(0, ""))
    assert speakers.label(1) == "A"
    speakers.note(SpeakersMerged(1, 1))
    assert speakers.label(1) == "Priya", "parted, each is as before"


@pytest.mark.parametrize("merges", [[(1, 2), (0, 1)], [(0, 1), (1, 2)], [(1, 2), (0, 2)], [(1, 2), (2, 1), (0, 2)]])
def test_a_merge_keeps_those_before_it(merges: list[tuple[int, int]]) -> None:
    speakers = Speakers()
    for speaker, into in merges:
        speakers.note(SpeakersMerged(speaker, into))
    assert {speakers.one(number) for number in range(3)} == {merges[-1][1]}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_no_order_of_merges_makes_a_circle(merges: list[tuple[int, int]]) -> None:
    speakers = Speakers()
    for speaker, into in merges:
        speakers.note(SpeakersMerged(speaker, into))
        assert speakers.one(speaker) == speakers.one(into) == into


def test_a_later_label_of_an_utterance_replaces_the_first_impression(tmp_path: Path) -> None:
    facts = [*said(TEXTS), *(heard(n, (5 * n, 5 * n + 4, 0), settled=False) for n in range(3)), *TALK[-3:]]
    assert len(labelled(RecordedSession(write(tmp_path, facts)))) == 4


def test_settled_text_gets_the_labels_by_its_own_word_times(tmp_path: Path) -> None:
    words = tuple(
        Word(text, (5 + n) * SECOND, (6 + n) * SECOND, "attention") for n, text in enumerate("Yes? Who has it?".split())
    )
    facts = [*TALK, UtteranceSettled("", 1, "Yes? Who has it?", 5 * SECOND, 9 * SECOND, "English", words)]
    assert ("B", "Yes? Who") in labelled(RecordedSession(write(tmp_path, facts)))


def test_text_without_word_times_has_one_speaker(tmp_path: Path) -> None:
    facts = [*said(TEXTS[:1]), UtteranceEnded("", 1, "Yes. Who?", 5 * SECOND, 9 * SECOND, "English"), *TALK[-3:-1]]
    assert labelled(RecordedSession(write(tmp_path, facts)))[1:] == [("A", "Yes. Who?")]


def test_an_utterance_in_which_no_voice_was_found_has_no_speaker(tmp_path: Path) -> None:
    assert labelled(RecordedSession(write(tmp_path, [*TALK, heard(2)])))[-1] == ("", "Me.")


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_has_the_names_of_speakers(tmp_path: Path, form: str) -> None:
    session = RecordedSession(write(tmp_path, [*TALK, SpeakerNamed(1, "Priya <R&D>")]))
    text = "".join(export_pieces(session, form))
    expected = {
        "txt": "Priya <R&D>: Yes, of course.\nA: Who has the numbers?\n",
        "md": r"Priya \<R&D\>: Yes, of course.",
        "srt": "Priya ‹R&D>: Yes, of course.",
        "vtt": "<v Priya &lt;R&amp;D&gt;>Yes, of course.",
        "tsv": "5000\t6714\tPriya <R&D>\tYes, of course.",
        "json": '"speaker": "Priya <R&D>"',
        "html": '<span class="label c1">Priya &lt;R&amp;D&gt;</span>',
    }[form]
    assert expected in text


def test_words_of_speakers_who_take_turns_keep_their_order_in_subtitles(tmp_path: Path) -> None:
    facts = [*said(["Yes. No. Yes."]), heard(0, (0, 1.3, 0), (1.3, 2.6, 1), (2.6, 4, 0))]
    text = "".join(export_pieces(RecordedSession(write(tmp_path, facts)), "vtt"))
    assert text.index("<v A>") < text.index("<v B>") < text.rindex("<v A>") and "Yes. Yes." not in text


def test_search_finds_by_name_letter_and_track(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    folder = write(tmp_path, [*TALK, SpeakerNamed(1, "Priya")])
    assert [hit.text for hit in archive.search(Query("course", speaker="priya"))] == ["Yes, of course."]
    assert archive.search(Query("course", speaker="A")) == []
    assert [(hit.speaker, hit.text) for hit in archive.search(Query("numbers", speaker="A"))] == [
        ("A", "Who has the numbers?")
    ]
    write(tmp_path, said(["The same numbers."], "them"), header("t", tracks=("me", "them")))
    assert [hit.text for hit in archive.search(Query("numbers", speaker="them"))] == ["The same numbers."]
    assert folder.name in archive.names()


def test_an_ended_session_that_changes_is_found_by_its_new_names(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    folder = write(tmp_path, TALK)
    assert archive.search(Query("course", speaker="Priya")) == []
    changed = write(tmp_path / "other", [*TALK, SpeakerNamed(1, "Priya")])
    (folder / EVENTS).write_bytes((changed / EVENTS).read_bytes())
    assert archive.search(Query("course", speaker="Priya")) == []
    archive.expire(folder)
    assert len(archive.search(Query("course", speaker="Priya"))) == 1


def test_a_name_is_found_also_where_transcript_md_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(tmp_path)
    folder = write(tmp_path, TALK)
    assert archive.search(Query("course", speaker="Priya")) == []

    def full(*paths: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(LogError, match="transcript.md: No space left"):
        amend(folder, lambda session: [SpeakerNamed(1, "Priya")])
    assert len(archive.search(Query("course", speaker="Priya"))) == 1


def test_the_last_minutes_have_names_that_were_given_long_before(tmp_path: Path) -> None:
    facts = list(said([f"This is sentence number {number}." for number in range(2000)]))
    ends = [index for index, fact in enumerate(facts) if isinstance(fact, UtteranceEnded)]
    for utterance, index in reversed(list(enumerate(ends))):
        facts.insert(index + 1, heard(utterance, (5 * utterance, 5 * utterance + 4, min(utterance, 3) % 2)))
    facts[ends[2] : ends[2]] = [SpeakerNamed(0, "Tom"), SpeakerNamed(1, "Priya")]
    folder = write(tmp_path, facts)
    last = labelled(RecordedSession(folder, last_seconds=60))
    assert last == labelled(RecordedSession(folder))[-len(last) :]
    assert {who for who, _ in last} == {"Priya"} and 10 < len(last) < 20


def test_words_that_two_say_at_once_stay_with_the_speaker_before() -> None:
    voices = [Voice(0, 40, 0), Voice(20, 60, 1)]
    assert speakers_of([(0, 20), (20, 40), (40, 60), (80, 90)], voices) == [0, 0, 1, 1]


def test_the_speaker_who_covers_most_of_a_word_gets_it():
    voices = [Voice(0, 100, 0), Voice(100, 200, 1)]
    assert speakers_of([(0, 50), (60, 130), (80, 180), (150, 200)], voices) == [0, 0, 1, 1]


def test_several_turns_of_one_speaker_count_together():
    voices = [Voice(0, 30, 0), Voice(30, 70, 1), Voice(70, 100, 0)]
    assert speakers_of([(0, 100)], voices) == [0]
    twice = [Voice(0, 50, 0), Voice(0, 60, 0), Voice(60, 130, 1)]
    assert speakers_of([(0, 130)], twice) == [1]


def test_the_speaker_of_the_word_before_goes_on_where_turns_overlap():
    voices = [Voice(0, 200, 1), Voice(90, 400, 0)]
    assert speakers_of([(0, 80), (100, 180), (210, 300), (100, 180)], voices) == [1, 1, 0, 0]


def test_a_word_beside_all_turns_gets_the_nearest():
    voices = [Voice(100, 200, 0), Voice(300, 400, 1)]
    assert speakers_of([(0, 50), (210, 240), (270, 290), (500, 500)], voices) == [0, 0, 1, 1]


def test_without_voices_or_words_there_is_nothing_to_tell():
    assert speakers_of([(0, 10), (10, 20)], []) == [] == speakers_of([], [Voice(0, 10, 3)])


VOICES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 30), st.integers(0, 3)),
    min_size=1,
    max_size=8,
).map(lambda many: [Voice(start, start + length, speaker) for start, length, speaker in many])
SPANS = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 20)), max_size=6)


@given(VOICES, SPANS)
def test_the_answer_is_that_of_counting_samples(voices, spans):
    listed = [(start, start + length) for start, length in spans]
    for span, speaker in zip(listed, speakers_of(listed, voices), strict=True):

        def score(of: int, span: tuple[int, int] = span) -> tuple[int, int]:
            mine = [voice for voice in voices if voice.speaker == of]
            covered = sum(any(v.start_sample <= at < v.end_sample for v in mine) for at in range(*span))
            return covered, -min(max(0, v.start_sample - span[1], span[0] - v.end_sample) for v in mine)

        best = max(score(voice.speaker) for voice in voices)
        covered, distance = score(speaker)
        assert covered == best[0]
        assert covered or distance == best[1]


@given(st.data())
def test_parts_of_a_text_have_all_of_it(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.sampled_from(["one", "two,", "三", "...", "two", " x"]), max_size=8))
    text = data.draw(st.sampled_from([" ", ""])).join(texts)
    strange = data.draw(st.sets(st.integers(0, 8)))
    """Words that the text does not have, as logs of other programs may."""
    words = [Word("um" if n in strange else each.strip(), n, n + 1, "step") for n, each in enumerate(texts)]
    numbers: Sequence[int] = data.draw(
        st.lists(st.integers(0, 2), min_size=max(1, len(words)), max_size=max(1, len(words)))
    )
    parts = list(split(text, words, numbers))
    assert "".join(part for part, _, _ in parts).replace(" ", "") == text.replace(" ", "")
    assert [word for _, some, _ in parts for word in some] == words


def test_letters_go_on_after_z() -> None:
    assert [speaker_letter(number) for number in (0, 25, 26, 27, 51, 52)] == ["A", "Z", "AA", "AB", "AZ", "BA"]
