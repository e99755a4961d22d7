"""The screens of past sessions: list, search, read, play, export, rename, delete."""

import errno
import threading
from contextlib import asynccontextmanager
from datetime import datetime

import pytest

from livecap.archive.archive import Archive
from livecap.archive.folder import read_title
from livecap.archive.index import Index
from livecap.archive.log import SessionLog
from livecap.archive.recorded import RecordedSession
from livecap.settings.fields import Settings
from livecap.transcript import SessionEnded, SessionStarted, UtteranceEnded
from livecap.tui.app import LivecapApp
from livecap.tui.screens.session_screen import SessionScreen
from livecap.tui.screens.sessions_screen import SessionsScreen
from tests.archive.facts import said, write
from tests.tui.machine import ScriptedMachine
from tests.tui.past_sessions import write_sessions
from tests.tui.shown import Shown


@pytest.fixture
def browse(tmp_path):
    """Opens the browser on a folder with three sessions."""

    @asynccontextmanager
    async def make(size=(100, 28), empty=False, settings=None):
        folder = tmp_path / "sessions"
        names = [] if empty else write_sessions(folder)
        machine = ScriptedMachine()
        app = LivecapApp(SessionsScreen(folder, lambda: 0.0, machine), settings)
        async with app.run_test(size=size) as pilot:
            shown = Shown(app, pilot)
            shown.folder, shown.names, shown.machine = folder, names, machine
            await shown.shows("No sessions yet" if empty else "3 sessions, 30 min")
            yield shown

    return make


async def test_the_newest_session_is_first_with_date_length_and_first_words(browse):
    async with browse() as shown:
        rows = [line for line in shown.lines if "10 min" in line]
        assert [row.split()[0] if "▸" not in row else row.split()[1] for row in rows] == [
            "2020-04-01",
            "2020-03-05",
            "2020-03-02",
        ]
        assert "Good morning everyone" in rows[2] and "kB" in rows[2] and rows[0].lstrip().startswith("▸")


async def test_an_empty_list_says_so(browse):
    async with browse(empty=True) as shown:
        await shown.press("enter", "e", "r", "delete")
        assert "No sessions yet" in shown.text


async def test_all_sessions_are_searched_while_typing(browse):
    async with browse() as shown:
        await shown.press("slash")
        await shown.type("budg")
        await shown.shows("2 matches", "1 match  Interview notes", "the budget was small")
        await shown.press("enter", "down", "enter")
        await shown.shows("Interview notes, second round.", "▸")
        await shown.press("q")
        await shown.shows("2 matches")
        await shown.press("escape")
        await shown.shows("3 sessions")


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ("budg", ["budg"]),
        ('"budget"', ["budget"]),
        ('"summer budget" the', ["summer"]),
        ("budget,", ["budget"]),
        ("(budget)", ["budget"]),
        ("strasse", ["Straße"]),
        ("zoe", ["Zoë"]),
        ("ŁUKASZ", ["Łukasz", "Lukasz"]),
        ("預算", ["預算"]),
        ('"', []),
    ],
)
async def test_what_was_searched_is_marked_in_the_opened_session(tmp_path, query, marked):
    texts = ["the summer budget of Zoë", "Łukasz in der Straße", "Lukasz 我們的預算"]
    session = RecordedSession(write(tmp_path, said(texts)))
    app = LivecapApp(SessionScreen(session, lambda: 0.0, query=query))
    async with app.run_test(size=(100, 28)) as pilot:
        shown = Shown(app, pilot)
        await shown.shows("預算", "▸")
        view = app.screen.view
        lines = [view.render_line(y) for y in range(view.size.height)]
        found = [segment for line in lines for segment in line if segment.style]
        assert [each.text for each in found if each.style.underline or each.style.reverse] == marked


async def test_a_search_that_ends_late_does_not_replace_the_next_one(browse):
    async with browse() as shown:
        screen, may_end = shown.app.screen, threading.Event()
        search, begun, ended = screen._archive.search, [], []

        def slow_at_first(query):
            begun.append(query.words)
            if query.words == "budget":
                may_end.wait(60)
            hits = search(query)
            ended.append(query.words)
            return hits

        screen._archive.search = slow_at_first
        await shown.press("slash")
        try:
            await shown.type("budget")
            await shown.wait_for(lambda: begun == ["budget"])
            await shown.type(" small")
            await shown.shows("1 match", "the budget was small")
        finally:
            may_end.set()
        await shown.wait_for(lambda: ended == ["budget small", "budget"])
        await shown.settle()
        await shown.shows("1 match", "the budget was small")
        await shown.shows_no("The budget for the summer")


