"""The level meter and the status bar show current values, or nothing."""

from dataclasses import replace

import pytest

from livecap.session.status import State
from tests.tui.scripted_session import ScriptedSession


async def at(screen, seconds=0.0, **status):
    screen.session.becomes(**status)
    await screen.settle(seconds)
    return screen.text


async def test_the_meter_shows_decibels_of_full_scale(show):
    async with show() as screen:
        assert "−20 dB" in await at(screen, level=0.1)
        assert screen.text.count("━") == 26  # with the mark of the peak, two thirds of 40 columns


async def test_the_peak_is_held_then_falls(show):
    async with show() as screen:
        await at(screen, level=0.5)
        held = screen.meter.hold_db
        await at(screen, seconds=1.0, level=0.001)
        assert screen.meter.hold_db == held and screen.meter.level_db == pytest.approx(-60)
        await at(screen, seconds=1.0)
        assert -60 < screen.meter.hold_db < held
        await at(screen, seconds=5.0)
        assert screen.meter.hold_db == pytest.approx(-60)


async def test_clipping_is_marked_for_two_seconds(show):
    async with show() as screen:
        assert "clip" in await at(screen, level=1.0)
        assert "clip" in await at(screen, seconds=1.9, level=0.1)
        assert "clip" not in await at(screen, seconds=0.2)


async def test_digital_silence_of_a_device_is_no_signal(show):
    async with show() as screen:
        assert "no signal" not in await at(screen, seconds=1.9, level=0.0)
        assert "no signal" in await at(screen, seconds=0.2)
        assert "no signal" not in await at(screen, level=0.001)


async def test_a_recording_may_be_silent(show):
    async with show(ScriptedSession(live=False)) as screen:
        assert "no signal" not in await at(screen, seconds=10, level=0.0)


async def test_no_level_is_shown_while_not_listening(show):
    async with show() as screen:
        for state in (State.PAUSED, State.FINISHING, State.ENDED, State.FAILED):
            assert "dB" in await at(screen, state=State.LISTENING, level=0.5)
            assert "dB" not in await at(screen, seconds=10, state=state)
            assert "no signal" not in screen.text and "━" not in screen.text


async def test_a_wide_bar_has_all_fields(show):
    async with show(size=(120, 28)) as screen:
        await at(screen, arrived_samples=16_000 * 872, decoded_samples=16_000 * 870, rtf=0.214, language="English")
        await at(screen, n_gaps=2, gap_samples=12_000)
        assert screen.bar.text == (
            "● 00:14:32   Built-in Microphone   Qwen3-ASR-0.6B   English   lag 2.0 s   2 gaps, 0.8 s lost"
        )


async def test_a_small_lag_and_no_gaps_are_not_mentioned(show):
    async with show() as screen:
        await at(screen, arrived_samples=16_000 * 9, decoded_samples=16_000 * 9 - 15_000)
        assert "lag" not in screen.bar.text and "gap" not in screen.bar.text and "RTF" not in screen.bar.text


async def test_a_language_that_was_set_is_marked(show):
    async with show() as screen:
        assert "German (set)" in await at(screen, language="German", forced_language="German")


async def test_trouble_stays_when_the_bar_gets_narrow(show):
    async with show() as screen:
        await at(screen, arrived_samples=16_000 * 9, rtf=0.2, language="English")
        for width, field in [(68, "English"), (58, "Qwen3"), (40, "Built"), (24, "lag")]:
            await screen.pilot.resize_terminal(width, 20)
            await screen.settle()
            text = screen.bar.text
            assert field in text and text.startswith("● 00:00:09") and text.endswith("lag 9.0 s")


async def test_a_wide_name_is_cut_between_characters(show):
    async with show(ScriptedSession(source="会議室の大きなマイクロフォン" * 3), size=(61, 20)) as screen:
        await at(screen, language="Japanese")
        assert "会議室" in screen.bar.text and "…" in screen.bar.text


async def test_the_mark_blinks_only_during_speech(show):
    async with show() as screen:
        blinks = []
        for _ in range(4):
            await at(screen, seconds=0.25, speaking=True)
            blinks.append(screen.bar.blink)
        assert sorted(blinks) == [False, False, True, True]
        for _ in range(4):
            await at(screen, seconds=0.25, speaking=False)
            assert not screen.bar.blink


async def test_no_signal_is_whole_beside_two_tracks_and_said_once(show):
    session = ScriptedSession()
    session.has_tracks(me="Yeti", them="BlackHole")
    async with show(session, size=(110, 28)) as screen:
        session.becomes(tracks=tuple(replace(track, level=0.0, trouble="silent") for track in session.status.tracks))
        await screen.settle()
        await screen.settle(seconds=3)
        assert screen.text.count("no signal") == 2 and "▲" not in screen.text
        await screen.press("c")
        await screen.settle()
        assert "▲ me silent" in screen.text


@pytest.mark.parametrize("columns", [40, 80, 120])
async def test_where_the_sound_goes_is_always_shown(show, columns):
    async with show(size=(columns, 24)) as screen:
        assert "sound →" not in await at(screen)
        text = await at(screen, remote="gpu.lan:8000, not encrypted", log_trouble="full")
        assert "sound → gpu" in text
        assert "sound →" in await at(screen, state=State.PAUSED)
        assert "sound →" not in await at(screen, state=State.ENDED)
