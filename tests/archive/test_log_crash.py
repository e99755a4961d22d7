"""After kill -9 at any moment everything acknowledged is there; after a power cut everything synced is."""

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.archive.disk import Disk
from livecap.archive.folder import EVENTS, TRANSCRIPT
from livecap.archive.log import SessionLog
from livecap.archive.reader import LogReader
from livecap.archive.recorded import RecordedSession
from livecap.transcript import AudioGap, SessionEvent, TextCommitted, UtteranceEnded
from tests.archive.facts import header
from tests.archive.victims import write_for_ever
from tests.archive.when import STARTED
from tests.session.killed import Running

N_KILLS = 1000 if os.environ.get("LIVECAP_PROVE") else 24


@pytest.mark.parametrize("lot", range(8))
def test_a_killed_process_loses_no_text_that_it_has_shown(tmp_path: Path, lot: int) -> None:
    rng = random.Random(lot)
    for number in range(N_KILLS // 8):
        folder, shown = kill_at_random(tmp_path / str(number), rng)
        session = RecordedSession(folder)
        assert len(session.damages) <= 1, "at most the line that was being written"
        committed = [event for _, event in LogReader(folder / EVENTS).events() if isinstance(event, TextCommitted)]
        assert [f"{event.utterance} {event.text}" for event in committed][: len(shown)] == shown
        assert len(committed) <= len(shown) + 1, "nothing was added"
        text = " ".join(utterance.text for utterance in session.utterances())
        assert all(line.split()[1] in text for line in shown)
        assert session.was_cut_off


def kill_at_random(parent: Path, rng: random.Random) -> tuple[Path, list[str]]:
    """The folder of a session whose process was killed, and the lines that it had shown."""
    running = Running(write_for_ever, parent)
    folder = Path(running.line().decode().strip())
    lines = [running.line() for _ in range(rng.randrange(1, 60))]
    lines += running.kill(after_seconds=rng.random() / 300)  # a moment between two lines, not the end of one
    return folder, [line.decode().rstrip("\n") for line in lines if line.endswith(b"\n")]


def test_sessions_that_start_together_never_share_a_folder(tmp_path: Path) -> None:
    started = [Running(write_for_ever, tmp_path) for _ in range(6)]
    folders = [Path(running.line().decode().strip()) for running in started]
    for running in started:
        running.kill(after_seconds=0)
    assert len(set(folders)) == 6
    assert all(not RecordedSession(folder).damages[1:] for folder in folders)


# ---- power


class PowerCut(Disk):
    """A disk whose power can be cut: it remembers which bytes were synced. Of the blocks written since then each may be
    there or be zeros, and the file may be as short as at the last sync."""

    BLOCK = 64
    """Bytes that are kept or lost together; real blocks are larger, which is easier for a reader."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.names: dict[int, Path] = {}
        self.synced: dict[Path, bytes] = {}

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self.names[descriptor] = path
        self.synced[path] = b""
        return descriptor

    def sync(self, descriptor: int, full: bool) -> None:
        with self.lock:
            size = self.size(descriptor)
            self.synced[self.names[descriptor]] = self.read(descriptor, size, 0)

    def cut(self, path: Path, rng: random.Random) -> bytes:
        """The content of a file after the power is back."""
        with self.lock:
            synced, written = self.synced[path], path.read_bytes()
        assert written.startswith(synced), "what was synced does not change"
        end = rng.randint(len(synced), len(written))
        found = bytearray(written[:end])
        for start in range(len(synced), end, self.BLOCK):
            if rng.random() < 0.4:
                stop = min(start + self.BLOCK, end)
                found[start:stop] = bytes(stop - start)
        return bytes(found)


@pytest.fixture(scope="module", autouse=True)
def hurry() -> Iterator[None]:
    """The log syncs more often than in real use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("livecap.archive.log.SYNC_SECONDS", 0.005)
        yield


@given(st.integers(0, 2**32), st.integers(1, 25), st.integers(0, 25))
def test_a_power_cut_leaves_everything_that_was_synced(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n_synced: int, n_more: int
) -> None:
    parent, rng = tmp_path_factory.mktemp("power"), random.Random(seed)  # the moment of the cut is not repeatable
    disk = PowerCut()
    log = SessionLog(parent, STARTED, disk)
    facts: list[SessionEvent] = [header(log.session)]
    facts += [
        UtteranceEnded("", n, "word " * rng.randrange(30), n, n + 1, None) if n % 3 else AudioGap("", n, n + 1)
        for n in range(n_synced + n_more)
    ]
    for fact in facts[:n_synced]:
        log.append(fact, 1.0)
    assert log.flush(20)
    for fact in facts[n_synced:]:
        log.append(fact, 2.0)
    found = disk.cut(log.folder / EVENTS, rng)
    transcript = disk.cut(log.folder / TRANSCRIPT, rng)
    log.close()
    (log.folder / EVENTS).write_bytes(found)
    reader = LogReader(log.folder / EVENTS)
    read = [event for _, event in reader.events()]
    assert read[:n_synced] == facts[:n_synced]
    rest = iter(facts)
    assert all(event in rest for event in read), "in order, each as it was written, nothing added"
    assert reader.damages or read == facts[: len(read)], "a gap is reported"
    assert transcript.decode(errors="replace").startswith("# 2026-03-01 10:02")
