"""Remembered voices: added only when asked for, in one private file, named again, and forgotten without a trace."""

import json
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.archive.recorded import RecordedSession
from livecap.cli import speakers_work, voices_work
from livecap.cli.main import run
from livecap.export.formats import FORMATS, export_pieces
from livecap.settings.sources import voices_path
from livecap.speakers import remembered
from livecap.speakers.networks import EMBEDDING_SIZE
from livecap.speakers.remembered import RememberedVoices
from tests.archive.facts import SECOND, said, write
from tests.speakers.scripted import LevelDiariser

TEXTS = ["Shall we begin?", "Yes, of course.", "Me."]
TOM, PRIYA = 0.25, 0.5
Livecap = Callable[..., tuple[int, str, str]]


def meeting(logs: Path) -> Path:
    """A session with sound: Tom, Priya, Tom."""
    folder = write(logs, said(TEXTS))
    (folder / "audio").mkdir()
    levels = np.repeat(np.array([TOM, PRIYA, TOM], np.float32), 5 * SECOND)
    soundfile.write(folder / "audio" / "sound.wav", levels, SECOND)
    return folder


@pytest.fixture
def livecap(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Livecap:
    """Runs the command line with a home of its own: status, output, errors."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for module in (speakers_work, voices_work):
        monkeypatch.setattr(module, "load_diariser", LevelDiariser)

    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            status = run(arguments)
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        return status, *capsys.readouterr()

    return call


def labels(folder: Path) -> list[str]:
    return [utterance.label for utterance in RecordedSession(folder).utterances()]


def test_a_voice_of_one_session_has_its_name_in_the_next(livecap: Livecap, tmp_path: Path) -> None:
    logs = ("--log-dir", str(tmp_path / "logs"))
    first, second = meeting(tmp_path / "logs"), meeting(tmp_path / "logs")
    livecap("speakers", first.name, *logs)
    assert labels(first) == ["A", "B", "A"] and not voices_path().exists()
    status, out, err = livecap("voices", "add", "Priya", "--session", first.name, "--speaker", "b", *logs)
    assert status == 0 and "remembered in" in out and "biometric data of Priya" in err
    assert stat.S_IMODE(voices_path().stat().st_mode) == 0o600
    assert "Priya" in livecap("speakers", second.name, *logs)[1]
    assert labels(second) == ["A", "Priya", "A"] and labels(first) == ["A", "B", "A"]
    livecap("speakers", second.name, "--name", "B=Pri", *logs)
    livecap("speakers", second.name, "--again", *logs)
    assert labels(second) == ["A", "Pri", "A"], "a name that a person gave counts"


def test_a_recording_of_one_person_is_enough_and_one_of_several_is_refused(livecap: Livecap, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tom.wav", np.full(3 * SECOND, TOM, np.float32), SECOND)
    assert livecap("voices", "add", "Tom", str(tmp_path / "tom.wav"))[0] == 0
    assert json.loads(livecap("voices", "list", "--json")[1])[0]["name"] == "Tom"
    both = np.repeat(np.array([TOM, PRIYA], np.float32), 3 * SECOND)
    soundfile.write(tmp_path / "both.wav", both, SECOND)
    status, _, err = livecap("voices", "add", "Both", str(tmp_path / "both.wav"))
    assert status == 1 and "2 voices were found" in err
    soundfile.write(tmp_path / "short.wav", both[: SECOND // 2], SECOND)
    assert "too little speech" in livecap("voices", "add", "Short", str(tmp_path / "short.wav"))[2]


def test_what_is_forgotten_leaves_no_trace_in_the_file_that_held_it(livecap: Livecap) -> None:
    voices = RememberedVoices(voices_path())
    for number, name in enumerate(["Tom", "Priya"]):
        voices.add(name, np.eye(EMBEDDING_SIZE, dtype=np.float32)[number], "2026-03-01")
    with open(voices_path(), "rb") as old:
        status, out, _ = livecap("voices", "forget", "tom")
        assert (status, out) == (0, "Forgotten: Tom.\n")
        assert set(old.read()) == {0}
    assert b"Tom" not in voices_path().read_bytes() and list(voices.vectors()) == ["Priya"]
    assert livecap("voices", "forget", "--all")[0] == 0
    assert list(voices_path().parent.iterdir()) == []
    assert livecap("voices", "list")[1] == "No voice is remembered.\n"


def test_a_name_is_known_in_both_forms_of_its_accents(livecap: Livecap, tmp_path: Path) -> None:
    """A Mac may write the accents of a file's name apart, and the keyboard writes them together."""
    apart, together = "Jose\u0301", "Jos\u00e9"
    voices, vector = RememberedVoices(voices_path()), np.eye(EMBEDDING_SIZE, dtype=np.float32)[0]
    for name in (apart, together):
        voices.add(name, vector, "2026-03-01")
    assert list(voices.vectors()) == [together]
    assert livecap("voices", "forget", apart)[:2] == (0, f"Forgotten: {together}.\n")
    logs = ("--log-dir", str(tmp_path / "logs"))
    folder = meeting(tmp_path / "logs")
    livecap("speakers", folder.name, "--name", f"B={apart}", *logs)
    assert livecap("search", "course", "--speaker", together, *logs)[0] == 0
    assert livecap("speakers", folder.name, "--name", f"{together}=Pri", *logs)[0] == 0
    assert labels(folder) == ["A", "Pri", "A"]


def test_voices_that_are_added_at_once_are_all_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, both = remembered.read_regular, threading.Barrier(2)

    def late(path: Path, most_bytes: int) -> bytes:
        """Nobody goes on before the other one has read, too, if the other one may."""
        try:
            return read(path, most_bytes)
        finally:
            with suppress(threading.BrokenBarrierError):
                both.wait(0.1)

    monkeypatch.setattr(remembered, "read_regular", late)
    voices = RememberedVoices(tmp_path / "data" / "voices.json")
    vector = np.eye(EMBEDDING_SIZE, dtype=np.float32)[0]
    threads = [threading.Thread(target=voices.add, args=(name, vector, "2026-03-01")) for name in ("Tom", "Priya")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [voice.name for voice in voices.all()] == ["Priya", "Tom"]


def test_no_export_and_no_log_holds_a_voice(livecap: Livecap, tmp_path: Path) -> None:
    logs = ("--log-dir", str(tmp_path / "logs"))
    folder = meeting(tmp_path / "logs")
    soundfile.write(tmp_path / "tom.wav", np.full(3 * SECOND, TOM, np.float32), SECOND)
    livecap("voices", "add", "Tom", str(tmp_path / "tom.wav"))
    livecap("speakers", folder.name, *logs)
    session = RecordedSession(folder)
    texts = ["".join(export_pieces(session, form)) for form in FORMATS] + [(folder / "session.jsonl").read_text()]
    assert all("Tom" in text and "vector" not in text for text in texts)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add", "Tom"], "Give a recording of the voice, or --session"),
        (["add", "Tom", "x.wav", "--session", "last", "--speaker", "A"], "Give a recording of the voice, or"),
        (["add", "Tom", "--session", "last"], "Give a recording of the voice, or"),
        (["add", " ", "x.wav"], "A remembered voice needs a name, not ' '."),
        (["add", "x" * 61, "x.wav"], "A name has at most 60 characters, not 61."),
        (["forget", "Tom"], "No voice of 'Tom' is remembered. Remembered: none."),
        (["forget"], "Name the voices to forget, or give --all."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_line(livecap: Livecap, arguments: list[str], sentence: str) -> None:
    status, out, err = livecap("voices", *arguments)
    assert status != 0 and out == "" and sentence in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "voice",
    [{}, *({"name": "Tom", "added": "", "vector": vector} for vector in ([1.0, 0.5], [float("nan")] * EMBEDDING_SIZE))],
    ids=["nothing", "short", "nan"],
)
def test_a_damaged_file_says_what_to_do(livecap: Livecap, voice: dict[str, object]) -> None:
    voices_path().parent.mkdir(parents=True)
    voices_path().write_text(json.dumps({"voices": [voice]}))
    status, _, err = livecap("voices", "list")
    assert status == 1 and "are damaged. Delete the file" in err


def test_a_session_with_speakers_does_not_begin_with_a_damaged_file(livecap: Livecap, tmp_path: Path) -> None:
    """Nothing of it is left: neither a folder without facts nor the sound that came meanwhile."""
    voices_path().parent.mkdir(parents=True)
    voices_path().write_text("{}")
    soundfile.write(tmp_path / "talk.wav", np.zeros(SECOND, np.float32), SECOND)
    logs = tmp_path / "logs"
    options = ("--plain", "--model", "tiny", "--speakers", "--log-dir", str(logs))
    status, out, err = livecap("--replay", str(tmp_path / "talk.wav"), *options)
    assert status == 1 and out == "" and "are damaged. Delete the file" in err
    assert list(logs.iterdir()) == []