async def test_a_title_is_changed_in_the_results_of_a_search(browse):
    async with browse() as shown:
        await shown.press("slash")
        await shown.type("budg")
        await shown.shows("2 matches")
        await shown.press("enter", "r")
        await shown.type("Talk")
        await shown.press("enter")
        await shown.shows("Talk", "the budget was small")
        await shown.press("r", "escape")
        await shown.shows("the budget was small")
        await shown.press("escape")
        await shown.shows("Good morning everyone", "An odd one")
        await shown.shows_no("the budget was small")


async def test_a_session_is_read_with_marks_and_gaps_and_searched(browse):
    async with browse() as shown:
        await shown.press("down", "enter")
        await shown.shows("2020-03-05 14:30", "She built the pump", "★  check [this]", "1.0 s of sound lost", "paused")
        await shown.press("slash")
        await shown.type("pump")
        await shown.press("enter")
        await shown.shows("1 of 1")
        await shown.press("escape", "escape")
        await shown.shows("3 sessions")


async def test_a_session_in_which_nothing_was_said_has_no_line_to_go_to(browse):
    async with browse() as shown:
        log = SessionLog(shown.folder, datetime(2020, 5, 1, 9))
        log.append(SessionStarted(log.session, "Yeti", "tiny", "2020-05-01T09:00:00.000+02:00", True, None, "0"), 0.0)
        log.append(SessionEnded(16_000, "stopped"), 1.0)
        log.close()
        await shown.press("f5")
        await shown.shows("4 sessions", "(nothing was said)")
        await shown.press("home", "enter")
        await shown.shows("Nothing was said.")
        await shown.press("down", "up", "j", "k", "pagedown", "pageup", "home", "end", "space", "y", "n", "r")
        await shown.press("slash", "x", "enter", "n", "escape", "q")
        await shown.shows("4 sessions")


async def test_a_session_without_saved_sound_says_so(browse):
    async with browse() as shown:
        await shown.press("enter", "space")
        await shown.shows("was not saved", "--save-audio")


async def test_sound_is_played_from_the_chosen_line(browse):
    async with browse() as shown:
        audio = shown.folder / shown.names[1] / "audio"
        audio.mkdir()
        (audio / "sound.wav").write_bytes(b"RIFF")
        await shown.press("down", "enter")
        await shown.shows("She built the pump")
        await shown.press("down", "space")
        [playing] = shown.machine.played
        assert playing.sample == 20 * 16_000 and playing.files == [audio / "sound.wav"]
        await shown.press("space")
        assert playing.ended
        await shown.press("space")
        shown.machine.played[1].trouble, shown.machine.played[1].ended = "The output stopped playing.", True
        await shown.shows("⨯ The output stopped playing.")
        await shown.press("space")
        await shown.shows("Playing. Press space to stop.")
        assert len(shown.machine.played) == 3
        shown.app.exit()
    assert shown.machine.played[2].ended


async def test_a_session_is_renamed(browse):
    async with browse() as shown:
        await shown.press("r")
        await shown.type("Budget talk")
        await shown.press("enter")
        await shown.shows("Budget talk")


async def test_a_title_goes_to_the_session_for_which_it_was_asked(browse):
    async with browse() as shown:
        await shown.press("r")
        await shown.type("Budget talk")
        row = next(number for number, line in enumerate(shown.lines) if "Interview notes" in line)
        await shown.pilot.click(offset=(30, row))
        await shown.shows("She built the pump")
        await shown.press("escape")
        await shown.shows("Title:")
        await shown.pilot.click(offset=(30, next(n for n, line in enumerate(shown.lines) if "Title:" in line)))
        await shown.settle()
        await shown.press("enter")
        await shown.shows_no("Title:")
        titles = {name: read_title(shown.folder / name) for name in shown.names}
    assert titles == dict(zip(shown.names, ("", "", "Budget talk"), strict=True))


@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+q", "escape", "enter", "q", "n"])
async def test_only_y_deletes_whichever_key_leaves_livecap(browse, key):
    async with browse(settings=Settings(keys={"leave": "f10"})) as shown:
        await shown.press("delete")
        await shown.shows("This cannot be undone", "y yes")
        await shown.press(key)
        await shown.wait_for(lambda: isinstance(shown.app.screen, SessionsScreen))
        await shown.settle()
        assert set(shown.names) <= {path.name for path in shown.folder.iterdir()}


async def test_a_session_is_deleted_only_after_a_yes(browse):
    async with browse() as shown:
        folder = shown.folder / shown.names[2]
        await shown.press("delete")
        await shown.shows("Delete session", "cannot be undone")
        await shown.press("enter")
        assert folder.is_dir()
        await shown.press("delete", "y")
        await shown.shows("2 sessions", "Deleted")
        assert not folder.exists()


@pytest.mark.parametrize("keys", ["enter", "e", "r enter", "delete y"])
async def test_a_session_that_was_deleted_elsewhere_is_said_to_be_gone(browse, keys):
    async with browse() as shown:
        Archive(shown.folder).delete(shown.names[2])
        await shown.press(*keys.split())
        await shown.shows(f"⨯ No session '{shown.names[2]}' in")
        await shown.press("f5")
        await shown.shows("2 sessions")


