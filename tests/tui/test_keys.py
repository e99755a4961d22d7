"""Every key does what the help says; keys can be changed; the palette has all commands."""

import threading
from dataclasses import replace

import pytest
from textual._xterm_parser import XTermParser
from textual.command import CommandList

from livecap.errors import SettingsError
from livecap.session.status import State
from livecap.settings.fields import ScreenSettings, Settings
from livecap.transcript import Jumped, Notice
from livecap.tui.app import LivecapApp
from livecap.tui.keys import checked_keymap, commands
from livecap.tui.screens.help_screen import HelpScreen
from livecap.tui.screens.model_screen import Cancelled
from livecap.tui.transcript.times import Times
from livecap.tui.widgets.caption_lines import Captions
from tests.tui.machine import ScriptedChange, ScriptedMachine
from tests.tui.scripted_session import ScriptedSession


def said(screen, *texts):
    for number, text in enumerate(texts):
        screen.session.say(text, utterance=number, second=number * 5, final=True)


async def test_u_mutes_and_unmutes(show):
    async with show() as screen:
        await screen.press("u")
        assert screen.session.calls[-1] == "mute" and "⨯ muted" in screen.text
        await screen.press("u")
        assert screen.session.calls[-1] == "unmute" and "muted" not in screen.text


async def test_m_marks_the_moment_it_was_pressed_with_a_note(show):
    async with show() as screen:
        screen.session.becomes(arrived_samples=16_000 * 65)
        await screen.press("m")
        assert "Mark at 10:03:05. Note:" in screen.text
        screen.session.becomes(arrived_samples=16_000 * 80)
        await screen.type("check it")
        await screen.press("enter")
        assert screen.session.calls[-1] == "mark 'check it' at 1040000"
        await screen.shows("★  check it")
        assert screen.view.has_focus and "Note:" not in screen.text


async def test_escape_cancels_a_mark(show):
    async with show() as screen:
        await screen.press("m", "x", "escape")
        assert not any(call.startswith("mark") for call in screen.session.calls) and "Note:" not in screen.text


async def test_a_click_on_a_time_marks_that_utterance(show):
    async with show() as screen:
        said(screen, "first", "second")
        await screen.settle()
        row = next(number for number, line in enumerate(screen.lines) if "10:02  first" in line)
        await screen.pilot.click(offset=(5, row))
        await screen.settle()
        await screen.press("enter")
        assert screen.session.calls[-1] == "mark '' at 0"


async def test_arrows_jump_in_a_recording_and_leave_a_remark(show):
    async with show(ScriptedSession(live=False, source="talk.wav")) as screen:
        await screen.press("left", "right", "shift+left", "greater_than_sign")
        assert screen.session.calls[-4:] == ["seek -5", "seek 5", "seek -30", "seek 30"]
        said(screen, "first")
        screen.session.tell(Jumped("", 16_000 * 12, 16_000 * 80))
        await screen.shows("first", "— from 0:00:12 to 0:01:20 —")


async def test_a_live_session_has_no_jumps(show):
    async with show() as screen:
        await screen.press("left", "right")
        assert not any(call.startswith("seek") for call in screen.session.calls)
        await screen.press("question_mark")
        assert "Go back 5 s" not in screen.text


async def test_enter_ends_the_utterance(show):
    async with show() as screen:
        await screen.press("enter")
        assert screen.session.calls[-1] == "end_utterance"


async def test_slash_searches_and_n_goes_from_match_to_match(show):
    async with show() as screen:
        said(screen, *(f"number {number} of many" if number % 10 else "Änderung here" for number in range(40)))
        await screen.settle()
        await screen.press("slash")
        await screen.type("änderung")
        await screen.shows("4 matches")
        await screen.press("enter")
        await screen.shows("4 of 4")
        top = screen.view.scroll_offset.y
        await screen.press("N")
        await screen.shows("3 of 4")
        assert not screen.view.following and screen.view.scroll_offset.y < top
        await screen.press("n", "n")
        await screen.shows("1 of 4")
        await screen.press("escape")
        assert "of 4" not in screen.text and screen.view.chosen is None


async def test_matches_are_visible_without_colour(show):
    async with show() as screen:
        said(screen, "the budget", "no", "the Budget again")
        await screen.settle()
        await screen.press("slash")
        await screen.type("budget")
        await screen.press("enter")
        styles = {}
        for y in range(8):
            for segment in screen.view.render_line(y):
                styles.setdefault(segment.text.strip(), segment.style)
        assert styles["budget"].underline and styles["Budget"].reverse
        assert "▸" in screen.text


