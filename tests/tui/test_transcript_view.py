"""The transcript view: which rows move, what is redrawn, times and labels."""

import threading

import pytest
from rich.cells import cell_len
from rich.color import ColorSystem
from textual.events import MouseScrollUp
from textual.theme import BUILTIN_THEMES

from livecap.settings.fields import ScreenSettings, Settings
from livecap.transcript import AudioGap, Jumped, Marked, Paused, Resumed
from livecap.tui.widgets.caption_lines import Captions
from tests.tui.scripted_session import STARTED, ScriptedSession

SYSTEMS = {"standard": ColorSystem.STANDARD, "256": ColorSystem.EIGHT_BIT, "truecolor": ColorSystem.TRUECOLOR}
LONG = "we agreed to move the launch to the second week of march and nobody sees a problem with it "


def fill(session, n, text=LONG):
    for number in range(n):
        session.say(f"{number}: {text}".strip(), utterance=number, second=number * 5, final=True)


async def test_stable_rows_stay_while_the_partial_grows(show):
    async with show() as screen:
        stable, seen = "", []
        for step in range(14):
            stable += f"word{step} and two more "
            for size in (1, 7):
                screen.session.say(stable, "maybe " * size)
                await screen.settle()
                rows = [stable_text for stable_text, _ in screen.view.rows]
                for index, row in enumerate(seen):
                    assert rows[index].startswith(row)
                seen = [row.rstrip() for row in rows if row]
        assert len(seen) > 3


async def test_partial_is_dim_and_italic_and_stable_is_neither(show):
    async with show() as screen:
        screen.session.say("for sure", " perhaps")
        await screen.settle()
        [strip] = [screen.view.render_line(y) for y in range(3) if "for sure" in screen.view.render_line(y).text]
        styles = {segment.text.strip(): segment.style for segment in strip}
        assert styles["perhaps"].italic and styles["perhaps"].dim
        assert not styles["for sure"].italic and not styles["for sure"].dim


@pytest.mark.parametrize("theme", ["textual-dark", "ansi-dark", "ansi-light"])
@pytest.mark.parametrize("colours", ["standard", "256", "truecolor"])
async def test_partial_text_and_times_are_fainter_than_stable_text_in_every_terminal(show, theme, colours, monkeypatch):
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", colours)
    async with show(settings=Settings(screen=ScreenSettings(theme=theme))) as screen:
        screen.session.say("for sure", " perhaps")
        await screen.settle()
        await screen.settle()
        [strip] = [strip for strip in screen.strips if "for sure" in strip.text]
        codes = {segment.text.strip(): segment.style.render("x", color_system=SYSTEMS[colours]) for segment in strip}
        without_italic = {text: code.replace("3;", "", 1) if ";3;" in code else code for text, code in codes.items()}
        assert without_italic["for sure"] != without_italic["perhaps"], codes
        assert without_italic["for sure"] != codes["10:02"]
        if colours == "standard" or theme.startswith("ansi"):
            assert "\x1b[2;3" in codes["perhaps"] and "\x1b[2" in codes["10:02"] and "\x1b[2" not in codes["for sure"]


async def test_only_changed_rows_are_drawn_again(show, monkeypatch):
    async with show() as screen:
        screen.session.say(LONG * 2, "per")
        await screen.settle()
        drawn = []
        monkeypatch.setattr(screen.view, "refresh_line", drawn.append)
        screen.session.say(LONG * 2, "perhaps")
        await screen.settle()
        assert drawn == [len(screen.view.rows) - 1]


async def test_scrolling_up_stops_following_and_end_resumes(show):
    async with show() as screen:
        fill(screen.session, 30)
        await screen.settle()
        assert screen.view.following and "29: we" in screen.text
        await screen.press("up")
        assert not screen.view.following
        top = screen.view.scroll_offset.y
        screen.session.say(LONG * 2, utterance=30, second=200)
        await screen.settle()
        assert screen.view.scroll_offset.y == top
        await screen.press("end")
        assert screen.view.following and screen.view.scroll_offset.y == screen.view.max_scroll_y
        screen.session.say(LONG * 6, utterance=30, second=200)
        await screen.settle()
        assert screen.view.scroll_offset.y == screen.view.max_scroll_y