async def test_a_session_that_is_deleted_while_it_is_opened_is_said_to_be_gone(browse):
    async with browse() as shown:
        session = Archive(shown.folder).open(shown.names[2])
        Archive(shown.folder).delete(shown.names[2])
        shown.app.push_screen(SessionScreen(session, lambda: 0.0))
        await shown.shows("⨯ Cannot read the session log")
        await shown.press("down", "escape", "q")
        await shown.shows("3 sessions")


async def test_a_folder_of_sessions_that_cannot_be_read_is_said(browse, monkeypatch):
    def fails(index, names):
        raise OSError(errno.EIO, "Input/output error")

    async with browse() as shown:
        monkeypatch.setattr(Index, "refresh", fails)
        await shown.press("f5")
        await shown.shows("⨯ Cannot read the sessions in", "Input/output")  # the line is wrapped


async def test_deleting_a_session_keeps_files_of_the_user(browse):
    async with browse() as shown:
        folder = shown.folder / shown.names[2]
        (folder / "notes.txt").write_text("mine")
        await shown.press("delete", "y")
        await shown.shows("2 sessions", "did not write stay")
        assert [path.name for path in folder.iterdir()] == ["notes.txt"]


async def test_a_session_is_exported_and_overwrites_nothing_without_asking(browse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with browse() as shown:
        await shown.press("down", "e")
        await shown.shows("Export the session as", "subtitles for the web", str(tmp_path)[:20])
        await shown.press("down", "enter")
        await shown.shows("Exported to")
        [path] = tmp_path.glob("*.txt")
        assert "the pump herself" in path.read_text(encoding="utf-8")
        await shown.press("e", "down", "enter")
        await shown.shows("Replace the txt file")
        await shown.press("y")
        await shown.shows("Exported to")


async def test_an_export_goes_to_the_home_folder_where_the_current_one_was_removed(browse, tmp_path, monkeypatch):
    home, gone = tmp_path / "home", tmp_path / "gone"
    home.mkdir()
    gone.mkdir()
    monkeypatch.setenv("HOME", str(home))
    async with browse() as shown:
        monkeypatch.chdir(gone)
        gone.rmdir()
        await shown.press("e")
        await shown.shows("Export the session as")
        await shown.press("enter")
        await shown.shows("Exported to")
    assert len(list(home.glob("*.md"))) == 1


async def test_old_text_cannot_reach_the_terminal_as_commands(browse):
    async with browse() as shown:
        await shown.shows("[bold]An odd one")
        await shown.press("enter")
        await shown.shows("[bold]An odd one from an old log.")
        assert not set(shown.text) & {"\x1b", "\u202e"}


@pytest.mark.parametrize("size", [(60, 15), (30, 6), (30, 3), (10, 3), (3, 2)])
async def test_it_works_in_any_size(browse, size):
    async with browse() as shown:
        await shown.pilot.resize_terminal(*size)
        await shown.press("pagedown", "pageup", "down", "enter", "up", "q", "e", "pagedown", "escape")
        await shown.press("ctrl+p", "pagedown", "pageup", "down", "up", "escape")


async def test_a_session_that_another_livecap_writes_is_marked(tmp_path):
    log = SessionLog(tmp_path, datetime(2021, 1, 1, 9))
    log.append(SessionStarted(log.session, "Yeti", "tiny", "2021-01-01T09:00:00.000+01:00", True, None, "0"), 0.0)
    log.append(UtteranceEnded("", 0, "words so far", 0, 16_000, "English"), 1.0)
    try:
        async with LivecapApp(SessionsScreen(tmp_path, lambda: 0.0)).run_test(size=(60, 15)) as pilot:
            shown = Shown(pilot.app, pilot)
            await shown.shows("● recording  words so far")
            assert "no end" not in shown.text
    finally:
        log.close()


async def test_a_narrow_list_leaves_out_the_size_before_the_text(browse):
    async with browse(size=(60, 15)) as shown:
        [row] = [line for line in shown.lines if "Interview" in line]
        assert "10 min" in row and "kB" not in row and "Interview notes, secon" in row
        await shown.pilot.resize_terminal(100, 28)
        await shown.shows("kB")


async def test_the_footer_names_enter_and_a_question_leaves_the_list_visible(browse):
    async with browse() as shown:
        await shown.shows("⏎ Open  / Search  e Export  r Rename  del Delete  esc Back")
        await shown.press("down", "delete")
        await shown.shows("y Yes  n No", "▸ 2020-03-05")
        await shown.press("n", "e")
        await shown.shows("Export the session as", "⏎ Export", "▸ 2020-03-05")
        await shown.press("escape", "enter")
        await shown.shows("She built the pump")