async def test_a_search_finds_text_that_comes_later(show):
    async with show() as screen:
        said(screen, "one plan")
        await screen.settle()
        await screen.press("slash")
        await screen.type("plan")
        await screen.press("enter")
        screen.session.say("another plan", utterance=1, second=9)
        await screen.settle()
        await screen.press("n")
        await screen.shows("2 of 2")


async def test_a_search_without_matches_says_so(show):
    async with show() as screen:
        said(screen, "words")
        await screen.settle()
        await screen.press("slash")
        await screen.type("zebra")
        await screen.press("enter")
        await screen.shows("no matches")


async def test_y_copies_the_last_utterance(show, monkeypatch):
    copied = []
    monkeypatch.setattr("livecap.tui.clipboard.copy", lambda text: bool(copied.append(text)) or True)
    async with show() as screen:
        await screen.press("y")
        assert copied == [] and "Nothing to copy" in screen.text
        said(screen, "first", "the second one")
        await screen.settle()
        await screen.press("y")
        assert copied == ["the second one"] and "Copied the last utterance to the clipboard." in screen.text


async def test_shift_y_copies_the_whole_transcript(show, monkeypatch):
    copied = []
    monkeypatch.setattr("livecap.tui.clipboard.copy", lambda text: bool(copied.append(text)) or True)
    async with show() as screen:
        await screen.press("Y")
        assert copied == [] and "Nothing to copy" in screen.text
        said(screen, "first", "the second one")
        await screen.settle()
        await screen.press("Y")
        assert copied == ["first\nthe second one\n"]
        assert "Copied the whole transcript to the clipboard." in screen.text


async def test_y_copies_what_the_mouse_selected_without_the_gutter(show, monkeypatch):
    copied = []
    monkeypatch.setattr("livecap.tui.clipboard.copy", lambda text: bool(copied.append(text)) or True)
    async with show() as screen:
        said(screen, "the first utterance", "the second one")
        await screen.settle()
        row = next(number for number, line in enumerate(screen.lines) if "the first" in line)
        await screen.pilot.mouse_down(offset=(14, row))
        await screen.pilot.hover(offset=(18, row + 2))
        await screen.pilot.mouse_up(offset=(18, row + 2))
        await screen.settle()
        await screen.press("y")
        assert copied == ["first utterance\nthe secon"]


async def test_a_double_click_selects_the_utterance_and_nothing_else(show):
    async with show(size=(60, 20)) as screen:
        said(screen, "the first utterance", "the second one, which is so long that it needs another row", "the third")
        await screen.settle()
        row = next(number for number, line in enumerate(screen.lines) if "the second" in line)
        await screen.pilot.click(offset=(16, row), times=2)
        await screen.settle()
        assert screen.app.screen.get_selected_text() == "the second one, which is so long that it needs another row"


async def test_without_a_clipboard_program_the_terminal_copies(show, monkeypatch):
    monkeypatch.setattr("livecap.tui.clipboard.copy", lambda text: False)
    async with show() as screen:
        said(screen, "words")
        await screen.settle()
        await screen.press("y")
        assert screen.app.clipboard == "words" and "through the terminal" in screen.text


async def test_c_shows_captions_and_plus_and_minus_change_their_number(show):
    async with show() as screen:
        said(screen, *(f"sentence number {number}" for number in range(6)))
        screen.session.say("and a partial", " perhaps", utterance=6, second=40)
        await screen.settle()
        await screen.press("c")
        captions = screen.live.query_one(Captions)
        assert [line[1] for line in captions.lines] == ["sentence number 4", "sentence number 5", "and a partial"]
        assert "sentence number 5" in screen.text and "10:02" not in screen.text and "● 00:00:00" in screen.text
        await screen.press("plus", "plus", "minus")
        assert len(captions.lines) == 4
        screen.session.say("and a partial that grew", utterance=6, second=40)
        await screen.settle()
        assert "and a partial that grew" in screen.text
        await screen.press("escape")
        assert "10:02" in screen.text


async def test_captions_can_be_limited_to_stable_text(show):
    settings = Settings(screen=ScreenSettings(caption_lines=1, caption_partial=False))
    async with show(settings=settings) as screen:
        screen.session.say("for sure", " perhaps")
        await screen.settle()
        await screen.press("c")
        assert "for sure" in screen.text and "perhaps" not in screen.text


