"""The command line as users run it, with real files and the embedded model; where signals, pipes or the whole program
matter, in its own process."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from livecap.cli.main import run
from livecap.cli.terminal import signals_stop
from livecap.session.notices import ONE_STOP_SECONDS

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "recordings" / "dictation.flac"
PROVE = bool(os.environ.get("LIVECAP_PROVE"))


def livecap(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "livecap", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )


def here(*arguments: str | Path) -> int:
    """Run the program in this process; returns its exit status."""
    try:
        return run([*map(str, arguments)])
    except SystemExit as left:  # invalid arguments
        assert isinstance(left.code, int)
        return left.code


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """The first seven seconds of a recording, at another rate and in stereo."""
    samples, rate = soundfile.read(RECORDING, dtype="float32", frames=7 * 16_000)
    assert rate == 16_000
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.stack([samples, samples], axis=1).repeat(2, axis=0), 32_000)
    return path


def folder_of(parent: Path) -> Path:
    [folder] = parent.iterdir()
    return folder


def test_a_replay_becomes_text_and_a_log(clip: Path, tmp_path: Path) -> None:
    out = livecap("--replay", clip, "--pace", "max", "--model", "tiny", "--plain", "--log-dir", tmp_path / "logs")
    assert out.returncode == 0, out.stderr
    folder = folder_of(tmp_path / "logs")
    events = [json.loads(line) for line in (folder / "session.jsonl").read_text().splitlines()]
    said = [event["text"] for event in events if event["type"] == "utterance_ended"]
    settled = [event["text"] for event in events if event["type"] == "utterance_settled"]
    assert said and [line.partition("] ")[2] for line in out.stdout.splitlines()] == said
    transcript = (folder / "transcript.md").read_text()
    assert len(settled) == len(said) and all(text in transcript for text in settled)
    assert events[0]["type"] == "session_started" and events[-1]["type"] == "session_ended"
    assert events[-1]["n_samples"] == 7 * 16_000


def test_json_output_has_all_that_the_screen_sees(clip: Path, tmp_path: Path) -> None:
    out = livecap("--replay", clip, "--pace", "max", "--model", "tiny", "--json", "--log-dir", tmp_path / "logs")
    assert out.returncode == 0, out.stderr
    lines = [json.loads(line) for line in out.stdout.splitlines()]
    updates = [line for line in lines if line["type"] == "update"]
    assert updates
    fields = "type track utterance stable partial start_sample end_sample language final words wall_seconds".split()
    assert all(list(update) == fields for update in updates)
    log = (folder_of(tmp_path / "logs") / "session.jsonl").read_text().splitlines()
    assert [line["type"] for line in lines if line["type"] != "update"] == [json.loads(line)["type"] for line in log]


def test_a_missing_recording_is_reported_before_the_model_is_resolved(tmp_path: Path) -> None:
    out = livecap("--replay", tmp_path / "nosuch.wav", "--model", "nobody/has-this", "--log-dir", tmp_path / "logs")
    assert out.returncode == 1 and "nosuch.wav" in out.stderr and "nobody" not in out.stderr


def bad_inputs(folder: Path) -> dict[str, list[str | Path]]:
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("no sound at all\n" * 50)
    soundfile.write(folder / "none.wav", np.zeros(0, np.float32), 16_000)
    soundfile.write(folder / "nan.wav", np.array([0.1, np.nan, 0.1] * 5000, np.float32), 16_000, subtype="FLOAT")
    (folder / "nomodel").mkdir()
    (folder / "file").write_text("")
    replay = ["--replay", RECORDING, "--model", "tiny", "--pace", "max"]
    return {
        "no such file": ["--replay", folder / "nosuch.wav", "--model", "tiny"],
        "empty file": ["--replay", folder / "empty.wav", "--model", "tiny"],
        "not audio": ["--replay", folder / "text.wav", "--model", "tiny"],
        "0 samples": ["--replay", folder / "none.wav", "--model", "tiny"],
        "NaN samples": ["--replay", folder / "nan.wav", "--model", "tiny"],
        "a folder": ["--replay", folder, "--model", "tiny"],
        "no such device": ["--device", "No Such Yeti", "--model", "tiny"],
        "a folder without a model": ["--replay", RECORDING, "--model", folder / "nomodel"],
        "no network and no cache": ["--replay", RECORDING, "--model", "someone/nothing-here"],
        "unknown language": [*replay, "--language", "Klingon"],
        "unwritable log folder": [*replay, "--log-dir", folder / "file"],
        "pace": ["--replay", RECORDING, "--pace", "-1"],
        "chunk": ["--chunk", "nan"],
        "unknown flag": ["--frobnicate"],
        "unknown command": ["talk.wav"],
        "two sources": ["--mic", "--replay", RECORDING],
    }


BAD = """no such file, empty file, not audio, 0 samples, NaN samples, a folder, no such device,
a folder without a model, no network and no cache, unknown language, unwritable log folder, pace, chunk,
unknown flag, unknown command, two sources"""


IN_ITS_OWN_PROCESS = {"not audio", "no network and no cache", "unknown command"}
"""The hub's client reads whether there is a network once; the others show that the whole program adds no line."""