async def test_new_lines_are_counted_while_not_following(show):
    async with show() as screen:
        fill(screen.session, 30)
        await screen.settle()
        await screen.press("pageup")
        assert "new line" not in screen.text
        screen.session.say("one", utterance=30, second=200)
        await screen.settle()
        assert "↓ 1 new line\n" in screen.text
        screen.session.say("one " + LONG, utterance=30, second=200)
        await screen.settle()
        assert "↓ 2 new lines" in screen.text
        await screen.pilot.resize_terminal(120, 28)
        await screen.settle()
        assert "new line" in screen.text
        await screen.press("end")
        assert "new line" not in screen.text


async def test_scrolling_down_to_the_end_follows_again(show):
    async with show() as screen:
        fill(screen.session, 30)
        await screen.settle()
        await screen.press("up", "up")
        assert not screen.view.following
        await screen.press("down", "down")
        assert screen.view.following


async def test_keys_scroll(show):
    async with show() as screen:
        fill(screen.session, 30)
        await screen.settle()
        end, page = screen.view.max_scroll_y, screen.view.size.height
        for key, top in [
            *[("up", end - 1), ("k", end - 2), ("j", end - 1), ("down", end)],
            *[("pageup", end - page), ("pagedown", end), ("home", 0), ("end", end), ("g", 0), ("G", end)],
        ]:
            await screen.press(key)
            assert screen.view.scroll_offset.y == top, key


async def test_the_mouse_wheel_scrolls(show):
    async with show() as screen:
        fill(screen.session, 30)
        await screen.settle()
        await screen.pilot._post_mouse_events([MouseScrollUp], screen.view, button=0)
        await screen.settle()
        assert not screen.view.following and screen.view.scroll_offset.y < screen.view.max_scroll_y


async def test_five_thousand_utterances_are_scrolled_and_grow(show):
    async with show() as screen:
        fill(screen.session, 5_000)
        await screen.settle()
        assert "4999: we" in screen.text
        await screen.press("home")
        assert " 0: we" in screen.text
        await screen.press("end")
        screen.session.say("the last one", utterance=5_000, second=30_000)
        await screen.settle()
        assert "the last one" in screen.text


async def test_a_new_width_wraps_again_and_keeps_the_place(show):
    async with show() as screen:
        fill(screen.session, 60, LONG * 3)
        await screen.settle()
        await screen.press("home", *["pagedown"] * 4)
        first = next(line for line in screen.lines if ": we" in line).split(":")[0].split()[-1]
        await screen.pilot.resize_terminal(64, 28)
        await screen.settle()
        assert not screen.view.following
        shown = [line.split(":")[0].split()[-1] for line in screen.lines if ": we" in line]
        assert abs(int(shown[0]) - int(first)) <= 1
        assert all(cell_len(line) == 64 for line in screen.lines)
        await screen.press("end")
        await screen.pilot.resize_terminal(140, 40)
        await screen.settle()
        assert screen.view.following and "59: we" in screen.text


async def test_wall_time_is_shown_when_the_minute_changes(show):
    async with show() as screen:
        for number, second in enumerate((0, 20, 59, 61, 130)):
            screen.session.say(f"at {second}", utterance=number, second=second, final=True)
        await screen.settle()
        shown = [line.split() for line in screen.lines if " at " in line]
        assert shown == [
            ["10:02", "at", "0"],
            ["at", "20"],
            ["at", "59"],
            ["10:03", "at", "61"],
            ["10:04", "at", "130"],
        ]


async def test_elapsed_time_is_shown_at_each_utterance_of_a_recording(show):
    async with show(ScriptedSession(live=False)) as screen:
        for number, second in enumerate((0, 20, 3_600 + 61)):
            screen.session.say(f"at {second}", utterance=number, second=second, final=True)
        await screen.settle()
        assert [line.split()[0] for line in screen.lines if " at " in line] == ["0:00", "0:20", "1:01:01"]


