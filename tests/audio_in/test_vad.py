"""Speech is found at any level and in noise; noise alone is not speech; the cuts of sound change nothing."""

import dataclasses
import io
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import noises
from livecap.audio_in.silero import FRAME_SAMPLES as NETWORK_FRAME_SAMPLES
from livecap.audio_in.silero import SileroNetwork
from livecap.audio_in.source import AudioBlock
from livecap.audio_in.vad import (
    END_SECONDS,
    DetectorConfig,
    SpeechDetector,
    SpeechEnded,
    SpeechPaused,
    SpeechStarted,
    Vad,
)
from livecap.transcript import SAMPLE_RATE
from tests.audio_in.sounds import at_level, fan_and_hum, join, pink, silence, white

FRAME_SAMPLES = SAMPLE_RATE // 50
"""What the tests count in: 20 ms."""

NOISES = [white, pink, fan_and_hum]
PROVE = bool(os.environ.get("LIVECAP_PROVE"))
MORE_SPEECH_IN_NOISE = [(20, -24), (10, -24), (10, -44)]
HARD_NOISES = ["rumble", "typing", "music"]


@pytest.fixture(params=[Vad.SILERO, Vad.WEBRTC])
def config(request):
    return DetectorConfig(request.param)


@cache
def noise_of(kind, n, seed):
    """[n] float32: a noise of `benchmarks.noises`, which nobody may change."""
    noise = noises.KINDS[kind](n, np.random.default_rng(seed))
    noise.flags.writeable = False
    return noise


def spoken(seconds, db, seed=0):
    """At most 4 s of a real voice that never pauses, with an RMS of `db` dBFS."""
    jfk = soundfile.read(Path(__file__).with_name("jfk.flac"), dtype="float32")[0]
    parts = [jfk[87_200:120_800], jfk[133_000:166_400]]
    return at_level(join(*parts[seed:], *parts[:seed])[: round(seconds * SAMPLE_RATE)], db)


def detect(sound, detector, start_sample=0, cuts=None):
    """Starts and ends of speech, in sound that is cut every 0.5 s, or at `cuts`."""
    edges = [0, *sorted(cuts), len(sound)] if cuts is not None else [*range(0, len(sound), 8000), len(sound)]
    events = []
    for start, end in zip(edges, edges[1:], strict=False):
        events += detector.accept(AudioBlock(start_sample + start, sound[start:end]))
    return [event for event in events if not isinstance(event, SpeechPaused)]


