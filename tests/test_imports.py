"""Who may import whom (docs/decisions/0001-layout.md), and where heavy libraries may be imported."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from livecap.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "livecap"
SOURCES = sorted(PACKAGE.rglob("*.py"))

EVERYBODY = {"transcript", "errors"}
ALLOWED = {
    "transcript": {"text"},
    "errors": set(),
    "files": set(),
    "version": set(),
    "steady_clock": set(),
    "this_machine": set(),
    "model_thread": {"errors"},
    "text": {"errors"},
    "settings": EVERYBODY | {"files"},
    "shipped": EVERYBODY,
    "audio_in": EVERYBODY | {"steady_clock"},
    "audio_out": EVERYBODY | {"audio_in"},
    "model": EVERYBODY | {"files", "text"},
    "align": EVERYBODY | {"audio_in", "model", "text"},
    "speakers": EVERYBODY | {"files", "model", "text"},
    "stream": EVERYBODY | {"model", "audio_in", "text"},
    "engine": EVERYBODY | {"align", "audio_in", "model", "shipped", "stream"},
    "remote": EVERYBODY | {"audio_in", "engine", "model", "stream", "text"},
    "transcribe": EVERYBODY
    | {"align", "archive", "audio_in", "engine", "export", "files", "model", "speakers", "stream", "text", "version"},
    "api": EVERYBODY
    | {"align", "audio_in", "engine", "model", "model_thread", "speakers", "stream", "text", "transcribe"},
    "archive": EVERYBODY | {"audio_in", "files", "steady_clock", "text", "version"},
    "export": EVERYBODY | {"archive", "audio_out", "files", "text", "version"},
    "session": EVERYBODY
    | {"archive", "engine", "files", "speakers", "stream", "audio_in", "steady_clock", "text", "version"},
    "eval": EVERYBODY
    | {"audio_in", "archive", "engine", "files", "model", "stream", "text", "this_machine", "version"},
    "tui": EVERYBODY
    | {"audio_in", "session", "archive", "export", "files", "settings", "text", "this_machine", "version"},
    "integrations": EVERYBODY | {"archive", "export", "files", "serve", "session", "settings", "text", "version"},
    "serve": EVERYBODY
    | {
        "archive",
        "audio_in",
        "engine",
        "export",
        "files",
        "model",
        "model_thread",
        "session",
        "speakers",
        "stream",
        "text",
    }
    | {"this_machine", "transcribe", "version"},
    "cli": None,
    "__main__": {"cli"},
}
"""The parts of livecap that each folder or file may import, besides itself; None means all."""

OWNERS = {
    "mlx": ("model/backend.py", "model/nn.py"),  # the BLAS comes before MLX, see model/backend.py
    "tokenizers": ("model/",),
    "huggingface_hub": ("model/",),
    "sounddevice": ("audio_in/", "audio_out/"),
    "soundfile": ("audio_in/", "audio_out/", "eval/"),
    "soxr": ("audio_in/",),
    "webrtcvad": ("audio_in/",),
    "textual": ("tui/", "cli/"),
    "rich": ("tui/",),
    "platformdirs": ("cli/", "settings/sources.py"),
    "tomlkit": ("settings/file.py",),
    "mcp": ("integrations/mcp_server.py",),
    "starlette": ("serve/",),
    "uvicorn": ("serve/",),
    "nagisa": ("align/",),
    "ray": ("transcribe/ray_pool.py",),
    "soynlp": ("align/",),
    "torch": (),
    "transformers": (),
}
"""Each library and the only places that may import it."""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path, late: bool = True) -> set[str]:
    """The dotted names that a file imports. Without `late`, imports inside functions are left out."""
    names: set[str] = set()
    nodes: list[ast.AST] = [tree_of(path)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the full name"
            module = node.module or ""
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
        if late or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes += ast.iter_child_nodes(node)
    return names


def place(path: Path) -> str:
    """Which row of ALLOWED a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def module_file(name: str) -> Path | None:
    """The file of livecap that a dotted name refers to, or None."""
    path = ROOT.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def reached(path: Path, late: bool = False) -> set[str]:
    """All names that importing this file imports, directly or through other files of livecap; with `late`, also inside
    functions."""
    found: set[str] = set()
    seen = {path}
    todo = [path]
    while todo:
        names = imported(todo.pop(), late)
        found |= names
        for file in {module_file(name) for name in names} - seen - {None}:
            seen.add(file)
            todo.append(file)
    return found


