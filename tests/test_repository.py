"""The repository is in order: file lengths, locks, versions, recordings, documents, and no traces of a machine."""

import importlib.metadata
import json
import re
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from livecap.transcript import SessionEvent, TranscriptUpdate, to_json
from livecap.version import VERSION

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RECORDINGS = ROOT / "recordings"
MAX_LINES = 600
"""About 400 lines are the guide; a file that is one thing may have up to this many."""

LOCKS = {"run": [], "dev": PROJECT["dependency-groups"]["dev"]}
"""Each lock, and what it holds in addition to the dependencies of livecap itself."""


def tracked(*patterns: str) -> list[Path]:
    """The files of the repository that match `patterns`, listed by git, or from the folder if that fails."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    try:
        listed = subprocess.run(git, capture_output=True, check=True, timeout=30).stdout.decode()
        paths = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path for pattern in patterns or ["*"] for path in ROOT.rglob(pattern)]
        skipped = {".git", ".venv", ".cache", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
        paths = [path for path in paths if not skipped & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file())


def text_of(path: Path) -> str | None:
    """The text of a file; None if it is binary."""
    data = path.read_bytes()
    if b"\0" in data[:8192]:
        return None
    return data.decode("utf-8", errors="replace")


def normalised(requirement: str) -> str:
    """The package name in a requirement, normalised as package indexes do it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def locked(name: str) -> dict[str, set[str]]:
    """Package name to locked versions; some packages have different versions for different Pythons."""
    versions: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if pinned := re.match(r"([a-z0-9][a-z0-9._-]*)==([^\s;]+)", line):
            versions.setdefault(normalised(pinned[1]), set()).add(pinned[2])
    return versions


def test_source_files_are_not_too_long():
    sources = tracked("livecap/*.py", "benchmarks/*.py", "training/*.py", "scripts/*")
    assert sources
    long = {path.relative_to(ROOT).as_posix(): n for path in sources if (n := count_lines(path)) > MAX_LINES}
    assert long == {}


def test_docstrings_stand_alone():
    """A docstring names its subject: `Of the decoder.` says something only beside the line above it."""
    sources = tracked("*.py")
    assert sources
    opening = re.compile(r'^ *"""(?:Of|So much|So many) .*', re.MULTILINE)
    found = [(path.name, text) for path in sources for text in opening.findall(path.read_text(encoding="utf-8"))]
    assert found == []


def count_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


MACHINE_WORDS = [
    r"/(?:home|Users)/(?!you\b|me\b|name\b|USER\b)[A-Za-z0-9_.-]+/",
    r"(?<![\w/])/(?:root|work|mnt|private)/[A-Za-z0-9_.-]+",
    r"[A-Z]:\\\\?Users\\",
    r"\b(?:files\.)?python" + r"hosted\.org",
    r"\bpypi" + r"\.org/simple",
    r"--(?:extra-)?index" + r"-url[ =]",
    r"--(?:find-links|trusted-host)[ =]",
    r"https?://[^\s/@]+:[^\s/@]+@",
]
"""Home folders, folders of one machine, registry hosts, and passwords in addresses."""


@pytest.mark.parametrize("pattern", MACHINE_WORDS)
def test_no_file_names_a_machine_or_a_registry(pattern):
    found = []
    for path in tracked():
        text = text_of(path)
        if text is None or path == Path(__file__):
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in re.finditer(pattern, text)]
    assert found == []


@pytest.mark.parametrize("name", LOCKS)
def test_locks_hold_every_dependency(name):
    wanted = {normalised(requirement) for requirement in [*PROJECT["project"]["dependencies"], *LOCKS[name]]}
    assert wanted - locked(name).keys() == set()


@pytest.mark.parametrize("name", LOCKS)
def test_locks_satisfy_pyproject(name):
    packaging = pytest.importorskip("packaging.requirements")
    versions = locked(name)
    for text in [*PROJECT["project"]["dependencies"], *LOCKS[name]]:
        requirement = packaging.Requirement(text)
        for version in versions[normalised(requirement.name)]:
            assert requirement.specifier.contains(version), f"{name}.txt has {version} for {text}: make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_no_host_and_have_hashes(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    pins = re.findall(r"^[a-z0-9][^\n]*", text, flags=re.MULTILINE)
    assert pins and all(pin.endswith("\\") for pin in pins)


def test_both_locks_agree():
    run, dev = locked("run"), locked("dev")
    assert {name: versions for name, versions in run.items() if dev.get(name) != versions} == {}


def test_mlx_is_chosen_by_platform():
    lock = (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8")
    markers = dict(re.findall(r"^(mlx[a-z-]*)==\S+ ; (.*) \\$", lock, flags=re.MULTILINE))
    assert markers["mlx-cpu"] == "sys_platform == 'linux'"
    assert markers["mlx-metal"] == "platform_machine == 'arm64' and sys_platform == 'darwin'"


def test_changelog_has_this_version():
    headings = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert released[0] == VERSION


def test_the_installed_version_is_this_one():
    assert importlib.metadata.version("livecap") == VERSION, "run make setup"


def test_licence_is_whole():
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence and "END OF TERMS AND CONDITIONS" in licence


def test_recordings_have_their_words_and_their_licence():
    recordings = sorted(path for path in RECORDINGS.iterdir() if path.suffix in {".wav", ".flac", ".ogg"})
    assert recordings
    licences = (RECORDINGS / "LICENSE.md").read_text(encoding="utf-8")
    for path in recordings:
        assert path.with_suffix(".txt").read_text(encoding="utf-8").strip(), path
        assert path.name in licences, f"{path.name} is not named in recordings/LICENSE.md"


def test_every_link_in_the_documents_leads_somewhere():
    dead = []
    for path in tracked("*.md"):
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", text):
            if "://" not in target and not (path.parent / target).exists():
                dead.append(f"{path.relative_to(ROOT)}: {target}")
    assert dead == []


def test_every_event_is_documented():
    sections = re.split(r"^## ", (ROOT / "docs" / "events.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for kind in [TranscriptUpdate, *get_args(SessionEvent)]:
        item = kind(**{field.name: "" for field in fields(kind)})
        names = json.loads(to_json(item))
        name = names.pop("type")
        about = "".join(section for section in sections if f"`{name}`" in section.splitlines()[0])
        assert about, f"docs/events.md does not describe {name}"
        assert [field for field in names if f"`{field}`" not in about] == [], name


def test_make_help_names_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert phony
    described = set(re.findall(r"^([a-z]+):.*## ", makefile, flags=re.MULTILINE))
    assert set(phony[1].split()) == described
