"""MLX is imported in one place, after a fast BLAS, and a machine without one gets one warning."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import livecap
from livecap.model.backend import BLAS_PACKAGE, backend_report, mx, on_cpu

PACKAGE = Path(livecap.__file__).parent
LINUX_CPU = sys.platform == "linux" and on_cpu


def in_a_new_process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_the_report_says_what_mlx_runs_on() -> None:
    report = backend_report()
    assert report.device == ("cpu" if mx.default_device().type == mx.cpu else "gpu")
    assert report.mlx_version.count(".") >= 1
    assert (report.blas is None) or report.notice is None


@pytest.mark.skipif(not LINUX_CPU, reason="only Linux's CPU build needs a BLAS")
def test_without_a_fast_blas_there_is_one_warning_that_names_the_package() -> None:
    code = (
        "from livecap.model.backend import backend_report; import livecap.model.mel; "
        "print(backend_report().blas, backend_report().notice)"
    )
    done = in_a_new_process(code, LIVECAP_BLAS="none")
    assert done.stderr.count(BLAS_PACKAGE) == 1 and len(done.stderr.splitlines()) == 1
    assert done.stdout.startswith("None ") and BLAS_PACKAGE in done.stdout


@pytest.mark.skipif(not LINUX_CPU, reason="only Linux's CPU build needs a BLAS")
def test_mlx_imported_too_early_is_noticed() -> None:
    code = "import mlx.core; from livecap.model.backend import backend_report; print(backend_report().notice)"
    assert "imported before" in in_a_new_process(code).stdout


def test_only_two_files_of_the_network_import_mlx() -> None:
    found = set()
    for path in (PACKAGE / "model").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "mlx" for name in names):
                found.add(path.name)
    assert found == {"backend.py", "nn.py"}