async def test_z_shows_only_text_and_status(show):
    async with show() as screen:
        said(screen, "one", "two")
        await screen.settle()
        await screen.press("z")
        await screen.settle()
        lines = [line.rstrip() for line in screen.lines]
        assert lines[0].endswith("one") and lines[1].endswith("two") and "Quit" not in screen.text
        await screen.press("z")
        await screen.shows("q Quit")


async def test_times_and_compact_begin_as_the_settings_say(show):
    settings = Settings(screen=ScreenSettings(times="hidden", compact=True, theme="nord"))
    async with show(settings=settings) as screen:
        assert screen.view.times is Times.HIDDEN and screen.view.compact and screen.app.theme == "nord"


async def test_a_theme_that_does_not_exist_is_said_and_not_used(show):
    settings = Settings(screen=ScreenSettings(theme="drakula"))
    async with show(settings=settings, notifications=True) as screen:
        await screen.shows("drakula", "dracula")  # in a few short lines
        assert screen.app.theme == "textual-dark"


async def test_each_change_of_the_theme_is_remembered(show):
    kept = []
    async with show(remember=lambda name, value: kept.append((name, value))) as screen:
        for theme in ("dracula", "textual-dark"):
            await screen.press("T")
            await screen.type(theme)
            await screen.press("enter")
            await screen.wait_for(lambda theme=theme: screen.app.theme == theme)
        assert kept == [("screen.theme", "dracula"), ("screen.theme", "textual-dark")]


@pytest.mark.parametrize("key", ["question_mark", "f1"])
async def test_help_names_every_key_and_closes(show, key):
    async with show(machine=ScriptedMachine(), change=ScriptedChange(), size=(100, 60)) as screen:
        await screen.press(key)
        assert isinstance(screen.app.screen, HelpScreen)
        await screen.shows(
            "Search the transcript", "Mark this moment", "Switch to another input device", "Choose a theme"
        )
        await screen.press("escape")
        assert not isinstance(screen.app.screen, HelpScreen)


async def test_i_shows_diagnostics_that_can_be_copied(show, monkeypatch):
    copied = []
    monkeypatch.setattr("livecap.tui.clipboard.copy", lambda text: bool(copied.append(text)) or True)
    async with show() as screen:
        for second in range(5):
            screen.session.becomes(rtf=0.2, arrived_samples=16_000 * second * 2)
            await screen.settle(seconds=1)
        await screen.press("i")
        await screen.shows("RTF, last steps", "0.200", "Lag, seconds", "0.2 ┤", "xruns")
        await screen.press("y")
        assert "Lag, seconds" in copied[0]
        await screen.press("escape")
        await screen.shows("● 00:00:08")


async def test_d_changes_the_device_and_w_the_expected_words_of_a_running_session(show):
    changes, machine = ScriptedChange(), ScriptedMachine()
    async with show(machine=machine, change=changes) as screen:
        await screen.press("d")
        await screen.shows("MacBook Pro Microphone", "what this machine plays", "dB")
        await screen.press("down")
        await screen.shows("BlackHole 2ch is in use.")
        await screen.press("enter")
        await screen.shows("● 00:00:00")
        await screen.press("w")
        await screen.type("Priya")
        await screen.press("enter")
        await screen.wait_for(lambda: screen.app.settings.context == "Priya" and machine.meters[0].closed)
        assert changes.asked == [({"device": "BlackHole 2ch"}, ""), ({"context": "Priya"}, "")]


async def test_with_two_tracks_tab_chooses_the_one_whose_device_changes(show):
    session, changes = ScriptedSession(), ScriptedChange()
    session.has_tracks(me="MacBook Pro Microphone", them="BlackHole 2ch")
    async with show(session, machine=ScriptedMachine(), change=changes) as screen:
        await screen.press("d")
        await screen.shows("for ▸me   them", "● me", "● them")
        await screen.press("tab")
        await screen.shows("for  me  ▸them")
        await screen.press("enter")
        await screen.shows("MacBook Pro Microphone is already the input of me")
        await screen.press("down", "down", "enter")
        await screen.wait_for(lambda: changes.asked)
        assert [(list(asked), track) for asked, track in changes.asked] == [(["device"], "them")]


async def test_a_click_on_a_hint_presses_its_key(show):
    async with show() as screen:
        await screen.shows("space Pause  m Mark", "^p palette")
        await screen.pilot.click(offset=(screen.lines[-1].index("Mark"), 27))
        await screen.shows("Mark at")


async def test_after_captions_the_keys_of_the_text_work_again(show):
    async with show(size=(80, 20)) as screen:
        said(screen, *(f"number {number} of many" for number in range(40)))
        await screen.press("c", "c")
        assert screen.view.has_focus
        await screen.press("home")
        await screen.shows("number 0 of many")