def packages(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def test_arrows_never_point_back():
    back = []
    for path in SOURCES:
        here = place(path)
        if path == PACKAGE / "__init__.py":
            continue
        assert here in ALLOWED, f"{here} has no place in the layout yet"
        allowed = ALLOWED[here]
        if allowed is None:
            continue
        ours = {name.split(".")[1] for name in imported(path) if name.startswith("livecap.")}
        back += [f"{path.relative_to(ROOT)} imports {name}" for name in ours - allowed - {here}]
    assert back == []


def files_that_import_each_other(files: dict[str, set[str]]) -> list[list[str]]:
    """The groups of files that reach each other by their imports, each sorted.

    Args:
        files: the dotted name of each file, and of those that it imports.
    """
    reach = {name: set(found) for name, found in files.items()}
    for middle in files:
        for found in reach.values():
            if middle in found:
                found |= reach[middle]
    groups = {
        frozenset(other for other in reach[name] if name in reach[other]) for name in files if name in reach[name]
    }
    return sorted(sorted(group) for group in groups)


def test_no_files_import_each_other():
    """Late imports and those for type checks count."""
    own = [*SOURCES, *sorted((ROOT / "benchmarks").rglob("*.py"))]
    graph = {path: {module_file(name) for name in imported(path)} & set(own) - {path} for path in own}
    names = {path: path.relative_to(ROOT).as_posix() for path in own if path.name != "__init__.py"}
    assert files_that_import_each_other({names[a]: {names[b] for b in graph[a] if b in names} for a in names}) == []


def test_a_circle_of_three_files_is_found():
    assert files_that_import_each_other({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def stored_names(tree: ast.AST) -> set[str]:
    """Every name that a file defines or assigns, as a variable or as an attribute."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = list(ast.walk(tree))
    names = {node.name for node in nodes if isinstance(node, defined)}
    names |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}


def test_no_file_uses_the_underscore_names_of_another():
    own = [*SOURCES, *sorted((ROOT / "benchmarks").rglob("*.py"))]
    trees = {path: tree_of(path) for path in own}
    stored = {path: stored_names(tree) for path, tree in trees.items()}
    private = {name for names in stored.values() for name in names if name.startswith("_") and name[:2] != "__"}
    used = []
    for path, tree in trees.items():
        for node in ast.walk(tree):
            taken = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            taken += [node.attr] if isinstance(node, ast.Attribute) else []
            used += [f"{path.relative_to(ROOT)}:{node.lineno}: {n}" for n in taken if n in private - stored[path]]
    assert used == []


def test_commands_import_at_the_top():
    """Only what opens a device and what prints help stays light; the table in main.py imports the chosen command."""
    functions = [
        node
        for path in (PACKAGE / "cli").glob("*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    late = [
        node for function in functions for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert len(late) <= 40


def test_heavy_libraries_are_imported_by_their_owners_alone():
    wrong = []
    for path in SOURCES:
        where = path.relative_to(PACKAGE).as_posix()
        libraries = packages(imported(path)) & OWNERS.keys()
        wrong += [f"{where} imports {library}" for library in libraries if not where.startswith(OWNERS[library])]
    assert wrong == []


def test_the_package_does_not_import_what_stands_beside_it():
    beside = {"benchmarks", "scripts", "tests", "training"}
    assert [path for path in SOURCES if packages(imported(path)) & beside] == []
    instruments = sorted((ROOT / "benchmarks").glob("*.py"))
    assert [path for path in instruments if packages(imported(path)) & (beside - {"benchmarks"})] == []
    assert "livecap" not in packages(imported(ROOT / "benchmarks" / "run_mlx_qwen3_asr.py")), "it runs without livecap"


def test_init_files_load_nothing():
    """The package's own names the library, which is imported when it is first used."""
    inits = [path for path in SOURCES if path.name == "__init__.py"]
    assert [path for path in inits if imported(path) and path != PACKAGE / "__init__.py"] == []


def test_every_folder_is_a_package():
    assert {path.parent for path in SOURCES} == {path.parent for path in SOURCES if path.name == "__init__.py"}


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if place(path) in ("archive", "export")], ids=lambda path: path.name
)
def test_archive_and_export_need_no_heavy_library(path):
    late = place(path) == "archive"  # an HTML page reads sound, and loads what that needs when it does
    assert packages(reached(path, late)) & {"mlx", "numpy", "textual", "tokenizers"} == set()


HELPS = [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
RUN_HELPS = """
import json, os, sys

for arguments in json.loads(sys.argv[1]):
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0, arguments
        continue
    from livecap.__main__ import main
    sys.argv = ["livecap", *arguments]
    try:
        main()
    except SystemExit as leaving:
        assert not leaving.code, leaving.code
    print("loaded", *sorted({name.split(".")[0] for name in sys.modules}), flush=True)
    os._exit(0)
"""


def test_help_answers_without_heavy_libraries():
    """Each answer in a process of its own, forked from one that has loaded nothing of livecap."""
    command = [sys.executable, "-c", RUN_HELPS, json.dumps(HELPS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    loaded = [set(line.split()) for line in done.stdout.splitlines() if line.startswith("loaded ")]
    heavy = {"mlx", "numpy", "textual", "rich", "tokenizers", "huggingface_hub", "sounddevice", "soundfile", "asyncio"}
    assert len(loaded) == len(HELPS) and all("livecap" in names for names in loaded)
    assert [(arguments, names & heavy) for arguments, names in zip(HELPS, loaded, strict=True) if names & heavy] == []


def test_the_guard_sees_late_and_nested_imports(tmp_path):
    source = tmp_path / "x.py"
    source.write_text("import a.b\ndef f():\n    from livecap.model import load\nclass C:\n    import d\n")
    assert imported(source) == {"a.b", "livecap.model", "livecap.model.load", "d"}
    assert imported(source, late=False) == {"a.b", "d"}
