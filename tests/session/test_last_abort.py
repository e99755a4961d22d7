"""A session that Metal ended is told at the next start, from what MLX printed at its end."""

from pathlib import Path

import pytest

from livecap.archive.folder import EVENTS
from livecap.cli.main import run
from livecap.session.last_abort import metal_abort
from livecap.shipped import demo_recording
from tests.archive.facts import said, write

FULL = (
    "libc++abi: terminating due to uncaught exception of type std::runtime_error: [METAL] Command buffer execution "
    "failed: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)\n"
)


@pytest.fixture
def cut_off(tmp_path: Path) -> Path:
    """A session without an end."""
    return write(tmp_path / "logs", said(["The budget for the summer."]), end=False)


def test_no_memory_is_told_with_what_to_do(cut_off: Path) -> None:
    (cut_off / "native.log").write_text("ALSA lib: something else\n" + FULL)
    told = metal_abort(cut_off.parent)
    assert told == (
        f"The last session ({cut_off.name}) was ended by the GPU: Command buffer execution failed: Insufficient "
        "Memory. Its text is kept. Choose a smaller model (`livecap models`), or close other programs."
    )


def test_another_error_of_the_gpu_is_told_too(cut_off: Path) -> None:
    (cut_off / "native.log").write_text("[METAL] Command buffer execution failed: Caused GPU Hang Error (00000003:x)\n")
    assert "Caused GPU Hang Error. Its text is kept. Update macOS." in str(metal_abort(cut_off.parent))


@pytest.mark.parametrize("printed", [None, "", "ALSA lib pcm.c: no device\n", b"\xff\x00\x1b[METAL]"])
def test_other_ends_are_not_metals(cut_off: Path, printed: str | bytes | None) -> None:
    if isinstance(printed, str):
        (cut_off / "native.log").write_text(printed)
    elif printed is not None:
        (cut_off / "native.log").write_bytes(printed)
    assert metal_abort(cut_off.parent) is None
    assert metal_abort(cut_off.parent / "nowhere") is None


def test_a_session_with_an_end_was_not_aborted(tmp_path: Path) -> None:
    folder = write(tmp_path / "logs", said(["The budget for the summer."], ""))
    assert b"session_ended" in (folder / EVENTS).read_bytes()
    (folder / "native.log").write_text(FULL)
    assert metal_abort(folder.parent) is None


def test_the_next_start_tells_it_once(cut_off: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cut_off / "native.log").write_text(FULL)
    start = ["--replay", str(demo_recording()), "--end", "1", "--pace", "max", "--model", "tiny", "--plain"]
    start += ["--log-dir", str(cut_off.parent)]
    assert run(start) == 0
    assert "was ended by the GPU: Command buffer execution failed: Insufficient Memory" in capsys.readouterr().err
    assert run(start) == 0
    assert "was ended by the GPU" not in capsys.readouterr().err