async def test_hidden_captions_are_laid_out_when_shown(show):
    async with show(size=(60, 15)) as screen:
        screen.session.say("The support team had forty two open tickets at the end of", " the month", track="me")
        await screen.settle()
        await screen.press("c")
        await screen.shows("  me: The support team had forty two open tickets at the", "  end of the month")


async def test_captions_show_the_state_until_there_is_text(show):
    async with show(inline=True) as screen:
        await screen.shows("Listening…")
        screen.session.say("now")
        await screen.settle()
        assert "Listening…" not in screen.text


async def test_l_sets_the_language_and_M_changes_the_model(show):
    changes = ScriptedChange()
    async with show(ScriptedSession(model="tiny"), machine=ScriptedMachine(), change=changes) as screen:
        await screen.press("l")
        await screen.shows("▸ Detect automatically    ● now", "Japanese", "⏎ Choose", "esc Back")
        await screen.type("germ")
        await screen.press("enter")
        await screen.press("M")
        await screen.shows("Qwen/Qwen3-ASR-0.6B", "1.9 GB", "recommended", "too large")
        await screen.press("enter")
        await screen.shows("● 00:00:00")
        await screen.wait_for(lambda: len(changes.asked) == 2)
        assert changes.asked == [({"language": "German"}, ""), ({"model": "Qwen/Qwen3-ASR-0.6B"}, "")]


async def test_what_the_system_refuses_is_a_sentence_and_the_session_goes_on(show):
    machine = ScriptedMachine()

    def refused(*arguments):
        raise PermissionError(13, "Permission denied", "/cache/models")

    async with show(machine=machine, change=refused) as screen:
        machine.models = machine.inputs = refused
        await screen.press("l")
        await screen.type("germ")
        await screen.press("enter")
        await screen.shows("Cannot read or write /cache/models: Permission denied.")
        for key in "Md":
            await screen.press(key)
            await screen.shows("Back", "Cannot read or write /cache/models: Permission denied.")
            await screen.press("escape")
            await screen.shows("● 00:00:00")


async def test_changes_made_while_one_is_at_work_follow_in_order(show):
    may_end, asked = threading.Event(), []

    def change(changes, track):
        asked.append(changes)
        may_end.wait(60)

    async with show(machine=ScriptedMachine(), change=change) as screen:
        for words in ("Priya", "Priya, Anne", "Anne"):
            await screen.press("w", "ctrl+u")
            await screen.type(words)
            await screen.press("enter")
        await screen.wait_for(lambda: asked)
        assert len(asked) == 1
        may_end.set()
        await screen.wait_for(lambda: screen.app.settings.context == "Anne", lambda: str((asked, screen.text)))
    assert asked == [{"context": "Priya"}, {"context": "Priya, Anne"}, {"context": "Anne"}]


async def test_what_is_in_force_can_be_chosen_again_while_another_value_waits(show):
    changes, session = ScriptedChange(), ScriptedSession(source="MacBook Pro Microphone")
    machine = ScriptedMachine()
    machine.models = lambda: [replace(model, is_here=True) for model in ScriptedMachine.models(machine)]
    async with show(session, machine=machine, change=changes) as screen:
        for key, other, in_force in [
            ("l", "German", "Detect automatically"),
            ("M", "Qwen/Qwen3-ASR-1.7B", "Qwen/Qwen3-ASR-0.6B"),
            ("d", "BlackHole 2ch", "MacBook Pro Microphone"),
        ]:
            for row, move in ((other, "down"), (in_force, "home")):
                await screen.press(key)
                await screen.shows("● now")
                await (screen.type(row) if key == "l" else screen.press(move))
                await screen.shows(f"▸ {row}")
                await screen.press("enter")
                await screen.shows("● 00:00:00")
        await screen.wait_for(lambda: len(changes.asked) >= 6, lambda: str(changes.asked))
    assert [list(asked.values())[0] for asked, _ in changes.asked] == [
        *("German", None),
        *("Qwen/Qwen3-ASR-1.7B", "Qwen/Qwen3-ASR-0.6B"),
        *("BlackHole 2ch", "MacBook Pro Microphone"),
    ]


