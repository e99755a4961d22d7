"""The screen in a real terminal (tmux): keys are typed and the text is read."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from livecap.audio_in.device.native_prints import native_prints_to
from livecap.tui import terminal as terminal_module

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 120
C_STDOUT = "__stdoutp" if sys.platform == "darwin" else "stdout"


class Terminal:
    """A separate tmux server with one window."""

    def __init__(self, command):
        self._name = f"livecap-{uuid.uuid4().hex[:8]}"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "90", "-y", "20", "-s", "s", command)

    def _tmux(self, *arguments):
        command = ["tmux", "-L", self._name, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=WAIT_SECONDS).stdout

    def type(self, key):
        self._tmux("send-keys", "-t", "s", key)

    @property
    def text(self):
        return self._tmux("capture-pane", "-p", "-t", "s")

    @property
    def history(self):
        """The text of the window and everything that was scrolled out of it."""
        return self._tmux("capture-pane", "-p", "-S", "-", "-t", "s")

    def wait_for(self, words):
        """Wait until the screen shows `words`. Returns its text."""
        return wait_until(lambda: self.text if words in self.text else "", lambda: self.text)

    def wait_without(self, words):
        """Wait until the screen lacks `words` and still does half a second later: a half drawn screen may lack any."""

        def gone():
            if words in self.text:
                return False
            time.sleep(0.5)
            return words not in self.text

        wait_until(gone, lambda: self.text)

    def send(self, number):
        """Send a signal to the program that the shell of the window runs."""
        shell = self._tmux("display-message", "-p", "-t", "s", "#{pane_pid}").strip()
        os.kill(int(subprocess.check_output(["pgrep", "-P", shell], text=True)), number)

    def close_window(self):
        self._tmux("kill-session", "-t", "s")

    def end(self):
        subprocess.run(["tmux", "-L", self._name, "kill-server"], capture_output=True, timeout=WAIT_SECONDS)


def wait_until(look, describe):
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not seen in {WAIT_SECONDS} s:\n{describe()}")


@pytest.fixture
def terminal(tmp_path, request):
    """A scripted session in a real terminal; its native prints and its result go to files. A parameter is the text of a
    file that is its standard input."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    given = tmp_path / "given"
    if text := getattr(request, "param", ""):
        given.write_text(text)
    terminal = Terminal(f"{playing(tmp_path)} {f'< {given}' if text else ''}; sleep {WAIT_SECONDS}")
    yield terminal
    terminal.end()


def playing(tmp_path):
    """The command of a scripted session."""
    return f"cd {ROOT} && env -u COLUMNS -u LINES {sys.executable} -m tests.tui.play_in_terminal {tmp_path}"


def test_the_screen_is_loaded_without_numpy_mlx_and_the_archive():
    script = "import sys, livecap.tui.terminal; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"numpy", "mlx", "sqlite3", "livecap.tui.screens.sessions_screen"} & set(loaded.split()) == set()


def ended(tmp_path):
    path = tmp_path / "ended.txt"
    return wait_until(lambda: path.exists() and path.read_text(), lambda: list(tmp_path.iterdir()))


def test_keys_are_typed_and_native_prints_stay_off_the_screen(terminal, tmp_path):
    terminal.wait_for("the words of the session")
    terminal.wait_for("perhaps")
    terminal.type("space")
    terminal.wait_for("‖ paused")
    terminal.type("space")
    shown = terminal.wait_for("● 00:00:0")
    assert "NATIVE" not in shown
    terminal.type("q")
    shown = terminal.wait_for("left: finished")
    assert "NATIVE" not in shown and "the words of the session" not in shown
    native = (tmp_path / "native.log").read_text()
    assert "NATIVE-FD-1" in native and "NATIVE-FD-2" in native and "NATIVE-C" in native
    assert ended(tmp_path) == "finished start pause resume stop"


@pytest.mark.parametrize("terminal", ["q\nq\n"], indirect=True)
def test_a_file_on_standard_input_types_no_keys(terminal, tmp_path):
    terminal.wait_for("the words of the session")
    terminal.type("space")
    terminal.wait_for("‖ paused")
    terminal.type("q")
    terminal.wait_for("left: finished")
    assert ended(tmp_path) == "finished start pause stop"


def test_every_part_of_the_screen_is_reached_by_keys(terminal, tmp_path):
    terminal.wait_for("the words of the session")
    terminal.type("/")
    terminal.wait_for("Go to results")
    terminal.type("words")
    terminal.wait_for("1 match")
    terminal.type("Enter")
    terminal.wait_for("1 of 1")
    terminal.type("Escape")
    # Wait before the next key: escape directly followed by a letter is another key.
    terminal.wait_without("esc close")
    terminal.type("m")
    terminal.wait_for("Note:")
    terminal.type("legal")
    terminal.wait_for("legal")
    terminal.type("Enter")
    terminal.wait_for("★  legal")
    terminal.type("c")
    terminal.wait_without("Mark")
    terminal.wait_for("the words of the session perhaps")
    terminal.type("c")
    terminal.wait_for("m Mark")
    terminal.type("i")
    terminal.wait_for("Lag, seconds")
    terminal.type("q")
    terminal.wait_for("m Mark")
    terminal.type("?")
    terminal.wait_for("the clock stops")
    terminal.type("q")
    terminal.wait_for("m Mark")
    terminal.type("q")
    terminal.wait_for("left: finished")
    calls = ended(tmp_path)
    assert calls.startswith("finished start mark 'legal' at 0") and calls.endswith("stop")