async def test_t_shows_seconds_then_elapsed_times_then_none(show):
    async with show() as screen:
        screen.session.say("hello", second=5, final=True)
        await screen.settle()
        assert "   10:02  hello" in screen.text
        await screen.press("t")
        assert "10:02:05  hello" in screen.text
        left = screen.text.splitlines()[1].index("hello")
        await screen.press("t")
        assert "    0:05  hello" in screen.text
        await screen.press("t")
        assert "10:02" not in screen.text and "0:05" not in screen.text
        assert screen.text.splitlines()[1].index("hello") == left, "text does not move"
        await screen.press("t")
        assert "   10:02  hello" in screen.text


async def test_wall_time_includes_a_pause(show):
    async with show() as screen:
        screen.session.say("before", second=5, final=True)
        screen.session.tell(Paused("", 160_000, "2026-03-02T10:02:10.000+01:00"))
        screen.session.tell(Resumed("", 160_000, "2026-03-02T10:32:10.000+01:00"))
        screen.session.say("after", utterance=1, second=10, final=True)
        await screen.settle()
        assert "10:32  after" in screen.text
        assert "— paused for 30 min —" in screen.text


async def test_lost_sound_is_shown_where_it_was_lost(show):
    async with show() as screen:
        screen.session.say("before", final=True)
        screen.session.tell(AudioGap("", 16_000, 40_000))
        screen.session.say("after", utterance=1, second=3, final=True)
        await screen.settle()
        assert [stable for stable, _ in screen.view.rows] == ["before", "— 1.5 s of sound lost —", "after"]


async def test_two_tracks_are_labelled_in_the_gutter_where_the_speaker_changes(show):
    async with show() as screen:
        screen.session.say("good morning", track="me", final=True)
        screen.session.say("hello " + LONG, track="them", second=2)
        screen.session.say("a later word", track="me", utterance=1, second=4, final=True)
        screen.session.say("hello " + LONG * 3, track="them", second=2, final=True)
        await screen.settle()
        rows = [line.rstrip() for line in screen.lines]
        shown = [row[:15] for row in rows if row.startswith("   10:02 ")]
        assert shown == ["   10:02 me    ", "   10:02 them  ", "   10:02 me    "]


async def test_labels_are_before_the_text_on_a_narrow_screen(show):
    async with show(size=(50, 20)) as screen:
        screen.session.say("good morning", track="me", final=True)
        screen.session.say("hello", track="them", second=2)
        await screen.settle()
        assert "me: good morning" in screen.text and "them: hello" in screen.text and "10:02" not in screen.text


async def test_control_characters_and_markup_never_reach_the_screen(show):
    nasty = "\x1b[31m[bold red]a[/] \x9b2J\u202e\u2066b\x07\x00[link=x]c \ud800"
    session = ScriptedSession(source=nasty, model=nasty)
    async with show(session) as screen:
        session.becomes(language=nasty)
        session.say(nasty, nasty, track=nasty)
        await screen.settle()
        for line in screen.lines:
            assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in line)
            assert not set(line) & set("\u202e\u2066\ud800")
            assert cell_len(line) == 100
        assert "[bold red]a[/]" in screen.text


async def test_an_utterance_without_text_takes_no_row(show):
    async with show() as screen:
        screen.session.say("", "")
        screen.session.say("", "um")
        await screen.settle()
        assert screen.view.rows == [("", "um")]
        screen.session.say("", "", final=True)
        await screen.settle()
        assert screen.view.rows == [] and "Listening…" in screen.text


async def test_facts_of_other_threads_wait_for_the_screen(show):
    async with show() as screen:
        thread = threading.Thread(target=screen.session.tell, args=(Marked("", 0, "check this", STARTED),))
        thread.start()
        thread.join()
        assert screen.view.rows == []
        await screen.settle()
        assert screen.view.rows == [("check this", "")]


async def test_of_many_updates_only_the_newest_is_drawn(show, monkeypatch):
    async with show() as screen:
        seen = []
        original = screen.view.show
        monkeypatch.setattr(screen.view, "show", lambda updates: (seen.extend(updates), original(updates)))
        for number in range(100):
            screen.session.say("x " * number)
        screen.session.say("the end", utterance=0, final=True)
        screen.session.say("next", utterance=1)
        await screen.settle()
        assert [update.stable for update in seen] == ["the end", "next"]