async def test_a_change_that_failed_can_be_asked_for_again(show):
    asked = []

    def refuse(changes, track):
        asked.append(changes)
        raise SettingsError("Not possible now.")

    async with show(machine=ScriptedMachine(), change=refuse) as screen:
        for row, n_asked in (("German", 1), ("Detect automatically", 1), ("German", 2)):
            await screen.press("l")
            await screen.type(row)
            await screen.press("enter")
            await screen.wait_for(lambda n_asked=n_asked: len(asked) == n_asked)
            await screen.shows("⨯ Not possible now.")
    assert asked == [{"language": "German"}] * 2


async def test_a_failed_change_is_shown_as_a_sentence(show):
    def refuse(changes, track):
        raise SettingsError("Not possible now.")

    async with show(machine=ScriptedMachine(), change=refuse) as screen:
        await screen.press("l", "down", "down", "enter")
        await screen.shows("⨯ Not possible now.")


async def test_lists_open_on_what_is_set_and_enter_there_changes_nothing(show):
    changes, session = ScriptedChange(), ScriptedSession(source="BlackHole 2ch", model="Qwen3-ASR-1.7B")
    session.becomes(forced_language="German")
    async with show(session, machine=ScriptedMachine(), change=changes) as screen:
        for key, row in [
            ("d", "▸ BlackHole 2ch"),
            ("M", "▸ Qwen/Qwen3-ASR-1.7B  ● now"),
            ("l", "▸ German                  ● now"),
            ("T", "▸ textual-dark            ● now"),
        ]:
            await screen.press(key)
            await screen.shows(row, "● now", "⏎ Choose", "esc Back")
            await screen.press("enter" if key != "M" else "escape")
            await screen.shows("● 00:00:00")
        assert changes.asked == [] and screen.app.theme == "textual-dark"


async def test_a_language_that_nothing_matches_is_said_and_the_set_one_comes_back(show):
    session = ScriptedSession()
    session.becomes(forced_language="French")
    async with show(session, machine=ScriptedMachine(), change=ScriptedChange()) as screen:
        await screen.press("l")
        await screen.type("zz")
        await screen.shows("Nothing matches 'zz'.")
        await screen.press("backspace", "backspace")
        await screen.shows("▸ French")
        assert "Nothing matches" not in screen.text


async def test_a_download_is_asked_about_before_it_starts(show):
    machine = ScriptedMachine()
    machine.on_download = lambda name, progress: started.append(name)
    started, changes = [], ScriptedChange()
    async with show(machine=machine, change=changes) as screen:
        await screen.press("M")
        await screen.shows("▸ Qwen/Qwen3-ASR-0.6B  ● now")
        await screen.press("down", "enter")
        await screen.shows("Download Qwen/Qwen3-ASR-1.7B, 4.7 GB?", "y Yes")
        await screen.press("enter")
        await screen.shows("▸ Qwen/Qwen3-ASR-1.7B")
        assert not started
        await screen.press("enter", "y")
        await screen.wait_for(lambda: changes.asked)
        assert started == ["Qwen/Qwen3-ASR-1.7B"] and changes.asked == [({"model": "Qwen/Qwen3-ASR-1.7B"}, "")]


async def test_a_download_stops_when_livecap_ends(show):
    begun, ended, may_go_on = threading.Event(), threading.Event(), threading.Event()

    def download(name, progress):
        progress(1, 100)
        begun.set()
        may_go_on.wait(60)
        try:
            progress(1, 100)
        except Cancelled as stop:
            outcomes.append(stop)
            raise
        finally:
            ended.set()

    machine, outcomes = ScriptedMachine(), []
    machine.on_download = download
    async with show(machine=machine, change=ScriptedChange()) as screen:
        await screen.press("M")
        await screen.shows("▸ Qwen/Qwen3-ASR-0.6B  ● now")
        await screen.press("down", "enter", "y")
        await screen.shows("Downloading Qwen/Qwen3-ASR-1.7B.")
        await screen.wait_for(begun.is_set)
        await screen.pilot.press("ctrl+c")
    may_go_on.set()
    assert ended.wait(60) and outcomes


async def test_a_list_does_not_wrap_around(show):
    async with show(machine=ScriptedMachine(), change=ScriptedChange()) as screen:
        await screen.press("d")
        await screen.shows("▸ MacBook", "dB")
        await screen.press("up")
        await screen.shows("▸ MacBook")
        await screen.press("end", "down", "down")
        await screen.shows("▸ [red]Odd")