def test_captions_inline_leave_finished_lines_in_the_history_of_the_terminal(tmp_path):
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    player = f"env -u COLUMNS -u LINES {sys.executable} -m tests.tui.play_in_terminal {tmp_path} --inline"
    terminal = Terminal(f"cd {ROOT} && echo before && {player}; sleep {WAIT_SECONDS}")
    try:
        shown = terminal.wait_for("the words of the session perhaps")
        assert "finished line 29." in shown and "10:02:00" not in shown
        lines = [f"[10:02:{number:02}] finished line {number}." for number in range(30)]
        assert (
            finished_lines(terminal) == lines[: len(finished_lines(terminal))] and len(finished_lines(terminal)) >= 27
        )
        terminal.type("q")
        shown = terminal.wait_for("left: finished")
        assert finished_lines(terminal) == lines and "the words" not in shown
        assert terminal.history.index("before") < terminal.history.index(lines[0])
    finally:
        terminal.end()


def finished_lines(terminal):
    return [line.rstrip() for line in terminal.history.splitlines() if line.startswith("[")]


def test_closing_the_window_ends_the_session_properly(terminal, tmp_path):
    terminal.wait_for("the words of the session")
    terminal.close_window()
    assert ended(tmp_path).split()[1:] == ["start", "stop"]


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_closing_the_window_ends_a_session_whose_parent_keeps_the_signal(tmp_path):
    """As `make` does: the kernel sends SIGHUP to the leader of the terminal's session alone."""
    terminal = Terminal(f"trap : HUP; {playing(tmp_path)}; true")
    terminal.wait_for("the words of the session")
    terminal.close_window()
    assert ended(tmp_path) == "finished start stop"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_from_another_program_ends_the_session_properly(terminal, tmp_path, number):
    terminal.wait_for("the words of the session")
    terminal.send(number)
    terminal.wait_for("left: finished")
    assert ended(tmp_path) == "finished start stop"


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_from_another_program_leaves_past_sessions_in_order(tmp_path, number):
    livecap = f"cd {ROOT} && env -u COLUMNS -u LINES {sys.executable} -m livecap sessions --log-dir {tmp_path}"
    terminal = Terminal(f"{livecap}; echo status $?; stty -a; sleep {WAIT_SECONDS}")
    try:
        terminal.wait_for("No sessions yet")
        terminal.send(number)
        shown = terminal.wait_for("status 0")
        assert " echo " in terminal.wait_for(" icanon ") and "Traceback" not in shown
    finally:
        terminal.end()


def test_a_signal_that_is_ignored_stays_ignored():
    asked = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with terminal_module._signals(lambda: asked.append(1)):
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN and not asked
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with terminal_module._signals(lambda: asked.append(1)):
            signal.raise_signal(signal.SIGINT)
        assert asked == [1] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_descriptors_are_redirected_to_a_file_and_back(tmp_path, capfd):
    libc = ctypes.CDLL(None)
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, C_STDOUT), None, 0, 4096)  # make C buffer its output in any environment
    streams = (sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__)
    places = [os.fstat(1), os.fstat(2)]
    n_open = len(os.listdir("/dev/fd"))
    with native_prints_to(tmp_path / "native.log"):
        os.write(1, b"fd 1\n")
        os.write(2, b"fd 2\n")
        libc.puts(b"held back by C")
        print("python", file=sys.__stderr__)
    os.write(1, b"after\n")
    assert all(map(os.path.samestat, places, [os.fstat(1), os.fstat(2)]))
    assert len(os.listdir("/dev/fd")) == n_open, "descriptors are left open"
    assert (sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__) == streams
    assert (tmp_path / "native.log").read_text() == "fd 1\nfd 2\nheld back by C\n"
    shown = capfd.readouterr()
    assert "after" in shown.out and "python" in shown.out + shown.err and "fd" not in shown.out + shown.err


def test_a_file_without_prints_is_removed_and_a_device_never(tmp_path):
    device = tmp_path / "null"
    device.symlink_to(os.devnull)  # run as root, /dev/null itself could be removed
    for path in (tmp_path / "native.log", device):
        with native_prints_to(path):
            pass
    assert not (tmp_path / "native.log").exists() and device.is_symlink()


def test_descriptors_come_back_after_an_exception(tmp_path, capfd):
    with pytest.raises(ZeroDivisionError), native_prints_to(tmp_path / "native.log"):
        raise ZeroDivisionError
    os.write(2, b"seen")
    assert capfd.readouterr().err == "seen"
