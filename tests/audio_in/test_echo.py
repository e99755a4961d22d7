"""A microphone beside loudspeakers: the echo of the other track goes, every other voice stays, and sound without an
echo is passed on as it is."""

import numpy as np
import pytest

from benchmarks.echoes import SECOND, Device, Pair, echo, hiss, pair, quieter, voice
from livecap.audio_in.echo.feeds import FIRST_SAMPLES, Lag
from livecap.audio_in.echo.finder import REACH, WINDOW, EchoFinder
from livecap.audio_in.source import AudioBlock

SECONDS = 14
THEM = voice("meeting", 10, SECONDS)
ME = voice("continuous", 0, SECONDS)
N = SECONDS * SECOND
FREE = hiss(N)


@pytest.mark.parametrize("block", [800, 3217, 2 * SECOND, 20 * SECOND])
def test_without_an_echo_every_block_is_passed_on_as_it_is(block: int) -> None:
    heard = pair(ME, THEM).run(N, block)
    assert np.array_equal(heard.sound, ME) and not heard.notices
    sizes = [len(each.samples) for each in heard.blocks]
    assert sizes[-3:] == [len(ME[at : at + block]) for at in range(0, N, block)][-3:]


def test_what_is_played_reaches_its_own_track_unchanged() -> None:
    heard = pair(FREE + echo(THEM, 150, 10), THEM).run(N)
    assert np.array_equal(np.concatenate([block.samples for block in heard.played_blocks]), THEM)


@pytest.mark.parametrize(("delay_ms", "quieter_db"), [(80, 6), (150, 20), (300, 12), (-100, 10), (900, 10)])
def test_an_echo_alone_is_removed_from_its_first_word_on(delay_ms: int, quieter_db: int) -> None:
    there = echo(THEM, delay_ms, quieter_db) if delay_ms > 0 else np.roll(echo(THEM, 0, quieter_db), delay_ms * 16)
    heard = pair(FREE + there, THEM).run(N)
    assert len(heard.sound) == N and len(heard.notices) == 1
    assert "BlackHole" in heard.notices[0] and "--echo off" in heard.notices[0]
    assert quieter(heard.sound, there, (1, 4)) > 12
    assert quieter(heard.sound, there, (6, SECONDS - 1)) > 20


@pytest.mark.parametrize(("delay_ms", "quieter_db"), [(80, 6), (250, 10)])
def test_a_second_voice_stays_and_what_is_played_with_it_goes(delay_ms: int, quieter_db: int) -> None:
    there = echo(THEM, delay_ms, quieter_db)
    heard = pair(ME + there, THEM).run(N)
    assert len(heard.notices) == 1
    assert quieter(heard.sound - ME, there, (9, SECONDS - 1)) > 8, "the echo"
    assert quieter(heard.sound - ME, ME, (9, SECONDS - 1)) > 10, "what was done to the voice"


@pytest.mark.parametrize("drift_ppm", [40, -40])
def test_clocks_may_drift_apart(drift_ppm: int) -> None:
    them = voice("meeting", 10, 24)
    there = echo(them, 150, 10, drift_ppm=drift_ppm)
    heard = pair(hiss(len(them)) + there, them).run(len(them))
    assert quieter(heard.sound, there, (14, 23)) > 20


def test_a_delay_that_changes_is_found_again() -> None:
    them = voice("meeting", 10, 24)
    change = 11 * SECOND
    there = np.concatenate([echo(them, 120, 8)[:change], echo(them, 260, 8, seed=7)[change:]])
    heard = pair(hiss(len(them)) + there, them).run(len(them))
    assert quieter(heard.sound, there, (6, 10)) > 20 and quieter(heard.sound, there, (17, 23)) > 20
    assert len(heard.notices) == 1, "told once"


def test_a_microphone_that_was_muted_hears_no_echo_afterwards_either() -> None:
    them = np.tile(THEM, 4)
    start, end = 8 * SECOND, 46 * SECOND  # longer than an echo is remembered that is gone
    there = echo(them, 150, 10)
    there[start:end] = 0
    noise = hiss(len(them))
    noise[start:end] = 0
    heard = pair(noise + there, them).run(len(them))
    assert not heard.sound[start + SECOND : end - SECOND].any()
    assert quieter(heard.sound, there, (46, 48)) > 20 and quieter(heard.sound, there, (48, 55)) > 20