async def test_while_a_text_is_typed_the_footer_names_the_keys_that_then_work(show):
    async with show(machine=ScriptedMachine(), change=ScriptedChange()) as screen:
        for key, footer in [
            ("m", "⏎ Save  esc Cancel  f1 Help"),
            ("w", "⏎ Save  esc Cancel"),
            ("slash", "⏎ Go to res"),
        ]:
            await screen.press(key)
            await screen.shows(footer)
            assert "space" not in screen.lines[-1] and "?" not in screen.lines[-1] and "/" not in screen.lines[-1]
            await screen.press("escape")
            await screen.shows("space Pause", "? Help")


async def test_a_mark_that_comes_too_late_is_said(show):
    async with show(ScriptedSession(live=False)) as screen:
        await screen.press("m")
        await screen.type("the budget")
        screen.session.becomes(state=State.ENDED)
        await screen.press("enter")
        await screen.shows("⨯ The session ended before this mark was saved, so it is not in the log. the budget")
        assert not any(call.startswith("mark") for call in screen.session.calls)


async def test_while_finishing_the_footer_says_that_q_quits_now(show):
    session = ScriptedSession(ends_on_stop=False)
    async with show(session) as screen:
        await screen.press("q")
        await screen.shows("q Quit now")
        session.becomes(arrived_samples=16_000 * 9)
        await screen.press("q")
        await screen.shows("9 s of sound is not transcribed yet")


async def test_captions_say_how_to_leave(show):
    async with show() as screen:
        said(screen, "words")
        await screen.press("c")
        await screen.shows("Captions. Press c or esc to go back.")
        await screen.press("escape")
        await screen.shows_no("Press c or esc")


async def test_ctrl_z_says_that_a_session_is_not_suspended(show):
    async with show() as screen:
        await screen.press("ctrl+z")
        await screen.shows("livecap is not suspended")


async def test_the_answer_of_the_session_stays_when_a_change_was_taken(show):
    async with show(machine=ScriptedMachine(), change=lambda changes, track: None) as screen:
        await screen.press("w")
        await screen.type("Priya")
        await screen.press("enter")
        screen.session.tell(Notice("From the next pause on: expecting Priya.", 0, "info"))
        await screen.wait_for(lambda: screen.app.settings.context == "Priya")
        await screen.shows("From the next pause on: expecting Priya.")


@pytest.mark.parametrize("width", [80, 120])
async def test_help_has_groups_with_headings(show, width):
    async with show(machine=ScriptedMachine(), change=ScriptedChange(), size=(width, 60)) as screen:
        said(screen, "words")
        await screen.settle()
        await screen.press("question_mark")
        await screen.shows("Keys of this screen", "Listening", "Reading", "Other screens", "Mouse", "esc Close")
        lines = screen.lines
        column = {head: max(line.find(head) for line in lines) for head in ("Listening", "Other screens")}
        assert (column["Other screens"] > column["Listening"] + 40) == (width == 120)


async def test_the_palette_begins_with_the_session_and_has_each_command_once(show):
    options = {"machine": ScriptedMachine(), "change": ScriptedChange(), "size": (100, 60)}
    async with show(ScriptedSession(live=False), **options) as screen:
        titles = [command.title for command in screen.app.get_system_commands(screen.app.screen)]
        assert len(set(titles)) == len(titles)
        await screen.press("ctrl+p")
        await screen.wait_for(lambda: "Mark" in screen.text)
        shown = [line.split()[0] for line in screen.lines if line.strip()]
        assert shown.index("Pause") < shown.index("Mark") < shown.index("Search")


async def test_without_a_machine_nothing_can_be_changed(show):
    async with show() as screen:
        for key in "dlMw":
            await screen.press(key)
        assert len(screen.app.screen_stack) == 1 and not screen.live.query_one("#ask").display


@pytest.mark.parametrize(
    ("seconds", "why"),
    [
        (9, "9 s of sound is not transcribed yet. livecap recover transcribes it later."),
        (0, "The session is still being finished."),  # no lag is counted while the last step is computed
    ],
)
async def test_q_asks_before_it_leaves_a_session_that_has_not_ended(show, seconds, why):
    session = ScriptedSession(ends_on_stop=False)
    async with show(session) as screen:
        session.becomes(arrived_samples=16_000 * seconds)
        await screen.press("q", "q")
        await screen.shows(*why.split(" recover "), "Leave anyway?", "y yes")
        await screen.press("n")
        assert screen.app.is_running and session.calls == ["start", "stop"]
        await screen.press("q")
        await screen.pilot.press("y")
    assert screen.app.return_value == "abandoned"


