"""A model that cannot be loaded ends the session as a failure: one line, status 1, never an abort of the process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from livecap.shipped import demo_recording

ROOT = Path(__file__).parents[2]
TINY = ROOT / "livecap" / "tiny"
N_RUNS = 50 if os.environ.get("LIVECAP_PROVE") else 1
"""For each kind of damage. An abort came in half of the runs, when the thread that had loaded the model ended."""

RUNS = """
import json, os, sys
from livecap.cli import main, run, output
from livecap.session import live
from livecap.model.checkpoint import load

for arguments in json.loads(sys.argv[2]):
    for _ in range(int(sys.argv[1])):
        child = os.fork()
        if not child:
            sys.exit(main.run(arguments))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr, flush=True)
"""
"""Each session in a process of its own, forked from one that has loaded the program."""


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def with_layers(folder: Path, n_layers: int) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["thinker_config"]["audio_config"]["encoder_layers"] = n_layers
    (folder / "config.json").write_text(json.dumps(config))


def into_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def with_wrong_shapes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["thinker_config"]["audio_config"]["encoder_ffn_dim"] += 8
    (folder / "config.json").write_text(json.dumps(config))


def with_panic(folder: Path) -> None:
    """The Rust library panics when it first uses this normaliser, with an exception that is not an Exception."""
    vocabulary = json.loads((folder / "vocab.json").read_text())
    spec = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
    (folder / "tokenizer.json").write_text(json.dumps(spec))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "weights cut off": cut,
    "missing layers": lambda folder: with_layers(folder, 2),
    "wrong shapes": with_wrong_shapes,
    "config not JSON": lambda folder: (folder / "config.json").write_text("{"),
    "merges not UTF-8": lambda folder: (folder / "merges.txt").write_bytes(b"\xff\xfe"),
    "nested vocabulary": lambda folder: (folder / "vocab.json").write_text("[" * 100_000),
    "damaged weights": lambda folder: (folder / "model.safetensors").write_bytes(b"\x10" + bytes(7) + b'{"a":[['),
    "panic of a library": with_panic,
    "layers without end": lambda folder: with_layers(folder, 10**9),
    "a FIFO as weights": lambda folder: into_fifo(folder / "model.safetensors"),
    "a FIFO as configuration": lambda folder: into_fifo(folder / "config.json"),
    "a nested configuration": lambda folder: (folder / "config.json").write_text('{"a":' * 100_000),
}  # fmt: skip

BEFORE_SESSION = {"config not JSON", "layers without end", "a FIFO as configuration", "a nested configuration"}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[str]]]:
    """For each damage the folder of its sessions, and what they said, with the status of each after its lines."""
    folder = tmp_path_factory.mktemp("models")
    flags = ["--replay", str(demo_recording()), "--pace", "max", "--context", "Priya", "--plain"]
    runs = []
    for number, damage in enumerate(DAMAGES.values()):
        model = folder / f"model{number}"
        shutil.copytree(TINY, model)
        damage(model)
        runs.append([*flags, "--log-dir", str(folder / f"s{number}"), "--model", str(model)])
    command = [sys.executable, "-c", RUNS, str(N_RUNS), json.dumps(runs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, cwd=ROOT)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr
    lines = iter(done.stderr.splitlines())
    said: list[list[str]] = []
    for _ in DAMAGES:
        said.append([])
        while sum(line.lstrip("-").isdecimal() for line in said[-1]) < N_RUNS:
            said[-1].append(next(lines))
    return {damage: (folder / f"s{number}", said[number]) for number, damage in enumerate(DAMAGES)}


@pytest.mark.skipif(sys.platform != "linux", reason="a process that has used Metal cannot be forked")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_model_ends_every_session_with_one_line_and_status_1(
    ended: dict[str, tuple[Path, list[str]]], damage: str
) -> None:
    sessions, lines = ended[damage]
    assert lines[1::2] == ["1"] * N_RUNS, lines
    assert len(lines) == 2 * N_RUNS and set(lines[::2]) == {lines[0]} and lines[0].startswith("livecap: ")
    logs = list(sessions.glob("*/session.jsonl"))
    assert len(logs) == (0 if damage in BEFORE_SESSION else N_RUNS), "what is seen before the session needs no log"
    for log in logs:
        last = json.loads(log.read_text().splitlines()[-1])
        assert last["type"] == "session_ended" and last["reason"].startswith("failed: ")
