"""The ring buffer returns each sample once and in order, or says which were lost; samples are never mixed up."""

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.audio_in.device.ring_buffer import RingBuffer


def block_of(start, length, n_channels=1):
    """Samples with the value of their index; channels differ by a quarter."""
    indexes = np.arange(start, start + length, dtype=np.float32)[:, None]
    return indexes + np.arange(n_channels, dtype=np.float32) / 4


def read(ring, n_channels=1):
    """Everything that the ring buffer holds, as an array."""
    start, data = ring.read()
    return start, np.frombuffer(data, np.float32).reshape(-1, n_channels)


@settings(max_examples=150)
@given(st.integers(1, 20), st.integers(1, 3), st.lists(st.one_of(st.none(), st.integers(0, 50)), max_size=40))
def test_behaves_like_a_list_that_forgets_its_front(capacity, n_channels, operations):
    """Among the operations, None reads and a number writes that many samples."""
    ring = RingBuffer(capacity, n_channels)
    unread, written = [], 0
    for length in [*operations, None]:
        if length is None:
            start, samples = read(ring, n_channels)
            assert samples.shape == (len(unread), n_channels)
            assert np.array_equal(samples, block_of(start, len(samples), n_channels))
            assert start == written - len(unread)
            unread = []
        else:
            ring.write(block_of(written, length, n_channels))
            unread = [*unread, *range(written, written + length)][-capacity:]
            written += length


def test_what_was_read_is_a_copy():
    ring = RingBuffer(4, 1)
    ring.write(block_of(0, 4))
    _, samples = read(ring)
    ring.write(block_of(4, 4))
    assert np.array_equal(samples, block_of(0, 4))


def test_the_caller_may_reuse_its_block():
    ring, block = RingBuffer(8, 1), block_of(0, 4)
    ring.write(block)
    block[:] = -1
    assert np.array_equal(read(ring)[1], block_of(0, 4))


def test_a_reader_that_is_overtaken_while_it_copies_drops_what_was_replaced(monkeypatch):
    """The writer overtakes the reader in the middle of `read`."""
    ring = RingBuffer(8, 1)
    ring.write(block_of(0, 8))
    copy_parts = ring._copy

    def overtaken(*parts):
        copy = copy_parts(*parts)
        ring.write(block_of(8, 3))
        return copy

    monkeypatch.setattr(ring, "_copy", overtaken)
    start, samples = read(ring)
    assert start == 3 and np.array_equal(samples, block_of(3, 5))
    monkeypatch.undo()
    assert ring.read()[0] == 8


def test_two_threads_see_no_torn_sample():
    capacity, block_samples, n_blocks = 3000, 700, 4000
    ring, done = RingBuffer(capacity, 2), threading.Event()

    def write():
        for i in range(n_blocks):
            ring.write(block_of(i * block_samples, block_samples, 2))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    expected = n_read = n_lost = 0
    while True:
        finished = done.is_set()
        start, samples = read(ring, 2)
        assert start >= expected
        assert np.array_equal(samples, block_of(start, len(samples), 2))
        n_lost += start - expected
        n_read += len(samples)
        expected = start + len(samples)
        if finished:
            break
    writer.join()
    assert n_read + n_lost == block_samples * n_blocks and n_read > 0
