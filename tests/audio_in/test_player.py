"""Saved sound is played from the wanted sample to its end, as recorded from a real output."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from livecap.audio_out import player as playing
from livecap.audio_out.player import Player
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE
from tests.audio_in import virtual_mic
from tests.audio_in.portaudio_here import show_portaudio
from tests.audio_in.virtual_mic import VirtualMic
from tests.audio_in.waiting import eventually

PIECE = SAMPLE_RATE // 25
COMMAND = ["parec", "--device=vmic_Speakers.monitor", f"--rate={SAMPLE_RATE}", "--channels=1", "--format=float32le"]


class Speakers:
    """An output, and a recording of all that it plays."""

    def __init__(self, virtual):
        self._virtual, self._heard = virtual, bytearray()
        self._recorder = subprocess.Popen([*COMMAND, "--latency-msec=20"], stdout=subprocess.PIPE)
        threading.Thread(target=self._record, daemon=True).start()
        eventually(lambda: self._heard)

    def _record(self):
        while data := self._recorder.stdout.read1(1 << 14):
            self._heard.extend(data)

    @property
    def heard(self):
        """The recording without the silence around it."""
        sound = np.frombuffer(bytes(self._heard[: len(self._heard) // 4 * 4]), np.float32)
        loud = np.nonzero(np.abs(sound) > 1e-4)[0]
        return sound[loud[0] : loud[-1] + 1] if len(loud) else sound[:0]

    def close(self):
        self._recorder.terminate()
        self._recorder.wait()
        self._recorder.stdout.close()


@pytest.fixture
def speakers(monkeypatch):
    if trouble := virtual_mic.missing():
        pytest.skip(trouble)
    virtual = VirtualMic()
    speakers = None
    try:
        virtual.add("Speakers", 48_000, 2)
        show_portaudio(virtual, monkeypatch)
        speakers = Speakers(virtual)
        yield speakers
    finally:
        if speakers is not None:
            speakers.close()
        virtual.close()


def place(piece, track):
    """The sample of a track at which a recorded piece begins, and the correlation of the two."""
    n = len(piece)
    alike = np.correlate(track, piece, "valid")
    at = int(alike.argmax())
    there = track[at : at + n]
    return at, float(alike[at] / np.sqrt(np.dot(piece, piece) * np.dot(there, there)))


@pytest.mark.mic
def test_sound_is_heard_from_the_sample_on_and_to_its_end(speakers, tmp_path):
    chance = np.random.default_rng(1)
    noise = chance.uniform(-1.0, 1.0, (2, 3 * SAMPLE_RATE))
    tracks = [np.convolve(each, np.ones(20) / 20, "same").astype(np.float32) for each in noise]
    files = []
    for number, track in enumerate(tracks):
        files.append(tmp_path / f"{number}.flac")
        soundfile.write(files[-1], track, SAMPLE_RATE)
    start = 2 * SAMPLE_RATE + 1234
    player = Player(files, start)
    eventually(lambda: player.ended)
    mixed = tracks[0] + tracks[1]

    def is_heard(piece, at):  # short and with a low bound, since a busy machine makes gaps
        if len(piece) < PIECE:
            return False
        found, alike = place(piece, mixed)
        return abs(found - at) < SAMPLE_RATE // 200 and alike > 0.5

    eventually(lambda: is_heard(speakers.heard[-PIECE:], len(mixed) - PIECE))
    assert is_heard(speakers.heard[:PIECE], start)


@pytest.mark.mic
def test_closing_is_silence(speakers, tmp_path):
    path = tmp_path / "long.flac"
    soundfile.write(path, np.full(60 * SAMPLE_RATE, 0.25, np.float32), SAMPLE_RATE)
    player = Player([path], 0)
    eventually(lambda: len(speakers.heard) > SAMPLE_RATE // 4)
    player.close()
    eventually(lambda: player.ended)
    assert player.sample < 30 * SAMPLE_RATE


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(AudioError, match="cannot be played"):
        Player([tmp_path / "nothing.flac"], 0)


class Output:
    """An output that keeps what is played."""

    latency = 0.0

    def __init__(self):
        self.blocks = []

    def write(self, block):
        self.blocks.append(block[:, 0].copy())


class UnpluggedOutput(Output):
    """An output whose device goes away after half a second."""

    def write(self, block):
        if len(self.blocks) == 10:
            raise sys.modules["sounddevice"].PortAudioError("Stream is stopped")
        super().write(block)


def test_an_output_that_goes_away_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("sounddevice", exc_type=OSError)
    soundfile.write(tmp_path / "sound.wav", np.full(2 * SAMPLE_RATE, 0.25, np.float32), SAMPLE_RATE)
    monkeypatch.setattr(playing, "open_output", lambda rate: UnpluggedOutput())
    monkeypatch.setattr(playing, "close_output", lambda stream: None)
    player = Player([tmp_path / "sound.wav"], 0)
    eventually(lambda: player.ended and not player._thread.is_alive())  # it has closed the output of this test
    assert player.trouble == "The output stopped playing: Stream is stopped." and player.sample == SAMPLE_RATE // 2


@pytest.mark.parametrize(("rate", "n_channels"), [(44_100, 2), (SAMPLE_RATE, 2), (48_000, 1)])
def test_a_recording_that_the_user_put_there_is_heard_at_its_speed(rate, n_channels, tmp_path, monkeypatch):
    seconds = np.arange(3 * rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * seconds) * (seconds >= 2)
    soundfile.write(tmp_path / "sound.wav", np.repeat(tone[:, None], n_channels, axis=1), rate)
    output = Output()
    monkeypatch.setattr(playing, "open_output", lambda rate: output)
    monkeypatch.setattr(playing, "close_output", lambda stream: None)
    player = Player([tmp_path / "sound.wav"], SAMPLE_RATE)
    eventually(lambda: player.ended and not player._thread.is_alive())  # it has closed the output of this test
    loud = np.flatnonzero(np.abs(np.concatenate(output.blocks)) > 0.01)
    assert abs(loud[0] - SAMPLE_RATE) < 100 and abs(loud[-1] - 2 * SAMPLE_RATE) < 200
    assert abs(player.sample - 3 * SAMPLE_RATE) < 100
