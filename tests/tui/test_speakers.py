"""Speakers on the screen: labels, dim while provisional, divided utterances, and names."""

import pytest

from livecap.archive.recorded import RecordedSession
from livecap.session.status import State
from livecap.transcript import SpeakerNamed, SpeakersHeard, SpeakersMerged, TranscriptUpdate, Voice, Word
from livecap.tui.app import LivecapApp
from livecap.tui.screens.session_screen import SessionScreen
from tests.archive import facts
from tests.archive.test_speakers import TALK
from tests.tui.scripted_session import ScriptedSession
from tests.tui.shown import Shown

SECOND = 16_000
TEXTS = ["Shall we begin?", "Yes, of course. Who has it?", "Me."]


def say(session, number, text, track=""):
    """A finished utterance of 4 s, one every 5 s."""
    start, texts = 5 * number * SECOND, text.split()
    each = 4 * SECOND // len(texts)
    words = tuple(Word(word, start + n * each, start + (n + 1) * each, "step") for n, word in enumerate(texts))
    session.tell(TranscriptUpdate(track, number, text, "", start, start + 4 * SECOND, "English", True, words))


def heard(session, number, *voices, settled=False, track=""):
    """Voices as (start, end, speaker), in seconds after the start of the utterance."""
    at = 5 * number
    found = tuple(Voice(round((at + a) * SECOND), round((at + b) * SECOND), who) for a, b, who in voices)
    session.tell(SpeakersHeard(track, number, found, settled))


def rows(screen):
    """Label and text of each paragraph that is visible, from the top."""
    return [(p.label, p.text) for p in screen.view.paragraphs if p.text.strip()]


async def test_labels_appear_with_the_second_voice_and_stand_beside_each_turn(show):
    async with show() as screen:
        say(screen.session, 0, TEXTS[0])
        heard(screen.session, 0, (0, 4, 0))
        await screen.settle()
        assert "  A  " not in screen.text and rows(screen) == [("", TEXTS[0])]
        say(screen.session, 1, TEXTS[1])
        heard(screen.session, 1, (0, 4, 1))
        await screen.settle()
        assert "10:02 A  Shall we begin?" in screen.text and " B  Yes, of course." in screen.text


async def test_a_provisional_label_is_dim_until_it_is_settled(show):
    def style_of(screen, label):
        strip = next(strip for strip in screen.strips if f" {label}  " in "".join(s.text for s in strip)[:14])
        return next(segment.style for segment in strip if segment.text.strip() == label)

    async with show() as screen:
        for number, text in enumerate(TEXTS):
            say(screen.session, number, text)
            heard(screen.session, number, (0, 4, min(number, 1)))
        await screen.settle()
        dim = style_of(screen, "A")
        assert not dim.bold
        heard(screen.session, 0, (0, 4, 0), settled=True)
        await screen.settle()
        assert style_of(screen, "A").bold and not style_of(screen, "B").bold
        assert style_of(screen, "A").color != dim.color
        heard(screen.session, 1, settled=True)
        await screen.settle()
        assert style_of(screen, "B").bold, "nothing else was heard, so the first impression stays"


async def test_an_utterance_of_two_speakers_is_divided_between_words(show):
    async with show() as screen:
        for number, text in enumerate(TEXTS):
            say(screen.session, number, text)
        heard(screen.session, 0, (0, 4, 0))
        heard(screen.session, 1, (0, 1.9, 1), (1.9, 4, 0))
        heard(screen.session, 2, (0, 4, 1))
        await screen.settle()
        assert rows(screen) == [
            ("A", TEXTS[0]),
            ("B", "Yes, of course."),
            ("A", "Who has it?"),
            ("B", TEXTS[2]),
        ]
        assert screen.text.index("Yes, of course.") < screen.text.index("Who has it?") < screen.text.index("Me.")
        await screen.press("slash")
        await screen.type("who has")
        assert "1 match" in screen.text


async def test_a_label_that_is_shown_changes_at_most_once(show):
    async with show() as screen:
        for number, text in enumerate(TEXTS):
            say(screen.session, number, text)
            heard(screen.session, number, (0, 4, number % 2))
        heard(screen.session, 2, (0, 4, 1))
        await screen.settle()
        assert rows(screen)[2] == ("B", TEXTS[2]), "changed once"
        heard(screen.session, 2, (0, 4, 0), settled=True)
        await screen.settle()
        assert rows(screen)[2] == ("B", TEXTS[2]), "and not again"


async def test_parts_that_were_one_speaker_after_all_are_one_paragraph_again(show):
    async with show() as screen:
        for number, text in enumerate(TEXTS[:2]):
            say(screen.session, number, text)
            heard(screen.session, number, (0, 1.9, 1), (1.9, 4, 0))
        heard(screen.session, 1, (0, 4, 1), settled=True)
        await screen.settle()
        assert rows(screen)[-1] == ("B", TEXTS[1]) and screen.text.count("Who has it?") == 1


async def test_an_open_utterance_keeps_growing_under_its_label(show):
    async with show() as screen:
        say(screen.session, 0, TEXTS[0])
        heard(screen.session, 0, (0, 4, 0))
        screen.session.say("Yes, of", " course", utterance=1, second=5)
        await screen.settle()
        heard(screen.session, 1, (0, 2, 1))
        screen.session.say("Yes, of course.", " Who", utterance=1, second=5)
        await screen.settle()
        assert rows(screen)[1] == ("B", "Yes, of course. Who")


