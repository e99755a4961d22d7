"""Past sessions are found, searched, named, and deleted without a trace."""

import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.archive.archive import Archive, file_name
from livecap.archive.folder import EVENTS, TRANSCRIPT, all_have_ends
from livecap.archive.index import INDEX, Index
from livecap.archive.log import SessionLog
from livecap.archive.search import Query
from livecap.archive.search_terms import fts_query, pairs, searchable, snippet
from livecap.errors import LogError
from livecap.transcript import Marked, SpeakerNamed, SpeakersHeard, UtteranceEnded, UtteranceSettled, Voice
from tests.archive.facts import SECOND, header, said, write
from tests.archive.when import STARTED


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Three sessions: an English one with two tracks, a Chinese one, and an interrupted one."""
    both = [*said(["The budget for the summer offsite.", "Eleven thousand left."], "me")]
    both += said(["Can the búdget carry that?"], "them")
    write(tmp_path, both, header("s", tracks=("me", "them")))
    write(tmp_path, said(["我們今天先討論預算，然後再看時間表。"], language="Chinese"))
    write(tmp_path, said(["Good morning everyone."]), end=False)
    return Archive(tmp_path)


def names(archive: Archive) -> tuple[str, str, str]:
    newest_first = archive.names()
    assert len(newest_first) == 3
    return newest_first[2], newest_first[1], newest_first[0]


def test_sessions_are_listed_newest_first_with_what_identifies_them(archive: Archive) -> None:
    english, chinese, cut_off = names(archive)
    summaries = {summary.name: summary for summary in archive.sessions()}
    assert list(summaries) == [cut_off, chinese, english]
    summary = summaries[english]
    assert summary.first_words.startswith("The budget for") and summary.tracks == ("me", "them")
    assert summary.seconds == 9 and summary.ended and summary.n_bytes > 500 and not summary.has_sound
    assert summaries[chinese].languages == ("Chinese",)
    assert not summaries[cut_off].ended
    assert archive.cut_off() == [cut_off]


def test_only_sessions_count_among_the_newest_that_are_asked_for_their_end(archive: Archive) -> None:
    newest = archive.names()[0]
    for number in range(3):
        (archive.parent / f"note {number}.txt").touch()
        (archive.parent / f"notes {number}").mkdir()
    assert not all_have_ends(archive.parent, 1) and archive.cut_off(1) == [newest]
    archive.delete(newest)
    assert all_have_ends(archive.parent, 1) and archive.cut_off(1) == []


def test_all_words_are_found_whatever_their_case_and_accents(archive: Archive) -> None:
    english, _, _ = names(archive)
    hits = archive.search(Query("BUDGET"))
    assert {(hit.session, hit.track, hit.at) for hit in hits} == {
        (english, "me", "10:02:03"),
        (english, "them", "10:02:03"),
    }
    assert [hit.track for hit in archive.search(Query("budget summer"))] == ["me"]
    assert archive.search(Query("budget nosuchword")) == []
    assert [piece for piece, found in archive.search(Query("budget", label="them"))[0].snippet if found] == ["búdget"]


def test_chinese_and_japanese_are_found_by_any_part_of_a_sentence(archive: Archive, tmp_path: Path) -> None:
    _, chinese, _ = names(archive)
    for part in ("預算", "算", "討論預算", "時間表"):
        [hit] = archive.search(Query(part))
        assert hit.session == chinese
        assert part in [piece for piece, found in hit.snippet if found]
    assert archive.search(Query("算預")) == []


def test_words_of_hindi_are_found_with_their_vowels(tmp_path: Path) -> None:
    """Vowels are signs after the letters: दिन is a day, दान a gift."""
    write(tmp_path, said(["अगले दिन की बात", "अगले दान की बात"], language="Hindi"))
    archive = Archive(tmp_path)
    for number, word in enumerate(["दिन", "दान"]):
        [hit] = archive.search(Query(word))
        assert hit.utterance == number and [piece for piece, found in hit.snippet if found] == [word]
    assert len(archive.search(Query("बात"))) == 2 and len(archive.search(Query("अगल", prefix=True))) == 2
    assert not archive.search(Query("दन")) and archive.search(Query('"दिन की"'))


def test_a_search_is_narrowed_by_label_language_session_and_date(archive: Archive) -> None:
    english, chinese, _ = names(archive)
    assert {hit.track for hit in archive.search(Query("budget", label="me"))} == {"me"}
    assert archive.search(Query("budget", label="m")) == []
    assert archive.search(Query("預算", language="chinese")) and not archive.search(Query("預算", language="English"))
    assert archive.search(Query("budget", session=english)) and not archive.search(Query("budget", session=chinese))
    moment = datetime.fromisoformat(header().wall_time)
    assert len(archive.search(Query("left"))) == 1
    assert not archive.search(Query("left", since=moment + timedelta(minutes=1)))
    assert not archive.search(Query("left", until=moment)) and archive.search(Query("left", since=moment))


def test_while_the_user_types_the_last_word_may_be_the_start_of_one(archive: Archive) -> None:
    assert archive.search(Query("bud", prefix=True)) and not archive.search(Query("bud"))
    assert not archive.search(Query("bud ", prefix=True))
    assert archive.search(Query("bu", prefix=True)) and not archive.search(Query("b", prefix=True))
    assert archive.search(Query("summer off", prefix=True)) and not archive.search(Query("off summer", prefix=True))


@given(st.text(max_size=40))
def test_nothing_typed_is_query_syntax(query: str) -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE words USING fts5 (text, pairs, track, language)")
    for prefix in (False, True):
        if expression := fts_query(query, prefix=prefix, track=query, language=query):
            db.execute("SELECT * FROM words WHERE words MATCH ?", (expression,)).fetchall()
    db.close()


tokens = st.lists(st.sampled_from([*"預算我", "to", "be", "or", "à", "king", "Kings", "they're"]), max_size=8)


@given(tokens, tokens.filter(bool))
def test_a_phrase_is_found_where_its_words_are_adjacent_and_nowhere_else(said: list[str], wanted: list[str]) -> None:
    db = sqlite3.connect(":memory:")
    db.execute('CREATE VIRTUAL TABLE words USING fts5 (text, pairs, tokenize="unicode61 remove_diacritics 2")')
    text, phrase = " ".join(said), " ".join(wanted)
    db.execute("INSERT INTO words VALUES (?, ?)", (searchable(text), pairs(text)))
    expression = fts_query(f'"{phrase}"')
    found = db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (expression,)).fetchone()[0]
    db.close()
    assert bool(found) == (f" {phrase} ".replace("'", " ") in f" {text} ".replace("'", " "))


@given(st.text(max_size=300), st.text(max_size=10))
def test_a_snippet_is_a_part_of_the_text(text: str, query: str) -> None:
    pieces = snippet(text, query)
    joined = "".join(piece for piece, _ in pieces)
    inner = joined.removeprefix("…").removesuffix("…") if joined not in text else joined
    assert inner in text


@pytest.mark.parametrize(
    ("said_word", "typed"),
    [
        ("ёлка", "елка"),
        ("λόγος", "ΛΟΓΟΣ"),
        ("λόγος", "λογος"),
        ("محمّد", "محمد"),
        ("شكرا", "شُكراً"),
        ("أحمد", "احمد"),
        ("Straße", "STRASSE"),
        ("café", "CAFE\u0301"),
        ("ọ̀rọ̀", "oro"),
        ("Łukasz", "lukasz"),
        ("Đorđe", "DORDE"),
        ("smørrebrød", "smorrebrod"),
        ("Æsop", "aesop"),
        ("ılık", "ilik"),
    ],
)
def test_case_and_accents_do_not_matter_in_any_script(tmp_path: Path, said_word: str, typed: str) -> None:
    write(tmp_path, said([f"one {said_word} two"]))
    for words in (typed, f'"one {typed} two"'):
        assert [piece for hit in Archive(tmp_path).search(Query(words)) for piece, found in hit.snippet if found]
    assert (said_word, True) in snippet(f"one {said_word} two", typed)


@pytest.mark.parametrize(("said_word", "typed"), [("мой", "мои"), ("が", "か"), ("दिन", "दान"), ("하", "한")])
def test_other_letters_are_not_found(tmp_path: Path, said_word: str, typed: str) -> None:
    write(tmp_path, said([f"one {said_word} two"]))
    assert not Archive(tmp_path).search(Query(typed)) and Archive(tmp_path).search(Query(said_word))


def test_only_settled_text_is_found(tmp_path: Path) -> None:
    settled = UtteranceSettled("", 0, "Good evening.", 0, 4 * SECOND, "English")
    write(tmp_path, [*said(["Good mourning."]), settled])
    archive = Archive(tmp_path)
    assert archive.search(Query("evening")) and not archive.search(Query("mourning"))


def test_a_running_session_is_found_with_what_it_adds(tmp_path: Path) -> None:
    log = SessionLog(tmp_path, STARTED)
    log.append(header(log.session), 0.0)
    facts = list(said(["Alpha is here.", "Beta as well."]))
    for fact in facts[:4]:
        log.append(fact, 1.0)
    assert log.flush(60)
    archive = Archive(tmp_path)
    assert archive.search(Query("alpha")) and not archive.search(Query("beta"))
    for fact in facts[4:]:
        log.append(fact, 1.0)
    assert log.flush(60)
    assert len(archive.search(Query("alpha"))) == 1 and archive.search(Query("beta"))
    with pytest.raises(LogError, match="being recorded"):
        archive.delete(log.session)
    log.close()


def test_a_long_running_session_is_indexed_again_when_it_has_grown_enough(tmp_path: Path) -> None:
    log = SessionLog(tmp_path, STARTED)
    log.append(header(log.session), 0.0)
    for fact in said([f"Sentence number {n}." for n in range(100)]):
        log.append(fact, 1.0)
    assert log.flush(60)
    archive = Archive(tmp_path)
    assert archive.search(Query("99"))
    log.append(UtteranceEnded("", 100, "Zebra.", 1, 2, "English"), 2.0)
    assert log.flush(60)
    assert not archive.search(Query("zebra")), "it grew by less than 1%"
    log.close()
    assert archive.search(Query("zebra")), "it has ended"


def test_a_damaged_index_is_built_again(archive: Archive) -> None:
    assert archive.search(Query("budget"))
    (archive.parent / INDEX).write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    assert archive.search(Query("budget"))
    (archive.parent / INDEX).write_bytes(b"no database at all")
    assert archive.search(Query("budget"))


def test_an_index_that_is_damaged_inside_is_built_again(archive: Archive) -> None:
    assert archive.search(Query("budget"))
    path = archive.parent / INDEX
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 512):
        data[start : start + 256] = os.urandom(256)
    path.write_bytes(data)
    assert archive.search(Query("budget")) and archive.sessions()
    path.write_bytes(data)
    archive.delete("last")
    assert len(archive.sessions()) == 2


def test_a_search_waits_for_another_writer_of_the_index_and_reports_it(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livecap.archive.index.BUSY_SECONDS", 0.01)
    assert archive.search(Query("budget"))
    write(archive.parent, said(["A new one."]))
    with closing(sqlite3.connect(archive.parent / INDEX)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogError, match="locked"):
            archive.search(Query("new"))
    assert archive.search(Query("new"))


def test_two_livecaps_may_index_the_same_sessions(archive: Archive) -> None:
    with Index(archive.parent) as one, Index(archive.parent) as other:

        def names_after_the_other_was_quicker() -> list[str]:
            assert one.refresh(archive.names) == []
            return archive.names()

        assert other.refresh(names_after_the_other_was_quicker) == []
        assert len(other.sessions()) == 3
    assert len(archive.search(Query("budget"))) == 2


def test_an_index_of_another_version_is_built_again(archive: Archive) -> None:
    assert archive.search(Query("budget"))
    with closing(sqlite3.connect(archive.parent / INDEX)) as index:
        index.execute("PRAGMA user_version = 99")
        index.execute("DELETE FROM utterances")
        index.commit()
    assert archive.search(Query("budget"))


def test_a_deleted_session_leaves_no_trace(archive: Archive) -> None:
    english, chinese, _ = names(archive)
    archive.search(Query("budget"))
    (archive.parent / english / "audio").mkdir()
    (archive.parent / english / "audio" / "me.wav").write_bytes(bytes(100))
    for name in (
        "title.txt",
        "transcript.md.new",
        ".title.txt.0a1b2c3d.new",
        f".{EVENTS}.0a1b2c3d.new",
        ".screen-fault.txt.0a1b2c3d.new",
        "fault.txt",
        "screen-fault.txt",
        "native.log",
        ".DS_Store",
    ):
        (archive.parent / english / name).write_text("budget")
    for name in ("unsaved", "steps.jsonl", "sound.wav"):
        (archive.parent / english / "audio" / name).touch()
    deleted = archive.delete(english)
    assert deleted.n_bytes > 0 and not deleted.stays
    assert not (archive.parent / english).exists()
    assert archive.search(Query("budget")) == [] and archive.search(Query("預算"))
    left = b"".join(path.read_bytes() for path in archive.parent.rglob("*") if path.is_file())
    for word in (b"budget", b"offsite", b"eleven", b"Eleven"):
        assert word not in left
    assert "預算".encode() in left, "the other session stays"


def test_a_session_is_named_by_its_name_title_part_path_or_last(archive: Archive) -> None:
    english, chinese, newest = names(archive)
    archive.rename(english, "Budget talk")
    archive.rename(chinese, "Budget talk, second")
    assert archive.folder_of("last").name == newest
    assert archive.folder_of(english).name == english
    assert archive.folder_of("budget TALK").name == english
    assert archive.folder_of("second").name == chinese
    assert archive.folder_of(str(archive.parent / chinese / EVENTS)).name == chinese
    with pytest.raises(LogError, match="2 sessions match 'budget'"):
        archive.folder_of("budget")
    with pytest.raises(LogError, match="No session 'nosuch'.*livecap sessions"):
        archive.folder_of("nosuch")
    archive.rename(english, "")
    assert archive.open(english).title == ""


@pytest.mark.parametrize("wanted", [".", "./", EVENTS, "audio/.."])
def test_a_session_is_deleted_without_a_trace_from_inside_its_folder(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    folder = (archive.parent / names(archive)[0]).resolve()
    assert archive.search(Query("offsite"))
    (folder / "audio").mkdir()
    monkeypatch.chdir(folder)
    assert archive.folder_of(wanted) == folder
    with pytest.raises(LogError, match="No session ''"):
        archive.folder_of("")
    archive.delete(wanted)
    assert not folder.exists() and archive.search(Query("offsite")) == []


def test_the_last_session_is_the_last_one_also_where_local_time_went_back(tmp_path: Path) -> None:
    """An hour after the end of summer time."""
    for clock, zone in (("02:50:00", "+02:00"), ("02:10:00", "+01:00")):
        started = replace(header(), wall_time=f"2026-10-25T{clock}{zone}")
        write(tmp_path, said(["Good morning."]), started).rename(tmp_path / f"2026-10-25_{clock.replace(':', '-')}")
    write(tmp_path, said(["Good morning."]))  # in March
    archive = Archive(tmp_path)
    later, earlier = "2026-10-25_02-10-00", "2026-10-25_02-50-00"
    assert [summary.name for summary in archive.sessions()][:2] == [later, earlier]
    assert archive.folder_of("last").name == later
    (tmp_path / later / EVENTS).write_text("of another program\n")
    assert archive.folder_of("last").name == earlier


@pytest.mark.parametrize("wanted", ["", "..", "../..", "/", "."])
def test_what_is_not_a_session_is_never_deleted(archive: Archive, wanted: str) -> None:
    with pytest.raises(LogError):
        archive.delete(wanted)
    assert len(archive.names()) == 3


def test_everything_is_readable_by_the_owner_only_from_the_start(archive: Archive) -> None:
    before = os.umask(0)
    try:
        archive.rename("last", "A title")
        archive.search(Query("budget"))
    finally:
        os.umask(before)
    for path in archive.parent.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_no_link_is_followed_when_writing(archive: Archive, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_text("stays")
    folder = archive.folder_of("last")
    (folder / "title.txt").symlink_to(outside)
    archive.rename("last", "A title")
    assert not (folder / "title.txt").is_symlink() and archive.open("last").title == "A title"
    (archive.parent / INDEX).symlink_to(outside)
    with pytest.raises(LogError):
        archive.search(Query("budget"))
    assert outside.read_text() == "stays"


def test_a_session_that_was_killed_before_its_first_fact_is_not_listed(archive: Archive) -> None:
    newest = archive.names()[0]
    (archive.parent / "2030-01-01_10-00-00").mkdir()
    (archive.parent / "2030-01-01_10-00-00" / EVENTS).touch()
    assert archive.folder_of("last").name == newest
    assert len(archive.sessions()) == 3 and archive.cut_off() == [newest]


def test_a_folder_that_is_not_a_session_is_ignored(archive: Archive) -> None:
    (archive.parent / "notes").mkdir()
    (archive.parent / "strange").mkdir()
    (archive.parent / "strange" / EVENTS).write_text("of another program\n")
    assert len(archive.sessions()) == 3
    assert archive.search(Query("budget")) and len(archive.cut_off()) == 1


@given(st.text(max_size=300))
def test_titles_become_safe_file_names(title: str) -> None:
    name = file_name(title, "otherwise")
    assert name and "/" not in name and "\\" not in name and name not in (".", "..")
    assert not name.startswith((".", "-")) and len(name.encode()) <= 90 and name.isprintable()
    assert not {":", "*", "?", '"', "<", ">", "|", "\0"} & set(name)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Budget talk: part 2/3", "Budget-talk-part-2-3"),
        ("../../etc/passwd", "etc-passwd"),
        ("CON", "CON-"),
        ("बजट की बैठक", "बजट-की-बैठक"),
        ("ประชุมวันนี้", "ประชุมวันนี้"),
        ("❤\ufe0f love", "love"),
    ],
)
def test_file_names_still_read_as_the_title(title: str, name: str) -> None:
    assert file_name(title, "x") == name


def test_marks_and_labels_are_in_the_transcript(tmp_path: Path) -> None:
    mark = Marked("me", 2 * SECOND, "ask \x1b[31mfinance", header().wall_time)
    folder = write(tmp_path, [*said(["Good morning."], "me"), mark])
    text = (folder / TRANSCRIPT).read_text()
    assert "[10:02:03] me: Good morning.\n" in text and "[10:02:05] ★ ask [31mfinance\n" in text


def test_a_speaker_is_found_in_any_case_of_any_script(tmp_path: Path) -> None:
    voices = (Voice(0, SECOND, 0),)
    write(tmp_path, [*said(["The budget."]), SpeakersHeard("", 0, voices, True), SpeakerNamed(0, "Émile")])
    for name in ("Émile", "émile", "ÉMILE"):
        assert len(Archive(tmp_path).search(Query("budget", speaker=name))) == 1
