"""The live screen: keys, states, notices, leaving."""

import pytest

from livecap.errors import LogError
from livecap.session.status import State
from livecap.transcript import Notice
from tests.tui.scripted_session import ScriptedSession
from tests.tui.shown import Shown


async def test_the_app_starts_the_session(show):
    async with show() as screen:
        assert screen.session.calls == ["start"]
        assert "Listening…" in screen.text


async def test_space_pauses_and_resumes(show):
    async with show() as screen:
        await screen.shows("space Pause")
        await screen.press("space")
        assert screen.session.calls == ["start", "pause"]
        await screen.shows("‖ paused", "space Resume")
        await screen.press("space")
        assert screen.session.calls == ["start", "pause", "resume"]
        await screen.shows("● 00:00:00", "space Pause")


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
async def test_quit_stops_the_session_and_leaves_when_it_has_ended(show, key):
    session = ScriptedSession(ends_on_stop=False)
    async with show(session) as screen:
        await screen.press(key)
        assert session.calls == ["start", "stop"] and "… finishing" in screen.text
        assert screen.app.is_running
        session.say("the last words", final=True)
        session.becomes(state=State.ENDED)
        await screen.settle()
    assert screen.app.return_value == "finished"


async def test_a_session_that_another_program_ends_leaves_the_screen(show):
    session = ScriptedSession()
    async with show(session) as screen:
        session.becomes(state=State.FINISHING, stopping=True)
        await screen.settle()
        assert screen.app.is_running and "… finishing" in screen.text
        session.becomes(state=State.ENDED)
        await screen.settle()
    assert screen.app.return_value == "finished" and session.calls == ["start"]


async def test_pressing_ctrl_c_twice_leaves_at_once(show):
    session = ScriptedSession(ends_on_stop=False)
    async with show(session) as screen:
        await screen.press("ctrl+c")
        await screen.pilot.press("ctrl+c")
    assert screen.app.return_value == "abandoned" and session.calls == ["start", "stop"]


async def test_a_signal_ends_the_session_like_q(show):
    session = ScriptedSession(ends_on_stop=False)
    async with show(session) as screen:
        screen.live.request_quit()
        await screen.settle()
        assert session.calls == ["start", "stop"]
        screen.live.request_quit()
        screen.live.poll()
        await screen.pilot.pause(0)
    assert screen.app.return_value == "abandoned"


async def test_the_screen_stays_after_the_end_of_a_recording(show):
    async with show(ScriptedSession(live=False)) as screen:
        screen.session.say("all of it", final=True)
        screen.session.becomes(state=State.ENDED)
        await screen.settle()
        await screen.shows("■ ended", "all of it", "/ Search", "q Quit")
        assert "Pause" not in screen.text
        await screen.pilot.press("q")
    assert screen.app.return_value == "finished" and screen.session.calls == ["start"]


async def test_a_failure_is_shown_as_a_sentence_and_the_screen_stays(show):
    async with show() as screen:
        screen.session.say("what was said", final=True)
        screen.session.becomes(state=State.FAILED, error="The checkpoint is damaged. Delete it and start again.")
        await screen.settle()
        assert "⨯ The checkpoint is damaged. Delete it and start again." in screen.text
        assert "⨯ failed" in screen.text and "what was said" in screen.text
        await screen.press("up")
        await screen.press("q")
    assert screen.app.return_value == "finished"


async def test_a_log_that_fails_on_pause_is_shown_as_a_sentence(show, monkeypatch):
    async with show() as screen:

        def full():
            raise LogError("No space left for the log.")

        monkeypatch.setattr(screen.session, "pause", full)
        await screen.press("space")
        assert "No space left for the log." in screen.text