@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+q"])
async def test_the_usual_keys_leave_an_unfinished_session_where_another_one_is_set(show, key):
    settings = Settings(keys={"leave": "f10"})
    async with show(ScriptedSession(ends_on_stop=False), settings=settings) as screen:
        await screen.press("q", "q")
        await screen.shows("Leave anyway?")
        await screen.pilot.press(key)
    assert screen.app.return_value == "abandoned"


async def test_keys_can_be_changed_in_the_settings(show):
    async with show(settings=Settings(keys={"pause": "p", "mark": "f5,K"})) as screen:
        await screen.shows("p Pause", "f5 Mark")
        await screen.press("space")
        assert "pause" not in screen.session.calls
        await screen.press("p")
        await screen.press("p")
        assert screen.session.calls[-2:] == ["pause", "resume"]


async def find_two(screen):
    """Say "one two three", and search for "two"."""
    screen.session.say("one two three", final=True)
    await screen.settle()
    await screen.press("slash")
    await screen.type("two")
    await screen.press("enter")


async def test_sentences_on_the_screen_name_the_keys_of_the_user(show):
    keys = {"pause": "p", "next": "f7", "previous": "f6", "dismiss": "f5", "device.refresh": "f8", "model": "f9"}
    settings, machine = Settings(keys=keys), ScriptedMachine()
    machine.listed = []
    session = ScriptedSession(model="tiny")
    async with show(session, settings=settings, machine=machine, change=ScriptedChange()) as screen:
        await screen.shows("For real use press f9")
        await screen.press("p")
        await screen.shows("Paused. Press p to resume.")
        await screen.press("p", "d")
        await screen.shows("Connect a microphone and press f8.")
        await screen.press("escape")
        await find_two(screen)
        await screen.shows("1 of 1   f7 next   f6 previous   f5 close")


async def test_a_command_without_a_key_is_only_in_the_palette(show):
    keys = dict.fromkeys(["pause", "mark", "next", "dismiss", "captions", "device.refresh", "model", "help"], "")
    settings, machine = Settings(keys=keys), ScriptedMachine()
    machine.listed = []
    session = ScriptedSession(model="tiny")
    async with show(session, settings=settings, machine=machine, change=ScriptedChange()) as screen:
        assert "press ^p and choose Model and choose Qwen3-ASR." in " ".join(screen.text.split())
        assert screen.lines[-1].split() == ["/", "Search", "q", "Quit", "^p", "palette"]
        await screen.press("ctrl+p")
        await screen.shows("Mark this moment, with a note if you like")
        await screen.type("pause")
        await screen.shows("Pause; the clock stops")
        assert "no-key" not in screen.text
        await screen.press("enter")
        await screen.shows("Paused. Press ^p and choose Resume to resume.")
        await screen.press("d")
        await screen.shows("Connect a microphone and press ^p and choose Refresh.")
        await screen.press("escape")
        await find_two(screen)
        await screen.shows("1 of 1   N previous")
        assert "close" not in screen.text


async def test_a_command_without_a_key_is_not_in_the_help(show):
    async with show(settings=Settings(keys={"pause": "", "palette": ""}), size=(100, 60)) as screen:
        await screen.shows("m Mark  / Search")
        assert "palette" not in screen.lines[-1]
        await screen.press("question_mark")
        await screen.shows("Mark this moment")
        assert "the clock stops" not in screen.text and "Find a command" not in screen.text
        await screen.press("escape")
        screen.session.becomes(state=State.PAUSED)
        await screen.settle()
        await screen.shows("Paused. Press (no key) to resume.")


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"pauze": "p"}, "there is no command 'pauze'. Did you mean 'pause'?"),
        ({"pause": "spacebar"}, "there is no key 'spacebar' (for 'pause'). Did you mean 'space'?"),
        ({"pause": "m"}, "the key 'm' is given to 'pause' and to 'mark'."),
        ({"pause": "hyper+p"}, "there is no key 'hyper+p'"),
        ({"session.play": "n"}, "the key 'n' is given to 'next' and to 'session.play'."),
        ({"sessions.rename": "T"}, "the key 'T' is given to 'sessions.rename' and to 'theme'."),
        ({"mark": "ctrl+m"}, "the key 'enter' is given to 'mark' and to 'paragraph'."),
        ({"mark": "Return"}, "the key 'enter' is given to 'mark' and to 'paragraph'."),
        ({"mark": "f5,shift+t"}, "the key 'T' is given to 'mark' and to 'theme'."),
        ({"mark": "ctrl+["}, "is given to 'mark' and to 'dismiss'."),
        ({"device.refresh": "ctrl+i"}, "is given to 'device.refresh' and to 'device.track'."),
        ({"mute": "ctrl+space", "times": "ctrl+@"}, "'ctrl+space' (ctrl+@) is given to 'times' and to 'mute'."),
        ({"mark": "shift+1"}, "there is no key 'shift+1' (for 'mark')."),
        ({"mark": "<any>"}, "there is no key '<any>' (for 'mark')."),
    ],
)
def test_a_mistake_in_the_keys_is_named(keys, sentence):
    with pytest.raises(SettingsError) as trouble:
        checked_keymap(keys, "[keys]")
    assert sentence in str(trouble.value)


