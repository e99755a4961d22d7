"""Where sound is loud: what stands out from the noise floor, and is not far below the peak."""

import numpy as np
import pytest
from numpy.typing import NDArray

from livecap.stream.loud_sound import FRAME_SAMPLES, MARGIN_DB, MEMORY_FRAMES, LoudSound

SECOND = 16_000
RANDOM = np.random.default_rng(0)


def noise(seconds: float, level_db: float) -> NDArray[np.float32]:
    samples = RANDOM.standard_normal(round(seconds * SECOND)) * 10 ** (level_db / 20)
    return samples.astype(np.float32)


def tone(seconds: float, level_db: float, hertz: float = 1000.0) -> NDArray[np.float32]:
    at = np.arange(round(seconds * SECOND)) / SECOND
    return (np.sin(2 * np.pi * hertz * at) * 10 ** (level_db / 20) * 2**0.5).astype(np.float32)


def heard(*parts: NDArray[np.float32]) -> LoudSound:
    loud = LoudSound()
    loud.append(0, np.concatenate(parts))
    return loud


def in_seconds(spans: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(round(start / SECOND, 2), round(end / SECOND, 2)) for start, end in spans]


def test_a_tone_above_noise_is_one_loud_stretch() -> None:
    loud = heard(noise(2, -60), tone(0.5, -30) + noise(0.5, -60), noise(1, -60))
    assert in_seconds(loud.spans(0, 4 * SECOND)) == [(2.0, 2.5)]
    assert in_seconds(loud.groups(0, 4 * SECOND)) == [(2.0, 2.5)]
    assert in_seconds(loud.spans(round(2.1 * SECOND), round(2.3 * SECOND))) == [(2.1, 2.3)]


def test_steady_noise_alone_is_not_loud_however_loud_it_is() -> None:
    assert heard(noise(5, -20)).groups(0, 5 * SECOND) == []


def test_what_is_hardly_above_the_noise_is_not_loud() -> None:
    """Steady tones: their level is exact."""
    for above_db, expected in ((MARGIN_DB - 1, []), (MARGIN_DB + 1, [(2.0, 3.0)])):
        loud = heard(tone(2, -60), tone(1, -60 + above_db), tone(1, -60))
        assert in_seconds(loud.groups(0, 4 * SECOND)) == expected


def test_what_is_far_below_the_voice_is_not_loud() -> None:
    for below_db, expected in ((29, [(1.0, 2.0), (3.0, 4.0)]), (31, [(1.0, 2.0)])):
        loud = heard(tone(1, -70), tone(1, -20), tone(1, -70), tone(1, -20 - below_db), tone(1, -70))
        assert in_seconds(loud.groups(0, 5 * SECOND)) == expected


def test_faint_noise_after_digital_silence_is_not_loud() -> None:
    assert heard(np.zeros(2 * SECOND, np.float32), tone(1, -68)).groups(0, 3 * SECOND) == []
    assert in_seconds(heard(np.zeros(2 * SECOND, np.float32), tone(1, -66)).groups(0, 3 * SECOND)) == [(2.0, 3.0)]


def test_only_the_frequencies_of_speech_count() -> None:
    for hertz, expected in ((60.0, []), (6000.0, []), (300.0, [(1.0, 2.0)]), (3500.0, [(1.0, 2.0)])):
        loud = heard(noise(1, -60), tone(1, -30, hertz) + noise(1, -60), noise(1, -60))
        assert in_seconds(loud.groups(0, 3 * SECOND)) == expected, hertz


def test_a_click_is_no_word_and_short_sounds_close_together_are_one() -> None:
    def sounds(length: float, pause: float) -> list[tuple[float, float]]:
        loud = heard(tone(2, -60), tone(length, -20), tone(pause, -60), tone(length, -20), tone(2, -60))
        return in_seconds(loud.groups(0, 6 * SECOND))

    assert sounds(0.1, 0.48) == [(2.0, 2.68)]
    assert sounds(0.1, 0.52) == []
    assert sounds(0.2, 0.52) == [(2.0, 2.2), (2.72, 2.92)]


def test_sound_may_come_in_any_pieces() -> None:
    parts = np.concatenate([noise(1, -60), tone(0.5, -30), noise(1, -60)])
    pieces = LoudSound()
    for start in range(0, len(parts), 1234):
        pieces.append(start, parts[start : start + 1234])
    assert pieces.spans(0, len(parts)) == heard(parts).spans(0, len(parts)) != []


@pytest.mark.parametrize("lost", [1, FRAME_SAMPLES, 2 * SECOND + 7, 100 * SECOND])
def test_lost_sound_is_neither_loud_nor_the_noise_floor(lost: int) -> None:
    loud = heard(tone(1, -40))
    start = SECOND + lost
    loud.append(start, tone(2, -40))
    assert loud.groups(0, start + 2 * SECOND) == []
    loud.append(start + 2 * SECOND, tone(1, -20))
    ((found, end),) = loud.groups(0, start + 3 * SECOND)
    assert abs(found - (start + 2 * SECOND)) <= FRAME_SAMPLES and abs(end - (start + 3 * SECOND)) <= FRAME_SAMPLES


def test_memory_has_a_bound_and_what_is_remembered_keeps_its_place() -> None:
    loud = heard(tone(50, -60))
    loud.append(50 * SECOND, tone(1, -30))
    loud.append(51 * SECOND, tone(1, -60))
    assert len(loud._levels) == MEMORY_FRAMES
    assert in_seconds(loud.groups(0, 52 * SECOND)) == [(50.0, 51.0)]


def test_the_noise_floor_is_that_of_the_last_ten_seconds() -> None:
    assert in_seconds(heard(tone(2, -70), tone(9, -40)).groups(0, 11 * SECOND)) == [(2.0, 11.0)]
    assert heard(tone(2, -70), tone(11, -40)).groups(0, 13 * SECOND) == []


def test_the_share_of_voice_is_that_nearer_to_the_voice_than_to_the_noise() -> None:
    loud = heard(tone(2, -60), tone(1, -20), tone(1, -45), tone(1, -35))
    assert loud.voice_share(2 * SECOND, 3 * SECOND) == 1
    assert loud.voice_share(3 * SECOND, 4 * SECOND) == 0
    assert loud.voice_share(4 * SECOND, 5 * SECOND) == 1
    assert loud.voice_share(round(3.5 * SECOND), round(4.5 * SECOND)) == pytest.approx(0.5, abs=0.02)
    assert loud.voice_share(SECOND, SECOND) == 0


def test_what_is_hardly_above_the_noise_is_no_voice_however_quiet_the_voice_is() -> None:
    loud = heard(tone(2, -60), tone(1, -50), tone(1, -53), tone(1, -51))
    assert loud.voice_share(2 * SECOND, 3 * SECOND) == 1
    assert loud.voice_share(3 * SECOND, 4 * SECOND) == 0
    assert loud.voice_share(4 * SECOND, 5 * SECOND) == 1


def test_too_little_sound_is_not_loud() -> None:
    assert heard(tone(0.08, -20)).spans(0, SECOND) == []
    assert LoudSound().spans(0, SECOND) == []