async def test_a_notice_is_shown_for_a_while_and_an_error_until_escape(show):
    async with show() as screen:
        screen.session.tell(Notice("The microphone left.", 0))
        await screen.settle()
        assert "▲ The microphone left." in screen.text
        await screen.settle(seconds=30)
        assert "The microphone left." not in screen.text
        screen.session.tell(Notice("The disk is full.", 0, "error"))
        screen.session.tell(Notice("Something small.", 0))
        await screen.settle(seconds=300)
        assert "⨯ The disk is full." in screen.text and "Something small." not in screen.text
        await screen.press("escape")
        assert "The disk is full." not in screen.text


async def test_a_dismissed_failure_does_not_come_back(show):
    async with show() as screen:
        screen.session.becomes(state=State.FAILED, error="It failed.")
        await screen.settle()
        await screen.press("escape")
        assert "It failed." not in screen.text


async def test_a_long_notice_wraps_and_is_not_cut(show):
    async with show(size=(60, 20)) as screen:
        screen.session.tell(Notice("No input named Yeti. " * 4 + "Try livecap devices.", 0, "error"))
        await screen.settle()
        assert "Try livecap devices." in " ".join(screen.text.split())


async def test_the_tiny_model_is_announced_as_a_demo(show):
    async with show(ScriptedSession(model="tiny")) as screen:
        sentence = (
            "tiny is only a demo: it understands clear synthetic English. For real use press M and choose Qwen3-ASR."
        )
        assert sentence in " ".join(screen.text.split())
        assert "tiny (demo model)" in screen.text
        await screen.settle(seconds=60)
        assert "synthetic" not in screen.text and "tiny (demo model)" in screen.text


async def test_it_works_in_a_small_terminal(show):
    async with show(size=(60, 14)) as screen:
        screen.session.say("the text is the app")
        screen.session.becomes(level=0.5)
        await screen.settle()
        assert "the text is the app" in screen.text and "● 00:00:00" in screen.text
        assert "━" not in screen.text and "Quit" not in screen.text
        await screen.pilot.resize_terminal(60, 15)
        await screen.settle()
        await screen.shows("━", "q Quit")


async def test_no_size_breaks_it(show):
    async with show(ScriptedSession(model="tiny")) as screen:
        for number in range(20):
            screen.session.say("some words and 字字字 👍 " * 5, " more", utterance=number, track="them")
        screen.session.tell(Notice("A sentence of some length.", 0))
        screen.session.becomes(level=0.5, rtf=0.2, language="English", n_gaps=2, gap_samples=9_000)
        for size in [(20, 5), (2, 2), (1, 1), (200, 60)]:
            await screen.pilot.resize_terminal(*size)
            await screen.press("up", "t", "end")


async def test_it_works_without_colour(show, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with show() as screen:
        screen.session.say("for sure", " perhaps")
        await screen.settle()
        assert "for sure perhaps" in screen.text


async def test_the_footer_has_at_most_six_keys(show):
    async with show() as screen:
        await screen.shows("space Pause  m Mark  / Search  c Captions  q Quit  ? Help", "^p palette")
        assert len(screen.lines[-1].split()) <= 14


async def test_text_is_shown_while_the_palette_is_open(show):
    async with show() as screen:
        await screen.press("ctrl+p")
        for number in range(40):
            screen.session.say("some words", utterance=number, final=True)
        await screen.settle()
        await screen.press("escape", "up")
        screen.session.say("more", utterance=40)
        await screen.settle()
        assert len(screen.view.rows) == 41 and "↓ 1 new line" in screen.text


async def test_in_silence_and_while_paused_the_screen_is_polled_less_often_but_text_is_not_late(show):
    async with show() as screen:
        screen.session.becomes(level=0.0)
        await screen.settle()
        await screen.settle()
        rates = []
        for changes in ({"level": 0.2}, {"level": 0.0}, {"level": 0.2, "state": State.PAUSED}):
            screen.session.becomes(**changes)
            await screen.settle()
            rates.append(screen.live.frames_per_second)
        assert rates == [15, 4, 4]
        drawn = []
        poll, screen.live.poll = screen.live.poll, lambda: (drawn.append(1), poll())
        screen.session.say("words")
        await Shown.settle(screen)
        assert drawn and "words" in screen.text
