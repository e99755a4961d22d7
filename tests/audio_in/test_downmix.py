"""A voice is heard whatever channel it is in, and whatever the others do to it; ordinary stereo stays the mean."""

import os
from functools import cache

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.audio_in.device.devices import InputDevice
from livecap.audio_in.downmix import Downmix
from livecap.audio_in.recording import Recording
from livecap.audio_in.resample import Resampler
from livecap.transcript import SAMPLE_RATE
from tests.audio_in.sounds import fan_and_hum, pink, silence, voice, white
from tests.audio_in.waiting import blocks

PROVE = bool(os.environ.get("LIVECAP_PROVE"))
SECONDS = 5
VOICE = voice(SECONDS, -23, seed=3)
OTHER = voice(SECONDS, -23, seed=4)
ZEROS = silence(SECONDS)


def mixed(*channels, learn=True, cuts=()):
    sound = np.stack(channels, axis=1).astype(np.float32)
    downmix = Downmix(SAMPLE_RATE, len(channels))
    if learn:
        downmix.learn(sound[:SAMPLE_RATE])
    return np.concatenate([downmix.process(part) for part in np.split(sound, sorted(cuts))])


def clearness(sound, of=VOICE):
    """Decibels by which a voice is above everything else in a sound, whatever its level."""
    gain = (sound @ of) / (of @ of)
    rest = sound - gain * of
    return 10 * np.log10((gain**2 * (of @ of) + 1e-12) / (rest @ rest + 1e-12))


def turned(sound, angle):
    """All of a sound turned by the same phase."""
    return np.fft.irfft(np.fft.rfft(sound) * np.exp(1j * angle), len(sound)).astype(np.float32)


@pytest.mark.parametrize("level", [1.0, 0.1, 0.01] if PROVE else [1.0, 0.01])
@pytest.mark.parametrize("other", [-1.0, -0.98, -0.9, -0.7, -0.5, -0.3] if PROVE else [-1.0, -0.9, -0.3])
@pytest.mark.parametrize("noise_db", [None, -45])
def test_opposite_phase_does_not_cancel_the_voice(level, other, noise_db):
    noises = [white(SECONDS, noise_db, i) * level if noise_db else ZEROS for i in range(2)]
    heard = mixed(level * VOICE + noises[0], other * level * VOICE + noises[1])
    assert clearness(heard) > 15
    assert heard.std() > 0.6 * level * VOICE.std()


@pytest.mark.parametrize("angle", [2.4, 2.8, 3.14, 3.6])
def test_a_turned_phase_does_not_cancel_the_voice(angle):
    assert mixed(VOICE, turned(VOICE, angle)).std() > 0.6 * VOICE.std()


def test_opposite_phase_is_noticed_without_hearing_it_before():
    assert clearness(mixed(VOICE, -VOICE, learn=False)) > 15


@pytest.mark.parametrize("db", [-30, -20, -10, 0, 10])
@pytest.mark.parametrize("noise", [white, pink, fan_and_hum])
@pytest.mark.parametrize("bleed", [0.0, 0.2])
def test_noise_in_the_other_channel_does_not_hide_the_voice(noise, db, bleed):
    harmful = noise(SECONDS, -23 + db)
    # Hum and rumble lie below the voice and harm it less, so more of them may stay.
    assert clearness(mixed(VOICE, harmful + bleed * VOICE)) > (9 if noise is fan_and_hum else 11)


