"""Captured sound can be taken, whatever the disk does, and its file plays whenever the program is killed."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from livecap.audio_in.source import AudioBlock
from livecap.audio_in.spool import MAX_BLOCK_SAMPLES, Spool
from livecap.audio_in.wav_header import HEADER_BYTES, wav_header
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE


def ramp(start, n):
    """Samples whose values tell their positions, exact in 16 bits."""
    return (np.arange(start, start + n) % 30_000 + 1).astype(np.float32) / 32768


def drained(spool):
    """Everything that waits, as blocks."""
    return [AudioBlock(*taken) for taken in iter(spool.take, None)]


@given(
    st.lists(st.tuples(st.sampled_from(["sound", "gap", "take", "file"]), st.integers(1, 5000)), max_size=40),
)
def test_every_sample_is_taken_once_at_its_place(tmp_path_factory, script):
    spool = Spool()
    folder = tmp_path_factory.mktemp("spool")
    expected, heard, end = {}, [], 0
    for what, n in script:
        if what == "sound":
            spool.append(ramp(end, n))
            expected[end] = n
            end += n
        elif what == "gap":
            spool.append_gap(n)
            end += n
        elif what == "take":
            heard += [AudioBlock(*taken)] if (taken := spool.take()) else []
        elif spool.path is None and spool.waiting_samples == spool.end_sample:
            spool.keep_in(folder / "sound.wav")
    heard += drained(spool)
    assert spool.end_sample == end and spool.waiting_samples <= end
    got = [(c.start_sample + i) for c in heard for i in range(len(c.samples))]
    assert got == [start + i for start, n in expected.items() for i in range(n)]
    for block in heard:
        assert np.array_equal(block.samples, ramp(block.start_sample, len(block.samples)))
    spool.close()
    if spool.path is not None:
        samples, rate = soundfile.read(spool.path, dtype="float32")
        assert rate == SAMPLE_RATE and len(samples) == end
        for start, n in expected.items():
            assert np.array_equal(samples[start : start + n], ramp(start, n))
        assert np.count_nonzero(samples) == sum(expected.values())


def test_only_its_owner_may_read_it(tmp_path):
    spool = Spool()
    spool.keep_in(tmp_path / "audio" / "sound.wav")
    assert os.stat(spool.path).st_mode & 0o777 == 0o600
    assert os.stat(spool.path.parent).st_mode & 0o777 == 0o700


@contextmanager
def kept_memory(most_bytes):
    """Memory that is allocated in this context, and still in use at its end, is at most this."""
    gc.collect()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[0] <= most_bytes
    finally:
        tracemalloc.stop()


def test_a_late_reader_costs_no_memory(tmp_path):
    spool = Spool()
    spool.keep_in(tmp_path / "sound.wav")
    with kept_memory(100_000):
        for i in range(600):  # 19 MB
            spool.append(ramp(i * SAMPLE_RATE, SAMPLE_RATE))
    blocks = drained(spool)
    assert {len(block.samples) for block in blocks} == {MAX_BLOCK_SAMPLES}
    assert sum(len(block.samples) for block in blocks) == 600 * SAMPLE_RATE


def test_a_long_gap_takes_no_room(tmp_path):
    spool = Spool()
    spool.keep_in(tmp_path / "sound.wav")
    spool.append(ramp(0, 100))
    spool.append_gap(8 * 3600 * SAMPLE_RATE)
    spool.append(ramp(0, 100))
    spool.close()
    assert soundfile.info(spool.path).frames == 8 * 3600 * SAMPLE_RATE + 200
    assert os.stat(spool.path).st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("how", ["little space", "a full disk"])
def test_a_disk_without_room_is_reported_and_loses_nothing(tmp_path, monkeypatch, how):
    notices, free = [], [1 << 40]
    spool = Spool(on_notice=notices.append, free_bytes=lambda folder: free[0])
    spool.keep_in(tmp_path / "sound.wav")
    for i in range(6):
        spool.append(ramp(i * SAMPLE_RATE, SAMPLE_RATE))
    if how == "little space":
        free[0] = 1000
    else:

        def full(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("livecap.audio_in.spool.os.pwrite", full)
    for i in range(6, 20):
        spool.append(ramp(i * SAMPLE_RATE, SAMPLE_RATE))
    assert len(notices) == 1 and "no longer kept on disk" in notices[0]
    samples = np.concatenate([block.samples for block in drained(spool)])
    assert np.array_equal(samples, np.concatenate([ramp(i * SAMPLE_RATE, SAMPLE_RATE) for i in range(20)]))
    spool.close()
    on_disk, _ = soundfile.read(spool.path, dtype="float32")
    assert np.array_equal(on_disk, samples[: len(on_disk)]) and len(on_disk) >= 6 * SAMPLE_RATE


def test_sound_that_was_taken_leaves_memory():
    spool = Spool()
    with kept_memory(100_000):
        for i in range(20):
            spool.append(ramp(i * SAMPLE_RATE, SAMPLE_RATE))
            assert spool.take() is not None


def test_a_folder_that_cannot_be_written_is_reported_and_sound_stays_in_memory(tmp_path):
    (tmp_path / "file").write_text("")
    notices = []
    spool = Spool(on_notice=notices.append)
    spool.append(ramp(0, 100))
    spool.keep_in(tmp_path / "file" / "sound.wav")
    assert len(notices) == 1
    spool.append(ramp(100, 100))
    start, samples = spool.take()
    assert start == 0 and np.array_equal(samples, ramp(0, 200))


def test_a_file_that_another_program_made_shorter_is_an_error_and_no_silence(tmp_path):
    spool = Spool()
    spool.keep_in(tmp_path / "sound.wav")
    spool.append(ramp(0, 1000))
    os.truncate(tmp_path / "sound.wav", HEADER_BYTES + 1998)
    with pytest.raises(AudioError, match=r"sound\.wav is shorter than what was written to it"):
        spool.take()


def test_the_file_plays_after_a_kill_at_any_moment(tmp_path):
    script = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from livecap.audio_in.spool import Spool\n"
        "spool = Spool(); spool.keep_in(Path(sys.argv[1]))\n"
        "while True:\n"
        "    spool.append(np.full(320, 0.5, np.float32))\n"
        "    if spool.end_sample == 32000: print('far enough', flush=True)\n"
    )
    path = tmp_path / "sound.wav"
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    samples, rate = soundfile.read(path, dtype="float32")
    assert len(samples) >= 32000 and np.all(samples == 0.5)
    n_bytes_behind = path.stat().st_size - HEADER_BYTES - 2 * len(samples)
    assert 0 <= n_bytes_behind <= 640  # of the block that was being written; Linux may end a write between two pages


def test_the_header_of_37_hours_and_more_is_rf64(tmp_path):
    path = tmp_path / "sound.wav"
    n_samples = 40 * 3600 * SAMPLE_RATE
    with path.open("wb") as file:
        file.write(wav_header(n_samples))
        file.truncate(HEADER_BYTES + 2 * n_samples)
    info = soundfile.info(path)
    assert (info.frames, info.samplerate, info.channels, info.format) == (n_samples, SAMPLE_RATE, 1, "RF64")


def test_writer_and_reader_do_not_disturb_each_other(tmp_path):
    spool = Spool()
    spool.keep_in(tmp_path / "sound.wav")
    n_blocks, heard = 2000, []

    def write():
        for i in range(n_blocks):
            spool.append(ramp(i * 320, 320))
            if i % 100 == 99:
                spool.append_gap(0)

    writer = threading.Thread(target=write)
    writer.start()
    while sum(len(block.samples) for block in heard) < n_blocks * 320:
        if taken := spool.take():
            heard.append(AudioBlock(*taken))
        else:
            time.sleep(0.001)
    writer.join()
    assert np.array_equal(np.concatenate([block.samples for block in heard]), ramp(0, n_blocks * 320))
