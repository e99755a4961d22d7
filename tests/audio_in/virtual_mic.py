"""Microphones for a machine without a sound card, each a PulseAudio null sink whose monitor PortAudio can
open.

    player ─▶ null sink ─▶ its monitor ─▶ ALSA's pulse plugin, under a name of our choice ─▶ PortAudio

What is played is captured in real time and bit for bit. Debian packages: pulseaudio pulseaudio-utils
libasound2-plugins libportaudio2. A daemon of its own, found by environment variables only: the user's stays
alone.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


def missing() -> str | None:
    """Why virtual microphones do not work here; None where they do."""
    absent = [tool for tool in ("pulseaudio", "pactl", "paplay") if shutil.which(tool) is None]
    if absent:
        return f"{', '.join(absent)} not installed"
    plugins = Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")
    return None if any(plugins) else "libasound2-plugins is not installed"


@dataclass
class Sink:
    name: str
    rate: int
    n_channels: int

    @property
    def id(self) -> str:
        return "vmic_" + "".join(c if c.isalnum() else "_" for c in self.name)


class VirtualMic:
    """One daemon with any number of microphones. Set `env` before PortAudio is initialised."""

    def __init__(self) -> None:
        # A Unix socket's path holds 107 bytes, so not pytest's tmp_path.
        self.folder = Path(tempfile.mkdtemp(prefix="vmic.", dir="/tmp"))
        for name in ("run", "state", "config"):
            (self.folder / name).mkdir(mode=0o700)
        self.env = {
            "PULSE_SERVER": f"unix:{self.folder}/native",
            "PULSE_RUNTIME_PATH": f"{self.folder}/run",
            "PULSE_STATE_PATH": f"{self.folder}/state",
            "PULSE_CONFIG_PATH": f"{self.folder}/config",
            "PULSE_COOKIE": f"{self.folder}/cookie",
            "PULSE_CLIENTCONFIG": f"{self.folder}/client.conf",
            "PULSE_CONFIG": f"{self.folder}/daemon.conf",
            "ALSA_CONFIG_PATH": f"{self.folder}/asound.conf",
        }
        (self.folder / "client.conf").write_text("autospawn = no\n")
        # Else a stream whose device goes away is moved to another device.
        (self.folder / "daemon.conf").write_text("rescue-streams = no\n")
        (self.folder / "default.pa").write_text(
            f"load-module module-native-protocol-unix socket={self.folder}/native "
            "auth-anonymous=1 auth-cookie-enabled=0\n"
        )
        self.sinks: dict[str, Sink] = {}
        self._players: list[subprocess.Popen[bytes]] = []
        self._write_alsa_config()
        self._start_daemon()

    def add(self, name: str, rate: int = 48_000, n_channels: int = 2) -> None:
        """Plug a microphone in. PortAudio lists it after it was initialised again."""
        self.sinks[name] = Sink(name, rate, n_channels)
        self.restore(name)
        self._write_alsa_config()

    def remove(self, name: str) -> None:
        """Unplug it; PortAudio does not list it any more."""
        self.vanish(name)
        del self.sinks[name]
        self._write_alsa_config()

    def vanish(self, name: str) -> None:
        """It stops working, but stays in the list."""
        modules = self._pactl("list", "short", "modules").splitlines()
        for module in modules:
            if f"sink_name={self.sinks[name].id} " in module + " ":
                self._pactl("unload-module", module.split("\t")[0])

    def restore(self, name: str) -> None:
        """It works again."""
        sink = self.sinks[name]
        # norewinds: else the sink renders 2 s ahead, and the beginning of a sound is lost.
        self._pactl(
            "load-module", "module-null-sink", f"sink_name={sink.id}", f"rate={sink.rate}",
            f"channels={sink.n_channels}", "format=s16le", "norewinds=1",
            f"sink_properties='device.description=\"{sink.name}\"'",
        )  # fmt: skip

    def mute(self, name: str, muted: bool = True) -> None:
        """It delivers zeros, as a Mac does without permission."""
        self._pactl("set-source-mute", f"{self.sinks[name].id}.monitor", str(int(muted)))

    def suspend(self, name: str, suspended: bool = True) -> None:
        """It delivers nothing at all, and no error."""
        self._pactl("suspend-sink", self.sinks[name].id, str(int(suspended)))

    def play(self, name: str, path: Path) -> "subprocess.Popen[bytes]":
        """Play a sound file into it, in the background."""
        # The server buffers a second of it: with less, the sound has dropouts on a busy machine.
        command = ["paplay", f"--device={self.sinks[name].id}", "--latency-msec=1000", str(path)]
        player = subprocess.Popen(command, env=os.environ | self.env, stdout=subprocess.DEVNULL)
        self._players.append(player)
        return player

    def crash(self) -> None:
        """Kill the daemon."""
        pid_file = self.folder / "run" / "pid"
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGKILL)
        pid_file.unlink()
        (self.folder / "native").unlink(missing_ok=True)

    def restart(self) -> None:
        """Start the daemon and its microphones again."""
        self._start_daemon()
        for name in self.sinks:
            self.restore(name)

    def close(self) -> None:
        for player in self._players:
            player.kill()
            player.wait()
        if (self.folder / "run" / "pid").exists():
            self.crash()  # nothing is worth saving, and an orderly end takes 2 s
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_daemon(self) -> None:
        subprocess.run(
            [
                "pulseaudio", "-n", "-F", f"{self.folder}/default.pa", "--daemonize=yes", "--exit-idle-time=-1",
                "--use-pid-file=yes", "--disable-shm=yes", f"--log-target=newfile:{self.folder}/daemon.log",
            ],
            env=os.environ | self.env, stderr=subprocess.DEVNULL, check=True, timeout=30,
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while not self._pactl("info", check=False):
            assert time.monotonic() < deadline, "pulseaudio does not answer"
            time.sleep(0.05)

    def _pactl(self, *command: str, check: bool = True) -> str:
        return subprocess.run(
            ["pactl", *command],
            env=os.environ | self.env,
            capture_output=True,
            text=True,
            check=check,
            timeout=30,
        ).stdout

    def _write_alsa_config(self) -> None:
        """Write all of ALSA's configuration, so that only our devices exist. The rename makes libasound read it."""
        lines = ["pcm_type.pulse { }"]
        lines += [f'pcm."{s.name}" {{ type pulse device "{s.id}.monitor" }}' for s in self.sinks.values()]
        lines += ["pcm.default { type pulse }", "ctl.default { type pulse }"]
        new = self.folder / "asound.conf.new"
        new.write_text("\n".join(lines) + "\n")
        new.rename(self.folder / "asound.conf")