def two_tracks():
    session = ScriptedSession()
    session.has_tracks(me="Yeti", them="BlackHole")
    return session


async def test_text_of_a_track_that_lags_stands_where_it_was_said(show):
    async with show(two_tracks()) as screen:
        screen.session.say("shall we begin", track="them", second=10)
        screen.session.say("fine", track="them", utterance=1, second=30, final=True)
        screen.session.say("yes please", track="me", second=20)
        screen.session.say("a last word", track="me", utterance=1, second=30, final=True)
        await screen.settle()
        assert [stable for stable, _ in screen.view.rows] == ["shall we begin", "yes please", "fine", "a last word"]
        screen.session.say("shall we begin now", track="them", second=10, final=True)
        screen.session.say("yes please do", track="me", second=20, final=True)
        await screen.settle()
        rows = [stable for stable, _ in screen.view.rows]
        assert rows == ["shall we begin now", "yes please do", "fine", "a last word"]
        labels = [line.split()[1] for line in screen.lines if line.startswith("   10:02 ")]
        assert labels == ["them", "me", "them", "me"]


async def test_late_text_above_does_not_move_what_is_read(show):
    async with show(two_tracks()) as screen:
        for number in range(40):
            screen.session.say(f"number {number}", utterance=number, second=number * 5, final=True, track="them")
        await screen.settle()
        await screen.press("pageup")
        rows, missed = [line[:-1] for line in screen.lines[:20]], screen.view.n_missed
        screen.session.say("late", track="me", second=12)
        await screen.settle()
        screen.session.say("late " + LONG * 4, track="me", second=12)
        await screen.settle()
        assert [line[:-1] for line in screen.lines[:20]] == rows and screen.view.n_missed == missed
        await screen.press("home")
        assert "number 2" in screen.text.partition("late")[0] and "number 3" in screen.text.partition("late")[2]


async def test_matches_and_the_current_one_keep_their_paragraphs_when_late_text_comes(show):
    async with show(two_tracks()) as screen:
        for number, text in enumerate(("the budget", "something", "a budget")):
            screen.session.say(text, utterance=number, second=number * 10, final=True, track="them")
        await screen.settle()
        assert screen.view.find("budget") == 2
        screen.view.choose(2)
        screen.session.say("my budget", track="me", second=5, final=True)
        await screen.settle()
        found = [screen.view.paragraphs[index].text for index in screen.view.search.matches]
        assert found == ["the budget", "my budget", "a budget"]
        assert screen.view.paragraphs[screen.view.chosen].text == "a budget"


async def test_a_mark_stands_where_it_was_made(show):
    async with show() as screen:
        for number, text in enumerate(("first", "second", "third")):
            screen.session.say(text, utterance=number, second=number * 10, final=True)
        screen.session.tell(Marked("", 0, "of the first", STARTED))
        screen.session.tell(Marked("", 14 * 16_000, "in the second", STARTED))
        screen.session.tell(Marked("", 29 * 16_000, "now", STARTED))
        await screen.settle()
        rows = [stable for stable, _ in screen.view.rows]
        assert rows == ["first", "of the first", "second", "in the second", "third", "now"]


async def test_a_mark_of_sound_before_a_jump_back_stands_there(show):
    async with show(ScriptedSession(live=False)) as screen:
        screen.session.say("early", second=5, final=True)
        screen.session.say("late", utterance=1, second=50, final=True)
        screen.session.tell(Jumped("", 16_000 * 55, 16_000 * 10))
        screen.session.say("again", utterance=2, second=12, final=True)
        screen.session.tell(Marked("", 50 * 16_000, "this", STARTED))
        screen.session.say("more", utterance=3, second=20, final=True)
        await screen.settle()
        rows = [stable for stable, _ in screen.view.rows]
        assert rows == ["early", "late", "this", "— from 0:00:55 to 0:00:10 —", "again", "more"]