def test_when_the_echo_is_gone_sound_is_passed_on_as_it_is_again() -> None:
    them, me = np.tile(THEM, 5), np.tile(ME, 5)
    n = 12 * SECOND
    there = np.concatenate([echo(them, 120, 8)[:n], np.zeros(len(them) - n, np.float32)])
    heard = pair(me + there, them).run(len(them))
    assert not np.array_equal(heard.sound[n - 4 * SECOND : n], me[n - 4 * SECOND : n])
    assert np.array_equal(heard.sound[-8 * SECOND :], me[-8 * SECOND :])


def test_how_sound_arrives_changes_nothing() -> None:
    mixed = ME + echo(THEM, 150, 8)
    heard = pair(mixed, THEM).run(N).sound
    assert np.array_equal(pair(mixed, THEM).run(N, 3217).sound, heard)
    late = pair(mixed, THEM).run(N, late=2400).sound
    assert np.array_equal(late[: N - SECOND], heard[: N - SECOND]), "the last second ends before its echo arrived"


def test_sound_waits_only_when_something_is_played_for_the_first_time() -> None:
    heard = pair(ME, np.concatenate([np.zeros(4 * SECOND, np.float32), THEM[: -4 * SECOND]])).run(4 * SECOND)
    assert heard.longest_wait <= 800
    heard.run(N, start=4 * SECOND)
    assert heard.longest_wait <= FIRST_SAMPLES + 2 * SECOND and np.array_equal(heard.sound, ME)


def test_a_device_that_is_away_holds_nothing_up() -> None:
    heard = pair(ME, np.zeros(0, np.float32))
    heard.player.away = True
    for now in range(800, 3 * SECOND, 800):
        heard.microphone.arrived_samples = now
        heard.take()
        assert heard.blocks[-1].end_sample == now
    assert np.array_equal(heard.sound, ME[: len(heard.sound)])


def test_gaps_and_pauses_stay_where_they_are() -> None:
    there = FREE + echo(THEM, 150, 8)
    gaps, pauses = {6 * SECOND: 2000, 9 * SECOND + 5: 2 * SECOND}, (7 * SECOND, 11 * SECOND + 77)
    microphone = Device("Room Mic", there, gaps, pauses)
    heard = Pair(microphone, Device("BlackHole", THEM, gaps)).run(N + 2 * SECOND + 2000)
    expected = [(0, 6 * SECOND), (6 * SECOND + 2000, 9 * SECOND + 2005), (11 * SECOND + 2005, N + 2 * SECOND + 2000)]
    spans: list[tuple[int, int]] = []
    for block in heard.blocks:
        if not len(block.samples):
            assert block.start_sample in (7 * SECOND + 2000, 13 * SECOND + 2077)
            assert spans[-1][1] == block.start_sample, "all sound before a pause comes before it"
        elif spans and spans[-1][1] == block.start_sample:
            spans[-1] = spans[-1][0], block.end_sample
        else:
            spans.append((block.start_sample, block.end_sample))
    assert spans == expected and sum(not len(block.samples) for block in heard.blocks) == 2


def test_after_a_jump_sound_goes_on_at_the_new_place() -> None:
    there = FREE + echo(THEM, 150, 8)
    heard = pair(there, THEM).run(9 * SECOND)
    heard.feed.seek(2 * SECOND), heard.played.seek(2 * SECOND)
    heard.blocks.clear()
    heard.run(N, start=2 * SECOND)
    assert heard.blocks[0].start_sample == 2 * SECOND and heard.blocks[-1].end_sample == N
    assert quieter(np.concatenate([FREE[: 2 * SECOND], heard.sound]), there, (6, SECONDS - 1)) > 20


def test_devices_that_began_at_different_times_are_compared_at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    later = 3 * SECOND
    heard = pair((FREE + echo(THEM, 150, 8))[later:], THEM)
    monkeypatch.setattr(Device, "started_wall", property(lambda device: 103.0 if device.name == "Room Mic" else 100.0))
    heard.run(N - later, late=-later)
    assert len(heard.notices) == 1
    assert quieter(heard.sound, echo(THEM, 150, 8)[later:], (5, SECONDS - 4)) > 20


