"""Build the wheel, install it into an empty environment, and use it as a new user would.

    python scripts/check_wheel.py

The environment holds the locked run dependencies and the wheel, nothing else. The wheel is built from the sdist, so the
sdist is checked too. Only packages of others come from the index or from uv's cache; where neither has them, the check
is skipped and says so.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_WHEEL_MB = 40.0
RECORDINGS = "livecap/recordings/dictation", "livecap/recordings/letter"
HEAVY = {"mlx", "numpy", "textual", "tokenizers"}
"""Packages that `import livecap` must not load."""


UNREACHABLE = ("Request failed", "Failed to fetch", "Failed to download")
"""uv's words where the network is the reason."""


class CheckError(Exception):
    """Something about the wheel is wrong; the message says what."""


def find_uv() -> str | None:
    """uv from the PATH, or the one that scripts/setup.sh installed."""
    own = ROOT / ".cache" / "uv" / "bin" / "uv"
    return shutil.which("uv") or (str(own) if own.is_file() else None)


def run(command: list[str], folder: Path, within_seconds: float = 120) -> "subprocess.CompletedProcess[str]":
    """Run a command in an empty folder, with a home of its own and without this checkout's settings."""
    dropped = ("PYTHON", "VIRTUAL_ENV", "LIVECAP_", "XDG_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    env |= {"HOME": str(folder), "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within_seconds
    )


def required(command: list[str], folder: Path) -> str:
    """The standard output of a command. Raises CheckError where the command fails."""
    done = run(command, folder)
    shown = " ".join([Path(command[0]).name, *command[1:]])
    if done.returncode != 0:
        raise CheckError(f"{shown}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(uv: str, folder: Path, *requirements: str) -> str | None:
    """Make a virtual environment with these requirements.

    Returns:
        None, or why the index cannot be reached.

    Raises:
        CheckError: the requirements cannot be installed for another reason.
    """
    make = [uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)]
    install = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *requirements]
    subprocess.run(make, check=True)
    for offline in (["--offline"], []):  # what the cache has needs no network
        done = subprocess.run([*install, *offline], cwd=ROOT, capture_output=True, text=True)
        if done.returncode == 0:
            return None
    if not any(mark in done.stderr for mark in UNREACHABLE):
        raise CheckError(f"{' '.join(requirements)} cannot be installed:\n{done.stderr}")
    return done.stderr.strip().splitlines()[-1].strip()


def build(uv: str, builder: Path, folder: Path) -> Path:
    """Build the sdist, and from it the wheel. Raises CheckError where that fails."""
    python = str(builder / "bin" / "python")
    options = [*"--quiet --offline --no-build-isolation --python".split(), python, "--out-dir", str(folder)]
    done = subprocess.run([uv, "build", *options, str(ROOT)], capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise CheckError(f"The wheel could not be built:\n{done.stdout}{done.stderr}")
    return wheels[0]


def check_contents(wheel: Path) -> None:
    """Only livecap, with its two recordings, and not too large."""
    names = zipfile.ZipFile(wheel).namelist()
    foreign = {name.split("/")[0] for name in names} - {"livecap"}
    if not all(name.endswith(".dist-info") for name in foreign):
        raise CheckError(f"The wheel has more than livecap: {sorted(foreign)}")
    recordings = [name for name in names if name.endswith((".flac", ".wav", ".ogg"))]
    if sorted(recordings) != [f"{name}.flac" for name in RECORDINGS]:
        raise CheckError(f"The wheel should have just these recordings: {RECORDINGS}, not {recordings}")
    megabytes = wheel.stat().st_size / 1e6
    if megabytes > MOST_WHEEL_MB:
        raise CheckError(f"The wheel has {megabytes:.1f} MB, at most {MOST_WHEEL_MB:g} are allowed")


def check_use(bin_folder: Path, folder: Path) -> None:
    """The commands that need no microphone, no network and no download."""
    python, livecap = str(bin_folder / "python"), str(bin_folder / "livecap")
    version = required([livecap, "--version"], folder)
    if ROOT.joinpath("livecap", "version.py").read_text().split('"')[1] not in version:
        raise CheckError(f"livecap --version prints {version!r}")
    if "usage: livecap" not in required([livecap, "--help"], folder):
        raise CheckError("livecap --help does not say how livecap is used")
    script = "import livecap, sys; print(livecap.__file__, *sys.modules)"
    path, *modules = required([python, "-c", script], folder).split()
    if not Path(path).resolve().is_relative_to(bin_folder.parent.resolve()):
        raise CheckError(f"import livecap loads {path}, which is not the installed package")
    if heavy := HEAVY & {name.partition(".")[0] for name in modules}:
        raise CheckError(f"import livecap loads {sorted(heavy)}")
    if run([python, "-c", "import benchmarks"], folder).returncode == 0:
        raise CheckError("The wheel installs the project's benchmarks")
    old_name = run([livecap, "bench"], folder)
    if old_name.returncode == 0 or "python -m benchmarks" not in old_name.stderr:
        raise CheckError(f"livecap bench should fail and name python -m benchmarks: {old_name.stderr!r}")
    if "$defs" not in json.loads(required([livecap, "bridge", "--print-schema"], folder)):
        raise CheckError("livecap bridge --print-schema prints no schema")
    text = required([livecap, "demo", "--pace", "max", "--plain"], folder)
    if len(text.split()) < 50:
        raise CheckError(f"livecap demo prints too little:\n{text}")
    recording = next(bin_folder.parent.glob(f"lib/*/site-packages/{RECORDINGS[-1]}.flac"))
    arguments = ["--mode", "2", "--step-cost", "0.1", "--no-offline", "--json"]
    [figures] = json.loads(required([livecap, "eval", str(recording), *arguments], folder))["all"]
    if figures["wer"]["stable"] > 0.2:
        raise CheckError(f"livecap eval: {figures['wer']['stable']:.1%} of the words are wrong")


def main() -> int:
    """The exit status: 0 where the wheel is fine, or where the check is skipped."""
    began = time.monotonic()
    uv = find_uv()
    if uv is None:
        print("wheel: skipped, there is no uv here")
        return 0
    with tempfile.TemporaryDirectory(prefix="livecap.") as name:
        folder = Path(name)
        user, builder, home = folder / "user", folder / "builder", folder / "home"
        home.mkdir()
        backend = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
        try:
            for path, requirements in ((builder, backend), (user, ["--requirement", "requirements/run.txt"])):
                if reason := environment(uv, path, *requirements):
                    print(f"wheel: skipped, no package index can be reached: {reason}")
                    return 0
            wheel = build(uv, builder, folder / "dist")
            check_contents(wheel)
            install = [uv, *"pip install --quiet --offline --no-deps --python".split(), str(user / "bin" / "python")]
            required([*install, str(wheel)], home)
            check_use(user / "bin", home)
        except CheckError as error:
            print(f"wheel: {error}", file=sys.stderr)
            return 1
        size = wheel.stat().st_size
    print(
        f"wheel: {wheel.name} has {size / 1e6:.2f} MB, works in an empty environment ({time.monotonic() - began:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