def voiced_mask(detector, n_samples):
    """[n_frames] bool: the frames of which at least half is voiced."""
    mask = np.zeros(n_samples, bool)
    for start, end in detector.voiced_spans(0, n_samples):
        mask[start:end] = True
    return mask[: n_samples // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).mean(axis=1) >= 0.5


def speech_mask(events, n_samples):
    """[n_frames] bool: the frames within speech, by events."""
    mask = np.zeros(n_samples // FRAME_SAMPLES, bool)
    starts = [event.sample for event in events if isinstance(event, SpeechStarted)]
    ends = [event.sample for event in events if isinstance(event, SpeechEnded)] + [n_samples]
    for start, end in zip(starts, ends, strict=False):
        mask[start // FRAME_SAMPLES : -(-end // FRAME_SAMPLES)] = True
    return mask


def active(sound, n_samples=FRAME_SAMPLES, below_peak_db=30):
    """[n_frames] bool: the frames of `n_samples` that carry speech, in speech without noise, by their level."""
    frames = sound[: len(sound) // n_samples * n_samples].reshape(-1, n_samples)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    return level > level.max() - below_peak_db


def missed(spoken, events):
    """The share of frames with speech that were not detected."""
    carries = active(spoken)
    return float((~speech_mask(events, len(spoken)))[carries].mean())


def seconds(events):
    return [(type(event).__name__, event.sample / SAMPLE_RATE) for event in events]


@pytest.fixture(scope="module")
def espeak():
    """Four voices at -24 dBFS with 2 s of silence around each."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    sentences = {
        "en-us": "The quick brown fox jumps over the lazy dog while seven ships sail past the harbour.",
        "en-gb": "Please call Stella and ask her to bring these things with her from the store.",
        "en-us+f3": "We met on Tuesday at half past nine and agreed on a budget of four thousand euros.",
        "en-gb+m4": "Fish often swim in the shallows; she sells sea shells, and six thick thistles stick.",
    }
    parts = [silence(2)]
    for name, sentence in sentences.items():
        spoken = subprocess.run(["espeak-ng", "-v", name, "--stdout", sentence], capture_output=True, check=True)
        sound, rate = soundfile.read(io.BytesIO(spoken.stdout), dtype="float32")
        parts += [at_level(soxr.resample(sound, rate, SAMPLE_RATE), -24), silence(2)]
    return join(*parts)


@pytest.fixture(scope="module")
def pause_and_speech():
    """Silence, 3 s of speech at 2 s, silence, 2 s of speech at 7 s, silence; at -24 dBFS."""
    return join(silence(2), spoken(3, -24), silence(2), spoken(2, -24, seed=1), silence(2))


@pytest.mark.parametrize("db", [-14, -24, -44, -60])
def test_speech_is_found_at_any_level(config, espeak, db):
    events = detect(espeak * np.float32(10 ** ((db + 24) / 20)), SpeechDetector(config))
    assert missed(espeak, events) <= 0.005
    assert len(events) == 8, seconds(events)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("snr_db", "db"), [(20, -44), (5, -24), (5, -44)] + MORE_SPEECH_IN_NOISE * PROVE)
def test_speech_is_found_in_noise(config, espeak, noise, snr_db, db):
    noisy = espeak * np.float32(10 ** ((db + 24) / 20))
    noisy = noisy + noise(len(espeak) / SAMPLE_RATE, db - snr_db)
    events = detect(noisy, SpeechDetector(config))
    assert missed(espeak, events) <= 0.02
    # Once the noise is known, the pauses between the voices are found too.
    pauses = [event for event in events if isinstance(event, SpeechEnded) and event.sample > 3 * SAMPLE_RATE]
    assert len(pauses) >= 4, seconds(events)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("db", [-70, -60, -50, -40, -30, -20] if PROVE else [-70, -45, -20])
def test_steady_noise_is_not_speech(config, noise, db):
    events = detect(noise(20, db), SpeechDetector(config))
    mask = speech_mask(events, 20 * SAMPLE_RATE)
    n_frames_first = 3 * SAMPLE_RATE // FRAME_SAMPLES
    assert mask[:n_frames_first].sum() * 0.02 <= 1.5
    assert mask[n_frames_first:].sum() * 0.02 <= 0.7  # one false start


def test_noise_that_begins_later_is_learnt(config):
    quiet, fan = white(20, -65), fan_and_hum(40, -35)
    events = detect(join(quiet, fan), SpeechDetector(config))
    mask = speech_mask(events, 60 * SAMPLE_RATE)
    assert not mask[: 19 * 50].any()
    assert mask[32 * 50 :].mean() <= 0.03


def test_silence_says_nothing(config):
    dither = (np.random.default_rng(0).integers(-1, 2, 20 * SAMPLE_RATE) / 32768).astype(np.float32)
    for sound in (silence(20), dither, np.full(20 * SAMPLE_RATE, 0.25, np.float32)):
        detector = SpeechDetector(config)
        assert detect(sound, detector) == []
        assert not detector.speaking and detector.last_voiced_sample is None


@pytest.mark.parametrize("n_frames_long, is_speech", [(1, False), (6, True)])
def test_a_click_is_not_speech(config, n_frames_long, is_speech):
    syllable = spoken(3, -20)[SAMPLE_RATE // 5 :][: n_frames_long * FRAME_SAMPLES]
    detector = SpeechDetector(config)
    assert bool(detect(join(silence(2), syllable, silence(2)), detector)) == is_speech


def test_real_speech_that_begins_with_the_recording(config, jfk):
    sound = soundfile.read(jfk, dtype="float32")[0]
    events = detect(sound, SpeechDetector(config))
    assert isinstance(events[0], SpeechStarted) and events[0].sample <= SAMPLE_RATE // 10
    assert missed(sound, events) <= 0.01
    # "And so, my fellow Americans: | ask not | what your country can do for you ..."
    assert 1 <= sum(isinstance(event, SpeechEnded) for event in events) <= 4, seconds(events)


def test_where_speech_starts_and_ends(config, pause_and_speech):
    names, at = zip(*seconds(detect(pause_and_speech, SpeechDetector(config))), strict=True)
    assert names == ("SpeechStarted", "SpeechEnded") * 2
    # A pre-roll of 0.3 s before, a tail of 0.2 s behind; the synthetic voice opens and closes softly.
    assert at == pytest.approx((2 - 0.3, 5 + 0.2, 7 - 0.3, 9 + 0.2), abs=0.12)


def test_stretches_of_speech_never_overlap(config):
    config = dataclasses.replace(config, pre_roll_seconds=0.5, tail_seconds=0.4, end_seconds=0.4)
    events = detect(join(*[join(spoken(1, -24), silence(0.5))] * 5), SpeechDetector(config))
    samples = [event.sample for event in events]
    assert len(events) >= 9 and samples == sorted(samples) and samples[0] == 0


@pytest.mark.parametrize("end_seconds, n_stretches", [(0.3, 2), (1.0, 1)])
def test_the_pause_that_ends_speech_is_configurable(config, end_seconds, n_stretches):
    sound = join(silence(1), spoken(2, -24), silence(0.6), spoken(2, -24), silence(2))
    events = detect(sound, SpeechDetector(dataclasses.replace(config, end_seconds=end_seconds)))
    assert len(events) == 2 * n_stretches


def test_a_pause_is_reported_as_it_grows_and_speech_may_go_on(config):
    sound = join(silence(1), spoken(2, -24), silence(0.35), spoken(2, -24), silence(2))
    detector = SpeechDetector(config)
    events = [e for i in range(0, len(sound), 160) for e in detector.accept(AudioBlock(i, sound[i : i + 160]))]
    kinds = [type(event) for event in events]
    assert kinds[0] is SpeechStarted and kinds[-4:] == [SpeechPaused] * 3 + [SpeechEnded]
    assert kinds.count(SpeechStarted) == 1
    breaths = [event for event in events if isinstance(event, SpeechPaused) and event.quiet_samples >= SAMPLE_RATE // 5]
    assert len(breaths) >= 2 and min(abs(event.sample - round(3.2 * SAMPLE_RATE)) for event in breaths) < 2000


def test_the_end_is_reported_as_soon_as_the_pause_is_long_enough(config, pause_and_speech):
    detector = SpeechDetector(config)
    told_at, ended = 0, None
    while ended is None:
        events = detector.accept(AudioBlock(told_at, pause_and_speech[told_at : told_at + FRAME_SAMPLES]))
        told_at += FRAME_SAMPLES
        ended = next((event for event in events if isinstance(event, SpeechEnded)), None)
        assert detector.speaking == (ended is None and detector.last_voiced_sample is not None)
    assert detector.last_voiced_sample is not None
    assert (
        0
        <= told_at - detector.last_voiced_sample - round(END_SECONDS[config.vad] * SAMPLE_RATE)
        < detector.frame_samples + FRAME_SAMPLES
    )
    assert ended.sample - detector.last_voiced_sample == round(0.2 * SAMPLE_RATE)


def test_the_end_of_a_voice_is_known_within_80_ms(config):
    for db in (-24, -40):
        detector = SpeechDetector(config)
        detect(join(white(1, -70), spoken(1.4, db, seed=1), white(1, -70, 1)), detector)
        assert detector.last_voiced_sample / SAMPLE_RATE == pytest.approx(2.4, abs=0.08)


@pytest.mark.parametrize("vad", Vad)
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_results_do_not_depend_on_the_cuts(vad, data):
    sound = join(white(1.5, -60), spoken(1.5, -30), white(1.5, -45), spoken(0.7, -20)) + white(5.2, -70)
    start = data.draw(st.integers(0, 1000))
    cuts = data.draw(st.lists(st.integers(0, len(sound)), max_size=40))
    whole, cut = SpeechDetector(DetectorConfig(vad)), SpeechDetector(DetectorConfig(vad))
    assert detect(sound, whole, start, []) == detect(sound, cut, start, cuts)
    assert whole.last_voiced_sample == cut.last_voiced_sample and whole.speaking == cut.speaking
    span = (start, start + len(sound))
    assert whole.voiced_spans(*span) == cut.voiced_spans(*span) != []


def test_a_gap_ends_speech_and_positions_stay_absolute(config):
    for gap_seconds in (0.011, 1.003, 100.007, 100_000.0):
        detector, speech = SpeechDetector(config), spoken(2, -24)
        detect(speech, detector)
        assert detector.speaking
        start = len(speech) + round(gap_seconds * SAMPLE_RATE)
        events = detect(join(speech, silence(2)), detector, start)
        if gap_seconds < 0.5:
            assert [type(event) for event in events] == [SpeechEnded]
        else:
            assert [type(event) for event in events] == [SpeechEnded, SpeechStarted, SpeechEnded]
            assert events[0].sample <= len(speech) + 0.3 * SAMPLE_RATE  # 0.2 s, and what the network hears after it
            assert events[1].sample / SAMPLE_RATE == pytest.approx(start / SAMPLE_RATE - 0.3, abs=0.12)


def test_sound_given_twice_is_our_mistake(config):
    detector = SpeechDetector(config)
    detector.accept(AudioBlock(0, silence(1)))
    with pytest.raises(AssertionError, match="twice"):
        detector.accept(AudioBlock(SAMPLE_RATE // 2, silence(1)))


def test_the_longest_pause_lies_in_a_pause(config, pause_and_speech):
    detector = SpeechDetector(config)
    detect(pause_and_speech, detector)
    pause = detector.longest_pause(3 * SAMPLE_RATE, 8 * SAMPLE_RATE)
    assert pause is not None
    assert np.array(pause) / SAMPLE_RATE == pytest.approx((5, 7), abs=0.12)
    assert detector.voiced_spans(*pause) == []
    assert detector.voiced_spans(3 * SAMPLE_RATE, 4 * SAMPLE_RATE)
    odd = detector.longest_pause(5 * SAMPLE_RATE + 1234, 6 * SAMPLE_RATE + 77)
    assert odd == (5 * SAMPLE_RATE + 1234, 6 * SAMPLE_RATE + 77)
    assert detector.longest_pause(5000, 5000) is None
    assert detector.longest_pause(100 * SAMPLE_RATE, 101 * SAMPLE_RATE) is None


def test_the_record_of_voice_reaches_back_forty_seconds(config):
    detector = SpeechDetector(config)
    detect(join(spoken(2, -24), silence(39)), detector)
    assert detector.voiced_spans(0, SAMPLE_RATE - FRAME_SAMPLES) == []
    assert detector.voiced_spans(SAMPLE_RATE, 2 * SAMPLE_RATE)
    assert detector.longest_pause(0, SAMPLE_RATE - FRAME_SAMPLES) is None


@pytest.mark.parametrize("noise", ["none", *HARD_NOISES])
@pytest.mark.parametrize("snr_db", [10, 5])
def test_the_network_finds_speech_and_pauses_in_the_noise_of_a_home(espeak, noise, snr_db):
    noisy = espeak + white(len(espeak) / SAMPLE_RATE, -70)
    if noise != "none":
        noisy = noises.mixed(noisy, noise_of(noise, len(noisy), 4), snr_db)
    detector = SpeechDetector(DetectorConfig(Vad.SILERO))
    detect(noisy, detector)
    voiced, carries = voiced_mask(detector, len(noisy)), active(espeak)
    assert (~voiced)[carries].mean() <= 0.08
    far_from_speech = ~np.convolve(carries, np.ones(27), "same").astype(bool)
    assert voiced[far_from_speech].mean() <= 0.03


@pytest.mark.parametrize("noise", noises.KINDS)
@pytest.mark.parametrize("db", [-50, -26])
def test_no_noise_by_itself_is_speech(config, noise, db):
    sound = noise_of(noise, 30 * SAMPLE_RATE, 5) * np.float32(10 ** (db / 20))
    events = detect(np.clip(sound, -1, 1), SpeechDetector(config))
    assert speech_mask(events, len(sound)).mean() <= 0.02


def test_speech_ends_where_only_music_goes_on(config):
    music = noise_of("music", 12 * SAMPLE_RATE, 4) * np.float32(10 ** (-30 / 20))
    events = detect(join(white(1, -60), spoken(3, -24), np.clip(music, -1, 1)), SpeechDetector(config))
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded]
    assert events[1].sample / SAMPLE_RATE < 4 + 5


def test_speech_in_music_goes_on(config, espeak):
    """The network is asked again and again within speech, and hears it each time."""
    carries = np.repeat(active(espeak, below_peak_db=40), FRAME_SAMPLES)
    speech = espeak[: len(carries)][carries]
    noisy = noises.mixed(speech, noise_of("music", len(speech), 1), 10)
    events = detect(noisy, SpeechDetector(config))
    assert [type(event) for event in events] == [SpeechStarted]


def test_speech_is_reported_at_most_80_ms_late(config, espeak):
    carries = active(espeak, 160, below_peak_db=38)
    starts = [i * 160 for i in range(1, len(carries)) if carries[i] and not carries[max(0, i - 50) : i].any()]
    detector, reported = SpeechDetector(config), []
    for at in range(0, len(espeak), 160):
        events = detector.accept(AudioBlock(at, espeak[at : at + 160]))
        reported += [at + 160 for event in events if isinstance(event, SpeechStarted)]
    late = [(there - start) / SAMPLE_RATE for there, start in zip(reported, starts, strict=True)]
    assert np.median(late) <= 0.08, late


def test_the_network_scores_like_the_published_one(jfk):
    """silero_jfk.txt holds the scores of silero_vad_16k_op15.onnx of silero-vad 6.2.3 by onnxruntime 1.32."""
    sound, network = soundfile.read(jfk, dtype="float32")[0], SileroNetwork()
    published = np.loadtxt(Path(__file__).with_name("silero_jfk.txt"))
    scores = [
        network.score(sound[i * NETWORK_FRAME_SAMPLES : (i + 1) * NETWORK_FRAME_SAMPLES]) for i in range(len(published))
    ]
    assert np.abs(scores - published).max() < 0.01  # the weights are rounded to float16


def test_a_network_that_slept_wakes_with_the_first_word():
    speech = spoken(2, -24)
    awake, asleep = SpeechDetector(DetectorConfig(Vad.SILERO)), SpeechDetector(DetectorConfig(Vad.SILERO))
    events = detect(join(white(0.9, -60), speech, white(1, -60)), awake)
    after_sleep = detect(join(white(60, -60), speech, white(1, -60, seed=1)), asleep)
    assert [type(event) for event in after_sleep] == [type(event) for event in events]
    starts = events[0].sample / SAMPLE_RATE - 0.9, after_sleep[0].sample / SAMPLE_RATE - 60
    assert starts[1] == pytest.approx(starts[0], abs=0.07)


@pytest.mark.parametrize("db", [-75, -40])
def test_the_network_is_seldom_asked_in_quiet_and_in_steady_noise(config, db, monkeypatch):
    """It takes nearly all of the detector's time, which `benchmarks.detection` measures."""
    asked, score = [], SileroNetwork.score
    monkeypatch.setattr(SileroNetwork, "score", lambda network, frame: asked.append(1) or score(network, frame))
    detect(white(60, db), SpeechDetector(config))
    assert len(asked) <= 0.15 * 60 * SAMPLE_RATE / NETWORK_FRAME_SAMPLES
    asked.clear()
    detect(np.resize(spoken(4, -24), 8 * SAMPLE_RATE), SpeechDetector(config))
    assert asked
