"""Without MLX every command says in one line what this Python is and what to install."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from livecap.model.without_mlx import missing_mlx, sentence
from livecap.shipped import demo_recording

ROOT = Path(__file__).parents[2]
HIDDEN = """
import sys
from importlib.machinery import PathFinder

class WithoutMlx:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] == "mlx" else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutMlx
sys.argv = ["livecap", *sys.argv[1:]]
from livecap.__main__ import main
main()
"""


def livecap(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program in a Python that has no MLX."""
    environment = os.environ | {"LIVECAP_SETTINGS": str(folder / "settings.toml"), "HF_HUB_CACHE": str(folder / "hub")}
    return subprocess.run(
        [sys.executable, "-c", HIDDEN, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--plain"],
        ["--replay", str(demo_recording()), "--model", "tiny", "--plain"],
        ["--mic", "--plain", "--model", "tiny"],
        ["eval", str(demo_recording())],
        ["quantize", "tiny", "-o", "new-folder-that-is-not-made"],
        ["transcribe", str(demo_recording()), "--model", "tiny"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_that_computes_is_one_line(tmp_path: Path, arguments: list[str]) -> None:
    log = [] if arguments[0] in ("eval", "quantize", "transcribe") else ["--log-dir", str(tmp_path / "logs")]
    done = livecap(tmp_path, *arguments, *log)
    assert done.returncode == 1, done.stderr
    [line] = [line for line in done.stderr.splitlines() if line]
    assert line.startswith("livecap: This Python (") and "MLX" in line and "uv tool install" in line
    assert done.stdout == "" and not (tmp_path / "logs").exists()


def test_doctor_reports_it_and_all_else(tmp_path: Path) -> None:
    done = livecap(tmp_path, "doctor", "--selftest", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert (
        report["mlx"]["problem"].startswith("This Python (")
        and report["selftest"]["problem"] == report["mlx"]["problem"]
    )
    assert report["machine"]["cores"] and "capture" in report


@pytest.mark.parametrize("arguments", [["models"], ["models", "check", "tiny"], ["config"], ["sessions", "list"]])
def test_what_computes_nothing_works(tmp_path: Path, arguments: list[str]) -> None:
    done = livecap(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr


def test_each_kind_of_python_is_named() -> None:
    assert missing_mlx() is None
    rosetta = sentence("Darwin", "x86_64", True, "is not installed")
    assert "made for Intel and runs in Rosetta" in rosetta and "arch -arm64 brew install uv" in rosetta
    intel = sentence("Darwin", "x86_64", False, "is not installed")
    assert "a Mac with an Intel processor" in intel and "uv tool install" not in intel
    old = sentence("Darwin", "arm64", False, "cannot be loaded (no symbol)")
    assert "cannot be loaded (no symbol). Update macOS to 14 or newer" in old
    assert "glibc 2.35" in sentence("Linux", "aarch64", False, "is not installed")
    assert "runs on Windows" in sentence("Windows", "AMD64", False, "is not installed")
    for text in (rosetta, intel, old):
        assert sys.executable in text and "\n" not in text
