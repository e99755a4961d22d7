"""Where sound comes from: pipes, parts of recordings, two inputs, the input used last."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest
import soundfile

from livecap.audio_in.device import devices, intake, portaudio
from livecap.audio_in.device.devices import InputDevice
from livecap.cli import this_computer
from livecap.cli.sound import check_sound, labels_of, open_sound, recall_device, remember_device
from livecap.errors import AudioError, SettingsError
from livecap.session.notices import Notices
from livecap.settings.fields import Settings
from tests.audio_in.fake_portaudio import FakePortAudio
from tests.audio_in.waiting import eventually
from tests.cli.test_cli import here

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "recordings" / "dictation.flac"
MIC = InputDevice(0, "Yeti", "Core Audio", 1, 48_000, True)
LOOPBACK = InputDevice(1, "BlackHole 2ch", "Core Audio", 2, 48_000, False)


def livecap(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "livecap", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, cwd=ROOT, env=os.environ | {"HF_HUB_OFFLINE": "1"}, **options,
    )  # fmt: skip


def events_of(folder: Path) -> list[dict[str, object]]:
    [session] = folder.iterdir()
    return [json.loads(line) for line in (session / "session.jsonl").read_text().splitlines()]


def raw(seconds: int) -> bytes:
    return soundfile.read(RECORDING, dtype="int16", frames=seconds * 16_000)[0].tobytes()


@pytest.fixture
def two_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "list_inputs", lambda monitors=True: [MIC, LOOPBACK])


def test_text_appears_while_a_pipe_stays_open(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "livecap", "--stdin", "--plain", "--model", "tiny", "--log-dir", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(raw(7) + bytes(32_000))
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"[0:00:0")  # the pipe is still open
        process.terminate()
        assert process.wait(60) == 0
    assert events_of(tmp_path)[-1]["reason"] == "stopped"


def test_a_pipe_that_closes_ends_the_session_in_order(tmp_path: Path) -> None:
    sound = tmp_path / "sound.raw"
    sound.write_bytes(raw(4))
    with sound.open("rb") as file:
        out = livecap("--stdin", "--plain", "--model", "tiny", "--log-dir", tmp_path / "logs", stdin=file)
    assert out.returncode == 0, out.stderr
    events = events_of(tmp_path / "logs")
    assert events[-1]["reason"] == "end of source" and events[-1]["n_samples"] == 4 * 16_000
    assert not list((tmp_path / "logs").glob("*/audio"))


def test_saved_sound_of_a_pipe_is_heard_again(tmp_path: Path) -> None:
    sound = tmp_path / "sound.raw"
    sound.write_bytes(raw(4))
    with sound.open("rb") as file:
        options = ["--model", "tiny", "--plain", "--save-audio", "--label", "talk", "--log-dir", tmp_path / "logs"]
        assert livecap("--stdin", *options, stdin=file).returncode == 0
    [session] = (tmp_path / "logs").iterdir()
    saved, _ = soundfile.read(session / "audio" / "talk.wav", dtype="int16")
    assert saved.tobytes() == raw(4)
    out = livecap("--replay", session, "--pace", "max", "--model", "tiny", "--plain", "--log-dir", tmp_path / "again")
    assert out.returncode == 0, out.stderr
    assert all(" talk: " in line for line in out.stdout.splitlines()) and out.stdout


def test_a_part_of_a_recording_keeps_its_times(tmp_path: Path) -> None:
    options = ["--pace", "max", "--model", "tiny", "--json", "--log-dir", tmp_path]
    out = livecap("--replay", RECORDING, "--start", "0:10", "--end", "16.5", *options)
    assert out.returncode == 0, out.stderr
    events = events_of(tmp_path)
    starts = [event["start_sample"] for event in events if event["type"] == "utterance_ended"]
    assert starts and all(160_000 <= start <= 264_000 for start in starts)  # type: ignore[operator]
    assert events[-1]["n_samples"] == 104_000
    assert not any(event["type"] == "audio_gap" for event in events)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--replay", RECORDING, "--start", "99:00"], "has no sound at 5940 s"),
        (["--replay", RECORDING, "--start", "9", "--end", "3"], "the end comes first"),
        (["--start", "3"], "for recordings"),
        (["--rate", "8000"], "with --stdin"),
        (["--stdin", "--replay", RECORDING], "choose one"),
        (["--stdin", "--mic"], "choose one"),
        (["--replay", RECORDING, "--label", "a", "--label", "b"], "2 labels for 1 track"),
        (["--replay", RECORDING, "--label", "../../etc"], "cannot be a label"),
        (["--replay", RECORDING, "--start", "1:xx"], "--start must be seconds, 1:30 or 1:02:03, not '1:xx'"),
        (["--stdin", "--rate", "12"], "--rate must be a whole number of Hz from 1000 to 768000, not '12'"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_wrong_requests_are_one_clear_line(
    tmp_path: Path, arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert here(*arguments, "--model", "tiny", "--log-dir", tmp_path) in (1, 2)
    out, err = capfd.readouterr()
    assert message in err and err.count("\n") == 1 and out == ""
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("two_inputs")
def test_two_inputs_are_two_tracks_with_labels() -> None:
    both = Settings(mic=True, device="blackhole")
    check_sound(both)
    assert labels_of(both, 2) == ("me", "them")
    assert labels_of(Settings(labels=("a", "b")), 2) == ("a", "b")
    with pytest.raises(SettingsError, match='are the same input, "Yeti"'):
        check_sound(Settings(mic=True, device="yeti"))
    with pytest.raises(SettingsError, match="Two tracks have the label"):
        labels_of(Settings(labels=("a", "a")), 2)
    with pytest.raises(AudioError, match='No input named "Rode"'):
        check_sound(Settings(mic=True, device="Rode"))


@pytest.mark.parametrize(("one", "other"), [("Me", "me"), ("Zoë", "Zoe\u0308"), ("Straße", "STRASSE")])
def test_labels_that_name_one_file_on_a_mac_are_refused(one: str, other: str) -> None:
    with pytest.raises(SettingsError, match=f'the labels "{one}" and "{other}", which differ too little'):
        labels_of(Settings(labels=(one, other)), 2)
    with pytest.raises(SettingsError, match='the label "b"'):
        labels_of(Settings(labels=("a", "b", "b")), 3)


def test_two_tracks_begin_with_the_first_sound_of_either(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePortAudio(MIC, LOOPBACK)
    for name in portaudio.__all__:
        monkeypatch.setattr(portaudio, name, getattr(fake, name))
    monkeypatch.setattr(intake, "IN_STEP_SECONDS", 0.0)
    sound = np.full((960, 1), 0.5, np.float32)

    def open_input(device: InputDevice, *arguments: Any) -> Any:
        stream = fake.open_input(device, *arguments)
        if device == LOOPBACK:
            stream.on_block(np.repeat(sound, 2, axis=1), len(sound), None, 0)
        return stream

    monkeypatch.setattr(portaudio, "open_input", open_input)
    tracks = open_sound(Settings(mic=True, device="blackhole"), Notices())
    try:
        me, them = (track.source for track in tracks)
        eventually(lambda: them.arrived_samples == 320)
        [stream] = [stream for stream in fake.streams if stream.device == MIC]
        stream.on_block(sound, len(sound), None, 0)
        eventually(lambda: me.arrived_samples)
    finally:
        for track in tracks:
            track.source.close()
    first = me.take()
    assert first is not None and first.start_sample > 0 and len(first.samples) == 320
    assert them.take().start_sample == 0  # type: ignore[union-attr]


def test_the_input_used_last_is_used_again_with_a_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [MIC, LOOPBACK]
    monkeypatch.setattr(devices, "list_inputs", lambda monitors=True: inputs)
    monkeypatch.setattr(platformdirs, "user_state_dir", lambda *a, **k: str(tmp_path / "s"))
    assert recall_device(Settings()) == (Settings(), None)
    remember_device(Settings(device="blackhole"), "BlackHole 2ch")
    recalled, sentence = recall_device(Settings())
    assert recalled.device == "blackhole" and not recalled.mic
    assert sentence and '"BlackHole 2ch", as last time' in sentence
    for chosen in (Settings(mic=True), Settings(device="Yeti"), Settings(replay=RECORDING), Settings(stdin=True)):
        assert recall_device(chosen) == (chosen, None)
    remember_device(Settings(mic=True, device="blackhole"), "BlackHole 2ch")
    recalled, sentence = recall_device(Settings())
    assert (recalled.device, recalled.mic) == ("blackhole", True)
    assert sentence and 'Listening to the default input and "BlackHole 2ch", as last time' in sentence
    inputs[:] = [replace(MIC, is_default=False), replace(LOOPBACK, is_default=True)]
    recalled, sentence = recall_device(Settings())
    assert (recalled.device, recalled.mic) == ("blackhole", False)
    assert sentence and "is the default input now: listening to it alone" in sentence
    check_sound(recalled)
    inputs[:] = [MIC]
    recalled, sentence = recall_device(Settings())
    assert recalled == Settings() and sentence and "is not connected" in sentence
    remember_device(Settings(mic=True), "Yeti")
    assert recall_device(Settings()) == (Settings(), None)


def test_an_input_that_was_chosen_by_its_index_is_found_again_under_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [MIC, LOOPBACK]
    monkeypatch.setattr(devices, "list_inputs", lambda monitors=True: inputs)
    monkeypatch.setattr(platformdirs, "user_state_dir", lambda *a, **k: str(tmp_path / "s"))
    remember_device(Settings(device="1"), "BlackHole 2ch")
    assert recall_device(Settings())[0].device == "1"
    inputs[:] = [replace(LOOPBACK, index=0), replace(MIC, index=1)]
    recalled, sentence = recall_device(Settings())
    assert recalled.device == "BlackHole 2ch" and sentence and '"BlackHole 2ch", as last time' in sentence
    inputs[:] = [MIC, replace(MIC, index=1, name="Rode", is_default=False)]
    recalled, sentence = recall_device(Settings())
    assert recalled == Settings() and sentence and '"BlackHole 2ch", the input used last, is not connected' in sentence
    inputs[:] = [MIC, LOOPBACK, replace(LOOPBACK, index=2)]  # two of one name
    assert recall_device(Settings())[0].device == "1"


def test_inputs_with_the_same_name_are_chosen_by_their_index(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [MIC, LOOPBACK, replace(LOOPBACK, index=4)]
    monkeypatch.setattr(this_computer, "list_inputs", lambda: inputs)
    assert [choice.query for choice in this_computer.ThisComputer().inputs()] == ["Yeti", "1", "4"]


def test_inputs_are_listed_again_when_the_user_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    listed, there = [MIC], [MIC, LOOPBACK]
    for module in (this_computer, this_computer.portaudio):
        monkeypatch.setattr(module, "list_inputs", lambda: list(listed))
    monkeypatch.setattr(this_computer.portaudio, "probe_inputs", lambda wanted: there)
    monkeypatch.setattr(this_computer.portaudio, "reinitialise", lambda: listed.extend(there[1:]))
    computer = this_computer.ThisComputer()
    assert [choice.name for choice in computer.inputs()] == ["Yeti"]
    assert [choice.name for choice in computer.inputs(again=True)] == ["Yeti", LOOPBACK.name]


def test_the_file_with_the_input_used_last_is_private_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_state_dir", lambda *a, **k: str(tmp_path))
    before = os.umask(0)
    try:
        (tmp_path / "last_device.json").touch(mode=0o644)
        for device in ("yeti", "blackhole"):
            remember_device(Settings(device=device), device)
            assert (tmp_path / "last_device.json").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == ["last_device.json"]


def test_a_killed_session_leaves_sound_that_plays(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "livecap", "--stdin", "--json", "--model", "tiny", "--log-dir", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(raw(3))
        process.stdin.flush()
        assert process.stdout.readline()
        eventually(lambda: any(path.stat().st_size >= 90_000 for path in tmp_path.glob("*/audio/sound.wav")))
        process.kill()
    [file] = tmp_path.glob("*/audio/sound.wav")
    samples, _ = soundfile.read(file, dtype="int16")
    expected = np.frombuffer(raw(3), "<i2")
    assert len(samples) > 40_000 and np.array_equal(samples, expected[: len(samples)])
    assert (file.parent / "unsaved").exists()