@pytest.mark.parametrize(
    ("written", "plain", "kitty"),
    [
        ("ctrl+B", "\x02", "\x1b[98;5u"),
        ("Ctrl+b", "\x02", "\x1b[98;5u"),
        ("ctrl+space", "\0", "\x1b[32;5u"),
        ("ctrl+@", "\0", None),
        ("ctrl+at", "\0", None),
        ("ctrl+i", "\t", "\x1b[105;5u"),
        ("ctrl+m", "\r", "\x1b[109;5u"),
        ("ctrl+h", "\x08", "\x1b[104;5u"),
        ("ctrl+/", "\x1f", "\x1b[47;5u"),
        ("return", "\r", "\x1b[13u"),
        ("shift+t", "T", "\x1b[116;2;84u"),
        ("shift+é", "É", "\x1b[233;2;201u"),
        ("alt+ctrl+b", None, "\x1b[98;7u"),
        ("ctrl+alt+b", None, "\x1b[98;7u"),
        ("alt+B", None, "\x1b[98;4u"),
        ("ctrl+shift+b", None, "\x1b[98;6u"),
        ("shift+space", None, "\x1b[32;2;32u"),
        ("+", "+", "\x1b[43;1;43u"),
        (" ", " ", "\x1b[32;1;32u"),
        ("Space", " ", "\x1b[32;1;32u"),
        ("F5", "\x1b[15~", "\x1b[15~"),
    ],
)
def test_a_key_of_the_settings_is_what_terminals_send(written, plain, kitty):
    without_defaults = {"paragraph": "", "pause": "", "theme": "", "more-lines": ""}
    keys = checked_keymap({**without_defaults, "mark": written}, "[keys]")["mark"].split(",")
    for sent in filter(None, (plain, kitty)):
        [event] = XTermParser().feed(sent)
        assert event.key in keys


@pytest.mark.parametrize("key", ["x", "X", "shift+x", "?", " ", "space", "7", "é", "enter", "ctrl+m", "f10,backspace"])
def test_a_key_that_is_pressed_while_text_is_typed_cannot_leave(key):
    with pytest.raises(SettingsError, match="cannot leave livecap, since it is pressed while text is typed"):
        checked_keymap({"leave": key, "theme": "", "pause": "", "paragraph": "", "help": ""}, "[keys]")


@pytest.mark.parametrize("key", ["f10", "ctrl+x", "ctrl+q,f10", ""])
def test_another_key_can_leave(key):
    assert checked_keymap({"leave": key}, "[keys]")


def test_several_commands_may_have_no_key():
    checked_keymap({"pause": "", "mark": "", "sessions.delete": "", "session.play": "p"}, "[keys]")


def test_every_command_has_a_key_a_name_and_a_sentence():
    found = commands()
    assert len({command.name for command in found}) == len(found)
    for command in found:
        assert command.keys and command.about[0].isupper() and not command.about.endswith("."), command


async def test_the_palette_has_every_key_of_the_screen(show):
    async with show(machine=ScriptedMachine(), change=ScriptedChange()) as screen:
        titles = {command.title for command in screen.app.get_system_commands(screen.app.screen)}
        assert titles >= {"Pause", "Mark", "Search", "Device", "Captions", "Export", "Help", "Quit", "Theme", "Copy"}
        assert isinstance(screen.app, LivecapApp)
        await screen.press("ctrl+p")
        await screen.type("captions")
        await screen.press("enter")
        await screen.wait_for(lambda: screen.live.captioned)
        assert screen.live.captioned


async def test_the_palette_goes_down_by_pages(show):
    async with show(machine=ScriptedMachine(), change=ScriptedChange()) as screen:
        await screen.press("ctrl+p")
        commands = screen.app.screen.query_one(CommandList)
        await screen.wait_for(lambda: commands.highlighted == 0 and "Pause" in screen.text)
        await screen.press("pagedown")
        assert commands.highlighted > 1
        await screen.press("pageup")
        assert commands.highlighted == 0