async def test_labels_are_beside_the_time_and_text_does_not_move_when_the_second_track_speaks(show):
    async with show(two_tracks()) as screen:
        screen.session.say("I hope so", track="me", final=True)
        await screen.settle()
        assert "   10:02 me    I hope so" in screen.text
        screen.session.say("hello", track="them", second=3, final=True)
        await screen.settle()
        assert "   10:02 me    I hope so\n\n   10:02 them  hello" in screen.text


async def test_a_long_label_is_cut(show):
    async with show() as screen:
        screen.session.say("hello", track="the whole conference room", final=True)
        await screen.settle()
        assert "10:02 the who…  hello" in screen.text


@pytest.mark.parametrize("theme", BUILTIN_THEMES)
async def test_speakers_have_different_colours_that_mean_nothing_else(show, theme):
    async with show(two_tracks(), settings=Settings(screen=ScreenSettings(theme=theme))) as screen:

        def colour(widget, name):
            color = widget.get_component_rich_style(name).color
            return color.triplet or color.number

        def are_different(one, other):
            if isinstance(one, int):
                return one != other
            return sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 35

        speakers = [colour(screen.view, f"transcript--label-{number}") for number in (0, 1)]
        captions = screen.live.query_one(Captions)
        assert speakers == [colour(captions, f"captions--label-{number}") for number in (0, 1)]
        others = [colour(screen.view, f"transcript--{name}") for name in ("mark", "match")]
        others += [colour(screen.notice, f"notice--{name}") for name in ("warning", "error")]
        others += [colour(screen.bar, "status--trouble")]
        assert are_different(*speakers)
        assert all(are_different(speaker, other) for speaker in speakers for other in others)


@pytest.mark.parametrize(
    ("before", "after", "pause", "joined"),
    [
        ("and the delivery costs", "more than that.", 1.5, True),
        ("and the delivery costs,", "“more than that”", 1.5, True),
        ("it costs about", "5 euros.", 1.5, True),
        ("送货费用", "更多了", 1.5, True),
        ("and the delivery costs.", "more than that.", 1.5, False),
        ("does it cost?", "more", 1.5, False),
        ("and the delivery costs", "More than that.", 1.5, False),
        ("and the delivery costs", "more than that.", 10, False),
        ("and the delivery costs.", "More than that.", 0, True),
    ],
)
async def test_a_sentence_with_a_pause_in_it_looks_continued(show, before, after, pause, joined):
    async with show() as screen:
        screen.session.say(before, second=5, final=True)
        screen.session.say(after, utterance=1, second=6 + pause, final=True)
        await screen.settle()
        first = next(n for n, line in enumerate(screen.lines) if before in line)
        second = next(n for n, line in enumerate(screen.lines) if after in line)
        assert second - first == (1 if joined else 2)


@pytest.mark.parametrize("columns", [110, 122, 123, 200])
async def test_the_text_is_in_the_middle_of_a_wide_terminal(show, columns):
    async with show(size=(columns, 30)) as screen:
        screen.session.say("word " * 60, second=5)
        await screen.settle()
        left = max(0, (columns - 122) // 2)
        assert screen.view.region.x == left and screen.view.region.width == columns - 2 * left
        line = next(line for line in screen.lines if "word" in line)
        assert line.startswith(" " * left + "   10:02")


async def test_a_long_utterance_that_was_split_looks_continued(show):
    async with show(two_tracks()) as screen:
        screen.session.say("and the delivery costs", track="me", second=59, final=True)
        screen.session.say("a bit more", track="me", utterance=1, second=60, final=True)
        screen.session.say("I see", track="me", utterance=2, second=65, final=True)
        await screen.settle()
        rows = [line.rstrip() for line in screen.lines[1:5]]
        assert rows == [
            "   10:02 me    and the delivery costs",
            "   10:03       a bit more",
            "",
            "               I see",
        ]
        screen.session.say("sorry", track="them", second=59.5, final=True)
        await screen.settle()
        rows = [line.rstrip() for line in screen.lines[1:6]]
        assert rows == [
            "   10:02 me    and the delivery costs",
            "",
            "   10:02 them  sorry",
            "",
            "   10:03 me    a bit more",
        ]