@pytest.mark.parametrize("name", [name.strip() for name in BAD.split(",")])
def test_bad_input_is_one_clear_line(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = bad_inputs(tmp_path)[name]
    logs = [] if "--log-dir" in arguments else ["--log-dir", tmp_path / "logs"]
    if name in IN_ITS_OWN_PROCESS:
        done = livecap(*arguments, *logs)
        status, out, err = done.returncode, done.stdout, done.stderr
    else:
        status = here(*arguments, *logs)
        out, err = capfd.readouterr()
    assert status in (1, 2)
    assert out == ""
    assert err.startswith("livecap: ") and err.count("\n") == 1 and len(err) > 40
    assert not (tmp_path / "logs").exists() or not any((tmp_path / "logs").iterdir())


def test_what_a_model_lacks_is_reported_once(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(ROOT / "livecap" / "tiny", folder)
    config = json.loads((folder / "config.json").read_text())
    del config["thinker_config"]["text_config"]["rope_theta"]
    (folder / "config.json").write_text(json.dumps(config))
    out = livecap("--replay", clip, "--pace", "max", "--model", folder, "--plain", "--log-dir", tmp_path / "logs")
    assert out.returncode == 0 and out.stderr.count("rope_theta") == out.stderr.count("\n") == 1


def start_replay(tmp_path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "livecap", "--replay", str(RECORDING), "--model", "tiny", "--json",
            "--log-dir", str(tmp_path / "logs"),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["type"] == "update":
            return process
    _, err = process.communicate(timeout=60)
    raise AssertionError(f"no update came: {err}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_decodes_the_rest_and_finishes_the_log(tmp_path: Path, number: signal.Signals) -> None:
    process = start_replay(tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    last = [json.loads(line) for line in out.splitlines()][-1]
    assert last["type"] == "session_ended" and last["reason"] == "stopped"
    log = (folder_of(tmp_path / "logs") / "session.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["type"] == "session_ended"


def test_a_second_interrupt_leaves_at_once(tmp_path: Path) -> None:
    never_ends = """
import os, threading
from livecap.cli.terminal import signals_stop
with signals_stop(lambda: os.write(1, b"stopping\\n")):
    os.write(1, b"ready\\n")
    threading.Event().wait()
"""
    with subprocess.Popen([sys.executable, "-c", never_ends], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "stopping\n"
        time.sleep(ONE_STOP_SECONDS + 0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stdout.read() == "", "stopped once"


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.01, 0.1])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_two_signals_in_short_order_are_one_stop(
    pause: float, second: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[float] = []
    now = 100.0
    monkeypatch.setattr("livecap.cli.terminal.time", SimpleNamespace(monotonic=lambda: now))
    with signals_stop(lambda: stops.append(pause), leave=lambda: stops.append(-1)):
        signal.raise_signal(signal.SIGINT)
        now += pause
        signal.raise_signal(second)
    signal.raise_signal(second)  # the session is over, and the process ends
    assert stops == [pause]


ENDS = [(signal.SIGINT, 0.0), (signal.SIGTERM, 0.1)]


@pytest.mark.parametrize(
    ("second", "pause"), [(number, s) for number, _ in ENDS for s in (0.0, 0.001, 0.01, 0.1)] if PROVE else ENDS
)
def test_one_stop_that_arrives_as_two_signals_is_orderly(tmp_path: Path, second: signal.Signals, pause: float) -> None:
    process = start_replay(tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(pause)
    process.send_signal(second)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    last = [json.loads(line) for line in out.splitlines()][-1]
    assert last["type"] == "session_ended" and last["reason"] == "stopped"


@pytest.mark.parametrize(
    "module, status",
    [
        ("livecap.cli.main", -signal.SIGINT),  # while code is loaded
        ("livecap.cli.sound", 130),  # while the command line is read
        ("livecap.model.backend", 0),  # sound is open: what was heard is decoded and logged
    ],
)
@pytest.mark.parametrize("live", [True, False], ids=["live", "recording"])
def test_an_interrupt_while_the_program_starts_prints_no_traceback(
    tmp_path: Path, clip: Path, module: str, status: int, live: bool
) -> None:
    interrupted = f"""
import builtins, os, signal, sys
load = builtins.__import__
def interrupted(name, *rest, **named):
    if name == {module!r}:
        builtins.__import__ = load
        os.kill(os.getpid(), signal.SIGINT)
    return load(name, *rest, **named)
builtins.__import__ = interrupted
from livecap.__main__ import main
main()
"""
    sound = ["--stdin"] if live else ["--replay", str(clip)]
    arguments = [*sound, "--model", "tiny", "--plain", "--log-dir", str(tmp_path / "logs")]
    with clip.open("rb") as pipe:
        out = subprocess.run(
            [sys.executable, "-c", interrupted, *arguments],
            stdin=pipe, capture_output=True, text=True, timeout=60, cwd=ROOT,
        )  # fmt: skip
    if not live and status == 0:
        status = 130  # a recording can be replayed again
    assert (out.returncode, out.stderr) == (status, "")
    if status == 0:
        log = (folder_of(tmp_path / "logs") / "session.jsonl").read_text().splitlines()
        assert json.loads(log[-1])["type"] == "session_ended"


def test_a_reader_that_leaves_ends_the_session_in_order(tmp_path: Path) -> None:
    process = start_replay(tmp_path)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    log = (folder_of(tmp_path / "logs") / "session.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["type"] == "session_ended"


def test_an_output_that_cannot_be_written_is_one_clear_line(clip: Path, tmp_path: Path) -> None:
    arguments = ["--replay", clip, "--pace", "max", "--model", "tiny", "--json", "--log-dir", tmp_path / "logs"]
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "livecap", *map(str, arguments)]
        out = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, cwd=ROOT)
    assert out.returncode == 1
    assert "No space left" in out.stderr.splitlines()[0] and "Traceback" not in out.stderr
    assert (folder_of(tmp_path / "logs") / "transcript.md").exists()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_every_command_reports_a_full_disk(unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "livecap", "config", "template"]
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        out = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, cwd=ROOT, env=environment
        )
    assert out.returncode == 1
    assert out.stderr.startswith("livecap: Cannot ") and out.stderr.count("\n") == 1 and "No space" in out.stderr


def test_a_reader_that_leaves_is_not_an_error_of_any_command() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "livecap", "config", "template"]
    out = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=120, cwd=ROOT)
    os.close(write_end)
    assert (out.returncode, out.stderr) == (0, "")


def test_a_hangup_that_is_ignored_stays_ignored(clip: Path, tmp_path: Path) -> None:
    script = f"trap '' HUP; exec {sys.executable} -m livecap --replay {clip} --pace 20 --model tiny --json"
    command = ["sh", "-c", f"{script} --log-dir {tmp_path / 'logs'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        out = process.stdout.read()
    assert json.loads(out.splitlines()[-1])["reason"] == "end of source"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--pace", "max"], "--pace is for recordings"),
        (["--replay", "x.wav", "demo"], "livecap demo does not take its sound from"),
        (["demo", "--pace", "0"], "--pace must be a number"),
        (["--mic", "devices"], "livecap devices does not take its sound from"),
    ],
)
def test_options_that_do_not_belong_together_are_one_clear_line(
    arguments: list[str], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert here(*arguments) in (1, 2)
    out, err = capfd.readouterr()
    assert err.startswith("livecap") and reason in err and err.count("\n") == 1 and out == ""


def test_version_and_help() -> None:
    assert livecap("--version").stdout.startswith("livecap 0.")
    assert "--replay" in livecap("--help").stdout