def test_noise_is_left_out_soon_without_hearing_it_before():
    heard = mixed(VOICE, white(SECONDS, -13), learn=False)
    assert clearness(heard[SAMPLE_RATE // 2 :], VOICE[SAMPLE_RATE // 2 :]) > 15


@pytest.mark.parametrize("where", range(6))
@pytest.mark.parametrize("others", ["dead", "hiss", "noise"])
def test_a_voice_in_one_of_six_channels_is_heard(where, others):
    db = {"dead": None, "hiss": -70, "noise": -23}[others]
    channels = [ZEROS if db is None else white(SECONDS, db, seed) for seed in range(6)]
    channels[where] = channels[where] * 0.1 + VOICE
    heard = mixed(*channels)
    assert clearness(heard) > 18 and heard.std() > (0.15 if others == "hiss" else 0.6) * VOICE.std()


def test_a_voice_that_begins_in_a_channel_of_noise_is_heard_again():
    noise, begins = white(SECONDS, -33), 3 * SAMPLE_RATE
    is_first = np.arange(len(VOICE)) < begins
    heard = mixed(np.where(is_first, VOICE, 0), noise + np.where(is_first, 0, OTHER))
    assert clearness(heard[begins:], OTHER[begins:]) > 6
    onset = slice(begins, begins + SAMPLE_RATE // 2)
    assert clearness(heard[onset], OTHER[onset]) > 0


def test_a_channel_that_was_heard_alone_is_left_out_once_it_holds_only_noise():
    """Both channels held one voice in opposite phase; then only the quieter one has a voice."""
    noise = white(SECONDS, -10)
    heard = mixed(np.concatenate([VOICE, noise]), np.concatenate([-0.5 * VOICE, OTHER]))
    late = slice(len(VOICE) + 2 * SAMPLE_RATE, 2 * len(VOICE))
    assert clearness(heard[late], OTHER[2 * SAMPLE_RATE :]) > 11


ORDINARY = {
    "the same": (VOICE, VOICE),
    "two voices": (VOICE, OTHER),
    "panned": (VOICE + 0.3 * OTHER, 0.3 * VOICE + OTHER),
    "with noise": (VOICE + white(SECONDS, -43, 1), VOICE + white(SECONDS, -43, 2)),
    "far apart": (VOICE, np.roll(VOICE, 800)),
    "echo": (VOICE + 0.3 * np.roll(VOICE, 500), VOICE - 0.3 * np.roll(VOICE, 900)),
    "quiet noise in one": (VOICE, white(SECONDS, -53)),
}


@pytest.mark.parametrize("channels", ORDINARY.values(), ids=ORDINARY)
@pytest.mark.parametrize("learn", [True, False])
def test_ordinary_stereo_is_the_mean_bit_for_bit(channels, learn):
    sound = np.stack([channel + np.float32(0.002) for channel in channels], axis=1)
    is_live = np.logical_or.accumulate(np.abs(sound) > 0.001, axis=0).all(axis=1)  # a channel is mixed from there on
    first = int(is_live.argmax())
    assert first < SAMPLE_RATE // 10
    assert np.array_equal(mixed(*sound.T, learn=learn)[first:], sound.mean(axis=1, dtype=np.float32)[first:])


@cache
def uncut(kind):
    """Channels that disturb each other, and their mix without cuts."""
    late = np.where(np.arange(len(VOICE)) < 2 * SAMPLE_RATE, VOICE, -VOICE)
    channels = {
        "phase": (VOICE, late),
        "noise": (VOICE, white(SECONDS, -23)),
        "both": (VOICE, late, pink(SECONDS, -20)),
    }[kind]
    return channels, mixed(*channels, learn=False)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(VOICE)), max_size=20), st.sampled_from(["phase", "noise", "both"]))
def test_the_mix_does_not_depend_on_the_cuts(cuts, kind):
    channels, whole = uncut(kind)
    assert np.array_equal(mixed(*channels, cuts=cuts, learn=False), whole)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000, 192_000])
def test_any_rate_is_looked_at(rate):
    t = np.arange(SECONDS * rate) / rate * SAMPLE_RATE
    sound = np.interp(t, np.arange(len(VOICE)), VOICE).astype(np.float32)
    resampler = Resampler(rate, 2)
    heard = np.concatenate([resampler.process(np.stack([sound, -sound], axis=1)), resampler.flush()])
    assert heard.std() > 0.5 * VOICE.std()


def test_the_first_word_of_a_recording_beside_noise_is_heard(tmp_path):
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.stack([VOICE, white(SECONDS, -13)], axis=1), SAMPLE_RATE, subtype="FLOAT")
    recording = Recording(path)
    recording.read_to(SAMPLE_RATE)
    first = recording.sound(0, SAMPLE_RATE // 2)
    assert clearness(first, VOICE[: len(first)]) > 15
    recording.close()


def test_a_device_in_opposite_phase_is_heard_and_not_called_silent(ear):
    one = ear(InputDevice(3, "Yeti", "Core Audio", 2, SAMPLE_RATE, True))
    source = one.open()
    for second in np.split(np.stack([VOICE, -VOICE], axis=1), SECONDS):
        one.hear(second)
    assert one.notices == [] and source.trouble is None
    source.close()
    heard = np.concatenate([block.samples for block in blocks(source)])
    assert heard.std() > 0.6 * VOICE.std()


def test_a_fan_that_starts_in_all_channels_leaves_one_to_hear():
    on = np.arange(8 * SAMPLE_RATE) > 2 * SAMPLE_RATE
    heard = mixed(*(white(8, -60, i) + on * white(8, -26, i + 9) for i in (0, 1)), learn=False)
    assert np.isfinite(heard).all()
    assert heard[4 * SAMPLE_RATE :].std() > 0.6 * white(8, -26).std()


def test_a_held_vowel_in_one_of_six_channels_is_heard_to_its_end():
    vowel = np.concatenate([np.zeros(SAMPLE_RATE), np.tile(voice(1, -23)[4000:4160], 200), VOICE]).astype(np.float32)
    heard = mixed(*(vowel if i == 3 else np.zeros_like(vowel) for i in range(6)))
    held = slice(2 * SAMPLE_RATE, 3 * SAMPLE_RATE)
    assert heard[held].std() > 0.6 * vowel[held].std()


def test_when_the_channel_that_is_heard_alone_goes_dead_the_other_is_heard():
    """Both held one voice in opposite phase."""
    heard = mixed(np.concatenate([VOICE, ZEROS]), np.concatenate([-0.5 * VOICE, OTHER]))
    later = slice(len(VOICE) + SAMPLE_RATE // 5, len(VOICE) + 2 * SAMPLE_RATE)
    assert heard[later].std() > 0.3 * OTHER[SAMPLE_RATE // 5 : 2 * SAMPLE_RATE].std()
