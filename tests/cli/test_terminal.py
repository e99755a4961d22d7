"""livecap with closed standard streams, in a terminal that cannot draw, and without a home folder."""

import os
import pty
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from livecap.cli.main import run
from tests.archive.facts import said, write
from tests.cli.test_cli import RECORDING, ROOT

CLOSED = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]
REPLAY = f"--replay {RECORDING} --end 3 --pace max --model tiny --no-settle"


def shell(command: str, redirected: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run livecap with standard streams that the shell closed."""
    line = f"{sys.executable} -m livecap {command} --log-dir {folder} {redirected}"
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120, cwd=ROOT)


@pytest.mark.parametrize("redirected", CLOSED)
@pytest.mark.parametrize("command", ["sessions", "export last -o -"])
def test_a_command_with_closed_streams_works(command: str, redirected: str, tmp_path: Path) -> None:
    write(tmp_path, said(["Good morning."]))
    done = shell(command, redirected, tmp_path)
    assert done.returncode == 0
    assert (done.stdout == "") == (">&-" in redirected.replace("2>&-", ""))
    told = "livecap: Standard output is closed: what is printed is lost.\n"
    assert done.stderr == (told if not done.stdout and "2>&-" not in redirected else "")


@pytest.mark.parametrize("redirected", ["<&-", "2>&-", "<&- >&- 2>&-"])
def test_a_session_with_closed_streams_is_heard_and_logged(redirected: str, tmp_path: Path) -> None:
    done = shell(REPLAY, redirected, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    [log] = tmp_path.glob("*/session.jsonl")
    assert '"session_ended"' in log.read_text() and "Dear" in log.read_text()


def test_a_closed_pipe_on_stdin_is_one_clear_line(tmp_path: Path) -> None:
    done = shell("--stdin --model tiny", "<&-", tmp_path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "standard input" in done.stderr


def in_terminal(
    command: str, term: str | None, folder: Path, program: tuple[str, ...] = ("-m", "livecap"), status: int = 0
) -> str:
    """What livecap prints in a terminal, in which it ends with this exit status."""
    environment = {name: value for name, value in os.environ.items() if name != "TERM"}
    environment |= {} if term is None else {"TERM": term}
    ours, theirs = pty.openpty()
    words = [sys.executable, *program, *command.split(), "--log-dir", str(folder)]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=environment) as process:
        os.close(theirs)
        printed = b""
        try:
            while piece := os.read(ours, 1 << 16):
                printed += piece
        except OSError:  # all of the other end is closed
            pass
        assert process.wait(120) == status, printed
    os.close(ours)
    return printed.decode()


@pytest.mark.parametrize("term", ["dumb", None])
def test_a_terminal_that_cannot_draw_gets_plain_text_and_is_told_once(term: str | None, tmp_path: Path) -> None:
    printed = in_terminal(REPLAY, term, tmp_path)
    assert "\x1b" not in printed and "Dear" in printed
    assert printed.count("livecap: This terminal cannot show the screen") == 1


@pytest.mark.parametrize(
    ("command", "term"),
    [
        ("search morning", "dumb"),
        ("sessions list", "dumb"),
        ("sessions", "dumb"),
        ("sessions", ""),
        ("sessions", "unknown"),
        ("compare last last", "dumb"),
    ],
)
def test_no_command_sends_control_sequences_to_a_terminal_that_cannot_draw(
    command: str, term: str, tmp_path: Path
) -> None:
    write(tmp_path, said(["Good morning."]))
    printed = in_terminal(command, term, tmp_path)
    assert "\x1b" not in printed and printed
    assert ("cannot show the screen" in printed) == (command == "sessions")


def test_found_words_are_bold_in_a_terminal_that_can_draw(tmp_path: Path) -> None:
    write(tmp_path, said(["Good morning."]))
    assert "\x1b[1mmorning\x1b[0m" in in_terminal("search morning", "xterm", tmp_path)


PATCHED_SCREEN = """
from livecap.__main__ import main
from livecap.tui.screens.live_screen import LiveScreen

def poll(screen):
    {}

LiveScreen.poll = poll
main()
"""


def test_a_session_that_was_left_before_its_end_is_said_to_lack_it(tmp_path: Path) -> None:
    leaves = "screen._session.status.state.value == 'loading' or screen.app.exit('abandoned')"
    printed = in_terminal(REPLAY, "xterm", tmp_path, ("-c", PATCHED_SCREEN.format(leaves)), status=130)
    assert printed.count("livecap: Left at once. The") == 1


def test_a_screen_that_fails_is_told_in_the_exit_status_and_the_session_ends_in_order(tmp_path: Path) -> None:
    fails = "raise IndexError('a bug of the screen')"
    printed = in_terminal(REPLAY, "xterm", tmp_path, ("-c", PATCHED_SCREEN.format(fails)), status=1)
    assert "livecap: the screen failed: IndexError: a bug of the screen." in printed
    [log] = tmp_path.glob("*/session.jsonl")
    assert '"session_ended"' in log.read_text() and (log.parent / "screen-fault.txt").exists()


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home folder, as in containers and services."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for name in ("HOME", "LIVECAP_SETTINGS", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_folder_a_log_folder_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, said(["Good morning."]))
    assert run(["sessions", "--log-dir", str(tmp_path)]) == 0
    assert run([*REPLAY.split(), "--plain", "--log-dir", str(tmp_path / "new")]) == 0
    soundfile.write(clip := tmp_path / "clip.wav", soundfile.read(RECORDING, frames=48_000)[0], 16_000)
    assert run(["transcribe", str(clip), "--speakers", "--model", "tiny", "--stdout", "--quiet"]) == 0
    assert run(["config"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "" and "Dear" in shown.out and "no settings file" in shown.out


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("command", ["sessions", "search x", REPLAY, "config path", "config set language en"])
def test_without_a_home_folder_what_needs_one_says_what_to_do(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(command.split()) == 1
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    assert "no home folder" in shown.err and "--log-dir" in shown.err
    assert not any(tmp_path.iterdir()), "no folder that is called ~"


@pytest.mark.parametrize("name", ["LIVECAP_LOG_DIR", "LIVECAP_SETTINGS"])
def test_the_home_of_an_unknown_user_is_one_clear_line(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "~nosuchuser/x")
    assert run(["sessions"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("command", ["models check", "models remove", f"align {RECORDING} --language English"])
def test_a_file_in_the_home_of_an_unknown_user_is_not_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = "@~nosuchuser/x" if command.startswith("align") else "~nosuchuser/x"
    assert run([*command.split(), name]) == 1
    said = capsys.readouterr().err.strip()
    assert "nosuchuser" in said and "\n" not in said


@pytest.mark.parametrize("flags", [["sessions", "--log-dir=~/x"], ["export", "last", "-o", "~/x"], ["--replay=~/x"]])
def test_a_path_may_begin_with_the_home_folder(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write(tmp_path / "logs", said(["Good morning."]))
    monkeypatch.setenv("LIVECAP_LOG_DIR", str(tmp_path / "logs"))
    run(flags)
    shown = capsys.readouterr()
    assert str(tmp_path / "home" / "x") in shown.out + shown.err


def test_everything_that_livecap_makes_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    livecap = f"{sys.executable} -m livecap"
    commands = [
        f"{livecap} {REPLAY} --plain",
        f"{livecap} --stdin --save-audio --model tiny --plain < {tmp_path / 'sound.raw'}",
        f"{livecap} sessions",
        f"{livecap} sessions rename last Title",
        f"{livecap} export last -f all -o {home}/out/deep",
        f"{livecap} config set language English",
        f"{livecap} --replay {home}/none --start 1",
    ]
    (tmp_path / "sound.raw").write_bytes(b"\x01\x02" * 16_000)
    names = {"LIVECAP_SETTINGS", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in names} | {"HOME": str(home)}
    script = "umask 000\n" + "\n".join(commands)
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment, cwd=ROOT, timeout=120)
    made = [path for path in home.rglob("*") if ".cache" not in path.parts]
    assert (
        len({path.name for path in made} & {"sessions", "index.sqlite", "settings.toml", "Title.srt", "title.txt"}) == 5
    )
    assert len([path for path in made if path.name == "sound.wav"]) == 1, done.stderr
    open_to_others = {
        str(path.relative_to(home)): oct(path.stat().st_mode) for path in made if path.stat().st_mode & 0o077
    }
    assert open_to_others == {}


def test_an_interrupt_while_code_is_loaded_is_never_swallowed() -> None:
    script = (
        "import os, signal, time\n"
        "from livecap.cli.terminal import loading_code\n"
        "with loading_code():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT); time.sleep(60)\n"
        "    except BaseException:\n"
        "        pass\n"
        "print('went on')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