def test_a_second_microphone_that_hears_the_speaker_more_quietly_is_no_loudspeaker() -> None:
    other = np.concatenate([np.zeros(40, np.float32), 0.3 * ME])[:N] + hiss(N)
    heard = pair(ME, other).run(N)
    assert np.array_equal(heard.sound, ME) and not heard.notices


@pytest.mark.parametrize(
    ("one", "other"), [("continuous", "turns"), ("dictation", "noise"), ("silences", "meeting"), ("meeting", "meeting")]
)
def test_voices_that_have_nothing_to_do_with_each_other_are_no_echo(one: str, other: str) -> None:
    near, played = voice(one, 0, 30), voice(other, 3, 30)
    finder = EchoFinder()
    for start in range(REACH, 27 * SECOND, SECOND // 2):
        window = played[start - 3 * SECOND // 2 :][:REACH]
        finder.compare(start, near[start : start + WINDOW], window)
        assert finder.lag is None, start


def test_a_drift_is_measured_over_wrong_measures() -> None:
    lag = Lag(2000.0)
    for second in range(30):
        wrong = 25.0 if second % 7 == 3 else 0.0
        lag.measure(second * SECOND, 2000.0 + 0.8 * second + wrong)
    assert abs(lag.at(60 * SECOND) - 2048) < 1


def test_an_error_of_what_is_played_belongs_to_its_track() -> None:
    from livecap.errors import AudioError

    class Broken(Device):
        def take(self) -> AudioBlock | None:
            raise AudioError("gone")

    heard = Pair(Device("Room Mic", ME), Broken("BlackHole", THEM))
    heard.microphone.arrived_samples = SECOND
    block = heard.feed.take()
    assert block is not None and np.array_equal(block.samples, ME[:SECOND])
    assert not heard.played.ended
    with pytest.raises(AudioError, match="gone"):
        heard.played.take()


@pytest.mark.parametrize("delay_ms", [0, 20])
def test_the_same_microphone_heard_twice_is_no_echo(delay_ms: int) -> None:
    heard = pair(ME, np.roll(ME, -delay_ms * 16)).run(N)
    assert np.array_equal(heard.sound, ME) and not heard.notices


@pytest.mark.parametrize("quieter_db", [6, 20])
def test_an_echo_that_a_good_loudspeaker_plays_is_removed(quieter_db: int) -> None:
    """A quieter copy, without what a small loudspeaker and a room do to it."""
    there = (np.roll(THEM, 100 * 16) * 10 ** (-quieter_db / 20)).astype(np.float32)
    heard = pair(FREE + there, THEM).run(N)
    assert quieter(heard.sound, there, (6, SECONDS - 1)) > 20


def test_a_voice_that_the_remote_side_sends_back_is_no_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Device, "started_wall", property(lambda device: 100.0))
    heard = pair(ME, FREE + echo(ME, 400, -1)).run(N)
    assert np.array_equal(heard.sound, ME) and not heard.notices


def test_after_a_pause_the_echo_is_found_again() -> None:
    """The devices do not go on at the same moment: the microphone lacks 0.3 s."""
    at, lacks = 7 * SECOND, 3 * SECOND // 10
    there = echo(THEM, 150, 8)
    near = np.concatenate([(FREE + there)[:at], (FREE + there)[at + lacks :]])
    microphone, player = Device("Room Mic", near, pauses=(at,)), Device("BlackHole", THEM, pauses=(at,))
    heard = Pair(microphone, player).run(N)
    assert quieter(heard.sound[at:], np.concatenate([there[at + lacks :]]), (2, 6)) > 20


def test_what_waits_for_the_played_sound_is_passed_on_before_an_error() -> None:
    from livecap.errors import AudioError

    class Breaks(Device):
        def take(self) -> AudioBlock | None:
            block = super().take()
            if block is None and self.arrived_samples >= 6 * SECOND:
                raise AudioError("gone")
            return block

    heard = Pair(Breaks("Room Mic", FREE + echo(THEM, 150, 8)), Device("BlackHole", THEM))
    with pytest.raises(AudioError, match="gone"):
        heard.run(8 * SECOND)
    assert len(heard.sound) >= 6 * SECOND
