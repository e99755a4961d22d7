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
import os, sys
from livecap.cli import main, run, output
from livecap.session import live
from livecap.model.checkpoint import load

def status():
    child = os.fork()
    if not child:
        sys.exit(main.run(sys.argv[2:]))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

print(*(status() for _ in range(int(sys.argv[1]))))
"""


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


@pytest.mark.skipif(sys.platform != "linux", reason="a process that has used Metal cannot be forked")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_model_ends_every_session_with_one_line_and_status_1(tmp_path: Path, damage: str) -> None:
    model = tmp_path / "model"
    shutil.copytree(TINY, model)
    DAMAGES[damage](model)
    flags = [
        "--replay",
        demo_recording(),
        "--pace",
        "max",
        "--context",
        "Priya",
        "--plain",
        "--log-dir",
        tmp_path / "s",
    ]
    command = [sys.executable, "-c", RUNS, N_RUNS, *flags, "--model", model]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=400, cwd=ROOT)
    assert done.stdout.split() == ["1"] * N_RUNS, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == N_RUNS and set(lines) == {lines[0]} and lines[0].startswith("livecap: ")
    logs = list(tmp_path.glob("s/*/session.jsonl"))
    assert len(logs) == (0 if damage in BEFORE_SESSION else N_RUNS), "what is seen before the session needs no log"
    for log in logs:
        last = json.loads(log.read_text().splitlines()[-1])
        assert last["type"] == "session_ended" and last["reason"].startswith("failed: ")