async def test_r_names_the_last_speaker_for_the_whole_session(show):
    async with show() as screen:
        for number, text in enumerate(TEXTS):
            say(screen.session, number, text)
            heard(screen.session, number, (0, 4, number % 2))
        await screen.settle()
        await screen.press("r")
        assert "Name of speaker A:" in screen.text
        await screen.type("Priya")
        await screen.press("enter")
        assert screen.session.calls[-1] == "speaker 0 is 'Priya'"
        await screen.settle()
        assert [label for label, _ in rows(screen)] == ["Priya", "B", "Priya"]
        await screen.press("r", *["backspace"] * 5)
        await screen.type("b=Tom")
        await screen.press("enter")
        assert screen.session.calls[-1] == "speaker 1 is 'Tom'"
        await screen.press("r", *["backspace"] * 5)
        await screen.type("x" * 61)
        await screen.press("enter")
        await screen.shows("A name has at most 60 characters, not 61.")
        assert screen.session.calls[-1] == "speaker 1 is 'Tom'", "a name that is too long changes nothing"


async def test_a_click_on_a_label_names_that_speaker(show):
    async with show() as screen:
        for number, text in enumerate(TEXTS):
            say(screen.session, number, text)
            heard(screen.session, number, (0, 4, number % 2))
        await screen.settle()
        row = next(number for number, line in enumerate(screen.lines) if " B  Yes" in line)
        await screen.pilot.click(offset=(9, row))
        await screen.settle()
        assert "Name of speaker B:" in screen.text


async def test_a_click_after_the_end_asks_for_nothing_that_cannot_be_saved(show):
    async with show(ScriptedSession(live=False)) as screen:
        for number, text in enumerate(TEXTS):
            say(screen.session, number, text)
            heard(screen.session, number, (0, 4, number % 2))
        screen.session.becomes(state=State.ENDED)
        await screen.settle()
        row = next(number for number, line in enumerate(screen.lines) if " B  Yes" in line)
        for column, sentence in (
            (2, "The session has ended, so no moment of it can be marked."),
            (9, "The session has ended. Press s to name the speaker in it."),
        ):
            await screen.pilot.click(offset=(column, row))
            await screen.shows(sentence)
            assert not screen.live.ask_line.display


async def test_without_labels_r_says_how_to_get_them(show):
    async with show() as screen:
        say(screen.session, 0, TEXTS[0])
        await screen.press("r")
        await screen.shows("No speaker is labelled yet. livecap --speakers labels who speaks.")


@pytest.mark.parametrize("size", [(100, 28), (50, 20)], ids=["gutter", "narrow"])
async def test_speakers_of_a_track_stand_where_the_tracks_label_stood(show, size):
    session = ScriptedSession()
    session.has_tracks(me="Mic", them="Call")
    async with show(session, size=size) as screen:
        say(session, 0, "Hello there.", track="me")
        heard(session, 0, (0, 4, 0), track="me")
        for number, text in enumerate(TEXTS[1:], 1):
            say(session, number, text, track="them")
            heard(session, number, (0, 4, number), track="them")
        await screen.settle()
        assert [label for label, _ in rows(screen)] == ["me", "B", "C"]
        session.tell(SpeakersMerged(2, 1))
        await screen.settle()
        assert [label for label, _ in rows(screen)] == ["me", "them", "them"]


async def test_a_past_session_is_named_on_its_screen_and_in_its_log(tmp_path):
    folder = facts.write(tmp_path, TALK)
    app = LivecapApp(SessionScreen(RecordedSession(folder), lambda: 0.0))
    async with app.run_test(size=(100, 28)) as pilot:
        screen = Shown(app, pilot)
        await screen.shows("▸", " A  Shall we begin?", " B  Yes, of course.")
        await screen.press("down", "r")
        assert "Name of speaker B:" in screen.text
        await screen.type("Priya")
        await screen.press("enter")
        await screen.shows("Priya  Yes, of course.", "Priya  Me.")
        await screen.press("r", *["backspace"] * 5)
        await screen.type("x" * 61)
        await screen.press("enter")
        await screen.shows("A name has at most 60 characters, not 61.")
    assert RecordedSession(folder).speakers == ["A", "Priya"]
    assert "Priya: Me." in (folder / "transcript.md").read_text()


async def test_captions_have_the_speaker_who_says_most(show):
    async with show() as screen:
        for number, text in enumerate(TEXTS):
            say(screen.session, number, text)
        heard(screen.session, 0, (0, 4, 0))
        heard(screen.session, 1, (0, 3, 1), (3, 4, 0))
        heard(screen.session, 2, (0, 4, 0))
        await screen.settle()
        await screen.press("c")
        await screen.shows("A: Shall we begin?", "B: Yes, of course. Who has it?", "A: Me.")


async def test_three_speakers_have_three_colours_in_captions(show):
    async with show() as screen:
        for number, text in enumerate(TEXTS):
            say(screen.session, number, text)
            heard(screen.session, number, (0, 4, number))
        await screen.settle()
        await screen.press("c")
        await screen.shows("A: Shall we begin?", "B: Yes, of course. Who has it?", "C: Me.")
        drawn = [segment for strip in screen.strips for segment in strip]
        colours = {segment.style.color for segment in drawn if segment.text in ("A: ", "B: ", "C: ")}
        assert len(colours) == 3


@pytest.mark.parametrize("names", [{0: "Tom", 1: "Tom"}, {0: "B"}], ids=["same", "letter"])
async def test_a_name_like_that_of_another_speaker_does_not_join_them_in_a_past_session(tmp_path, names):
    folder = facts.write(tmp_path, [*TALK, *(SpeakerNamed(number, name) for number, name in names.items())])
    app = LivecapApp(SessionScreen(RecordedSession(folder), lambda: 0.0))
    async with app.run_test(size=(100, 28)):
        said = [paragraph.number for paragraph in app.screen.view.paragraphs if paragraph.speaker]
    assert said == [0, 1, 0, 1]
