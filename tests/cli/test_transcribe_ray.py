"""`livecap transcribe --ray` with a scripted cluster in this process: order, and each output once. Needs no Ray."""

import importlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import soundfile

from livecap.cli.main import run
from livecap.errors import LivecapError
from livecap.transcribe import jobs
from livecap.transcribe.ledger import LEDGER
from livecap.transcribe.result import Segment, Timings
from livecap.transcribe.units import Unit

RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"


class Pool:
    """A cluster of one machine."""

    n_machines = 1

    def __init__(self, *arguments: object) -> None:
        self.n_open = 1

    def close(self) -> None:
        self.n_open -= 1


class Elsewhere:
    """Writes how long each piece is, without a model."""

    most_waiting = 1

    def __init__(self, pool: Pool, settings: Any) -> None:
        self.settings = settings

    def n_batches(self, batch: int) -> int:
        return 1

    def begin(self, unit: Unit, options: object, is_stopped: Callable[[], bool]) -> Iterator[Any]:
        for batch in unit.batches:
            segments = [
                Segment(
                    f"{len(each.samples)} samples", each.start_sample, each.end_sample, "English", (), "stop", 2, 9.0
                )
                for each in batch
            ]
            yield segments, Timings()

    def change(self, settings: object) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the command, with a pool that needs no Ray."""
    pool = ModuleType("livecap.transcribe.ray_pool")
    pool.RayPool, pool.Elsewhere = Pool, Elsewhere  # type: ignore[attr-defined]
    pool.NotDecoded = type("NotDecoded", (LivecapError,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, pool.__name__, pool)
    monkeypatch.delitem(sys.modules, "livecap.cli.transcribe_ray", raising=False)
    yield importlib.import_module("livecap.cli.transcribe_ray")
    del sys.modules["livecap.cli.transcribe_ray"]


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """Recordings whose names are not in the order of their lengths."""
    folder = tmp_path / "talks"
    folder.mkdir()
    samples, rate = soundfile.read(RECORDING, dtype="float32")
    for name, seconds in (("a", 3), ("b", 12), ("c", 1), ("d", 6)):
        soundfile.write(folder / f"{name}.wav", samples[: seconds * rate], rate)
    return folder


def transcribe(talks: Path, out: Path) -> int:
    return run(["transcribe", str(talks), "-o", str(out), "--model", "tiny", "--ray", "auto", "--no-progress"])


def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the name of each recording whose sound is read, in order."""
    names: list[str] = []
    real = jobs.transcribe_file

    def noted(engine: Any, path: Path, *arguments: Any) -> Any:
        names.append(path.stem)
        return real(engine, path, *arguments)

    monkeypatch.setattr(jobs, "transcribe_file", noted)
    return names


def outputs(out: Path) -> list[str]:
    """The names in all lines of what is finished; a name that was written twice is there twice."""
    return sorted(name for line in (out / LEDGER).read_text().splitlines() for name in json.loads(line)["outputs"])


def test_recordings_begin_with_the_longest(
    work: Any, talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = begun(monkeypatch)
    monkeypatch.setattr(Pool, "n_machines", 0)
    monkeypatch.setattr(work, "RECORDINGS_PER_MACHINE", 1)  # one thread, so that the order is known
    assert transcribe(talks, tmp_path / "out") == 0
    assert names == ["b", "d", "a", "c"]


def test_threads_share_the_recordings_and_write_each_once(
    work: Any, talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = begun(monkeypatch)
    every = threading.Barrier(4, timeout=60)
    real = work.SpreadWork.transcribe_one

    def together(self: Any, found: Any) -> None:
        every.wait()  # each of four threads has begun one
        real(self, found)

    monkeypatch.setattr(work.SpreadWork, "transcribe_one", together)
    assert transcribe(talks, tmp_path / "out") == 0
    assert sorted(names) == ["a", "b", "c", "d"]
    assert outputs(tmp_path / "out") == ["a.txt", "b.txt", "c.txt", "d.txt"]


def test_what_has_its_name_is_skipped_and_the_rest_written_once(
    work: Any, talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert transcribe(talks, out) == 0
    texts = {path.name: path.read_text() for path in out.glob("*.txt")}
    (out / "d.txt").unlink()
    names = begun(monkeypatch)
    capsys.readouterr()
    assert transcribe(talks, out) == 0
    assert names == ["d"] and capsys.readouterr().err.count(" is finished") == 3
    assert {path.name: path.read_text() for path in out.glob("*.txt")} == texts
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == [LEDGER]


def test_the_cluster_is_left_and_a_unit_that_failed_names_its_recording(
    work: Any, talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pools: list[Pool] = []
    monkeypatch.setattr(work, "RayPool", lambda *arguments: pools.append(Pool()) or pools[0])
    real = Elsewhere.begin

    def begin(self: Elsewhere, unit: Unit, options: object, is_stopped: Callable[[], bool]) -> Iterator[Any]:
        if unit.batches[-1][-1].end_sample > 8 * 16_000:
            raise work.NotDecoded("3 tries failed; the last one: a worker ended.")
        return real(self, unit, options, is_stopped)

    monkeypatch.setattr(Elsewhere, "begin", begin)
    assert transcribe(talks, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert f"Cannot transcribe {talks / 'b.wav'}: 3 tries failed; the last one: a worker ended." in said
    assert "3 of 4 recordings transcribed, 1 failed." in said and pools[0].n_open == 0
    assert outputs(tmp_path / "out") == ["a.txt", "c.txt", "d.txt"]
