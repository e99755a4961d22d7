"""A file that is replaced has its old text or its new one, whatever happens, and nothing stays beside it."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from livecap.files import hidden_beside, make_folder, open_regular, read_regular, replace_file


def test_the_new_text_is_private_whatever_the_old_one_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        replace_file(path, ["one\r\n", "zwölf \ud800\n"])
    finally:
        os.umask(before)
    assert path.read_bytes() == "one\r\nzwölf ?\n".encode(), "line ends stay; half a surrogate pair is not UTF-8"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    outside, path = tmp_path / "outside", tmp_path / "file"
    outside.write_text("stays")
    path.symlink_to(outside)
    replace_file(path, ["new"])
    assert outside.read_text() == "stays" and not path.is_symlink() and path.read_text() == "new"


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "🎤" * 63])
def test_the_longest_names_of_a_disk_can_be_replaced(tmp_path: Path, name: str) -> None:
    replace_file(tmp_path / name, ["new"])
    assert os.listdir(tmp_path) == [name]
    hidden = hidden_beside(tmp_path / name, ".livecap-part")
    hidden.touch()
    assert hidden.name.startswith(f".{name[:40]}") and hidden.name.endswith(".livecap-part")
    assert hidden != hidden_beside(tmp_path / f"{name[:-1]}y", ".livecap-part")
    assert hidden_beside(tmp_path / "talk", ".new").name == ".talk.new"


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_text_and_nothing_beside_it(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def pieces() -> Iterator[str]:
        yield "half" * 10_000
        raise error

    with pytest.raises(error):
        replace_file(path, pieces())
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_the_text_is_on_the_disk_before_it_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "file", []
    replace = os.replace

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)

    def watched(new: Path, old: Path) -> None:
        assert synced == [7], "all of it"
        replace(new, old)

    monkeypatch.setattr("livecap.files.os.fsync", fsync)
    monkeypatch.setattr("livecap.files.os.replace", watched)
    replace_file(path, ["the ", "new"])
    assert len(synced) == 2, "then its name"


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def refuses(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr("livecap.files.os.fsync", refuses)
    replace_file(tmp_path / "file", ["new"])
    assert (tmp_path / "file").read_text() == "new"


def test_of_many_writers_at_once_the_last_one_wins_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    texts = {f"{number}\n" * 5000 for number in range(8)}
    seen: set[str] = set()
    threads = [threading.Thread(target=replace_file, args=(path, text.splitlines(True))) for text in texts]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            seen.add(path.read_text())
        threads[0].join(0.001)
    assert seen | {path.read_text()} <= texts
    assert os.listdir(tmp_path) == ["file"]


def test_a_killed_writer_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    script = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from livecap.files import replace_file\n"
        "def pieces():\n"
        "    yield 'new' * 100_000\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"replace_file(Path({str(path)!r}), pieces())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=60)
    assert done.returncode == -9 and path.read_text() == "old"


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_every_folder_that_is_made_is_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_folder(tmp_path / "one" / "two" / "three")
        make_folder(tmp_path / "one" / "two" / "three")
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*")]
    assert len(made) == 3 and {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}


def test_a_folder_that_exists_keeps_its_mode_and_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "link", tmp_path / "link" / "below"):
        with pytest.raises(NotADirectoryError, match="Not a directory"):
            make_folder(path)
    assert not (tmp_path / "nowhere").exists()


def strange_files(folder: Path) -> list[Path]:
    """A FIFO, a folder, and links to a FIFO and to a device that never ends."""
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    (folder / "to a fifo").symlink_to(folder / "fifo")
    (folder / "to zeros").symlink_to("/dev/zero")
    return sorted(folder.iterdir())


def test_only_regular_files_are_opened_and_no_more_than_asked_for_is_read(tmp_path: Path) -> None:
    for path in strange_files(tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular(path)
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_regular(tmp_path / "link", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_regular(tmp_path / "file", 4)
    with pytest.raises(OSError):
        open_regular(tmp_path / "link", follow=False)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "nothing")


def test_the_null_device_reads_as_an_empty_file() -> None:
    """`LIVECAP_SETTINGS=/dev/null` is the usual way to say: no settings."""
    assert read_regular(Path(os.devnull), 100) == b""
