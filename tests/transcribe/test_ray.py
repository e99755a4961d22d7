"""Recordings on a Ray cluster: the texts of one process, each once, whatever is killed meanwhile.

The cluster has two workers on this machine. These tests need the extra livecap[ray].
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from livecap.transcribe.ledger import LEDGER

pytest.importorskip("ray", reason="needs the extra livecap[ray]")

ROOT = Path(__file__).parents[2]
SOUND = ROOT / "recordings" / "turns.flac"
N_TALKS, SECONDS = 3, 40
LIMIT_SECONDS = 120
MACHINE = {
    "num_cpus": 1,
    "resources": {"livecap": 1},
    "object_store_memory": 100_000_000,
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster with one worker."""
    # Ray's own processes use the address that this machine has for others, which the other tests are denied.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args=MACHINE)
        yield made
        made.shutdown()


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings of different sound, and one that is broken."""
    folder = tmp_path_factory.mktemp("talks")
    samples, rate = soundfile.read(SOUND, dtype="float32")
    for number in range(N_TALKS):
        soundfile.write(folder / f"talk{number}.wav", samples[number * rate : (number + SECONDS) * rate], rate)
    (folder / "broken.wav").write_bytes(b"RIFF----WAVEnothing")
    return folder


@pytest.fixture(scope="module")
def alone(talks: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name to text of each output of one process."""
    folder = tmp_path_factory.mktemp("alone")
    done = start(talks, folder)
    done.communicate(timeout=LIMIT_SECONDS)
    assert done.returncode == 1, "one recording is broken"
    return texts_in(folder)


def start(talks: Path, folder: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "livecap", "transcribe", talks, "-o", folder, "--model", "tiny", *more]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def texts_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if not path.name.startswith(".")}


def written_once(folder: Path, expected: dict[str, str]) -> None:
    """The texts are those of one process, and nothing is doubled or half written."""
    assert texts_in(folder) == expected
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == [LEDGER]
    outputs = [name for line in (folder / LEDGER).read_text().splitlines() for name in json.loads(line)["outputs"]]
    assert sorted(outputs) == sorted(expected)


def engines() -> list[int]:
    """The processes that decode now."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::_Worker.decode"):
                found.append(int(path.parent.name))
        except OSError:
            continue  # it has ended
    return found


def wait_for(what: Any) -> Any:
    ends = time.monotonic() + LIMIT_SECONDS
    while not (found := what()):
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.02)
    return found


def test_an_engine_that_is_killed_loses_and_doubles_nothing(
    cluster: Any, talks: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    process = start(talks, tmp_path, "--ray", cluster.address, "--verbose")
    os.kill(wait_for(engines)[0], signal.SIGKILL)
    printed, said = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1, said
    assert sorted(printed.split()) == [str(tmp_path / name) for name in alone], "Ray's own messages are not among them"
    assert said.count("Cannot read") == 1 and "3 of 4 recordings transcribed, 1 failed" in said
    assert said.count("has loaded the model") == 2, "another engine took its place"
    written_once(tmp_path, alone)


def test_a_run_that_is_killed_goes_on_and_a_machine_that_joins_late_helps(
    cluster: Any, talks: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    first = start(talks, tmp_path, "--ray", cluster.address, "--batch", "1")
    wait_for(lambda: list(tmp_path.glob("*.txt")))
    first.kill()
    first.communicate(timeout=LIMIT_SECONDS)
    finished = texts_in(tmp_path)
    assert finished.items() <= alone.items()
    second = start(talks, tmp_path, "--ray", cluster.address, "--verbose")
    node = cluster.add_node(**MACHINE)
    _, said = second.communicate(timeout=LIMIT_SECONDS)
    cluster.remove_node(node)
    assert second.returncode == 1, said
    assert said.count(" is finished") == len(finished)
    written_once(tmp_path, alone)


@pytest.mark.parametrize("machine", ["none", "without a model"])
def test_a_cluster_that_cannot_decode_is_one_line(cluster: Any, talks: Path, tmp_path: Path, machine: str) -> None:
    if machine == "none":
        process = start(talks, tmp_path, "--ray", "127.0.0.1:9")
        expected = "There is no Ray cluster at 127.0.0.1:9"
    else:
        process = start(talks, tmp_path, "--ray", cluster.address, "--model", "./missing")
        expected = "./missing"
    _, said = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1 and expected in said and said.count("\n") == 1, said
    assert list(tmp_path.iterdir()) == []
