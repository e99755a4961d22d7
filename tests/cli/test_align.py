"""`livecap align`: a recording and its text become words with times, in files or on standard output."""

import io
import json
import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.align import pieces
from livecap.align.aligner import Aligner
from livecap.cli import align_work
from livecap.cli.main import run
from tests.model.parity import DATA

RECORDINGS = Path(__file__).parents[2] / "recordings"
ALIGNER = str(DATA / "aligner")
TEXT = "Hello, world - it's fine."


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIVECAP_SETTINGS", str(tmp_path / "settings.toml"))
    soundfile.write("talk.wav", np.random.default_rng(1).uniform(-0.1, 0.1, 32_000), 16_000)
    return tmp_path


def align(*arguments: str) -> int:
    return run(["align", "talk.wav", *arguments, "--aligner", ALIGNER])


def test_words_are_written_as_json_beside_the_texts_own_form(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert align(TEXT, "--language", "en") == 0
    assert capsys.readouterr().out == "talk.json\n"
    found = json.loads((here / "talk.json").read_text(encoding="utf-8"))
    assert found["text"] == TEXT and found["language"] == "English" and found["file"] == "talk.wav"
    assert [word["text"] for word in found["words"]] == ["Hello,", "world -", "it's", "fine."]
    edges = [edge for word in found["words"] for edge in (word["start"], word["end"])]
    assert edges == sorted(edges) and edges[-1] <= 2.0


def test_all_formats_go_to_a_folder(here: Path) -> None:
    assert align(TEXT, "--language", "English", "-f", "all", "-o", "out") == 0
    assert sorted(path.name for path in (here / "out").iterdir()) == ["talk.json", "talk.srt", "talk.tsv"]
    rows = [line.split("\t") for line in (here / "out" / "talk.tsv").read_text(encoding="utf-8").splitlines()]
    assert rows[0] == ["start", "end", "text"] and len(rows) == 5
    assert all(0 <= int(start) <= int(end) <= 2000 for start, end, _ in rows[1:])
    srt = (here / "out" / "talk.srt").read_text(encoding="utf-8")
    assert srt.startswith("1\n00:00:0") and " --> " in srt and "Hello, world" in srt


@pytest.mark.parametrize("name", ["json", "srt", "tsv"])
def test_one_format_is_printed_alone(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert align(TEXT, "--language", "en", "-f", name, "-o", "-") == 0
    assert "Hello," in capsys.readouterr().out
    assert not list(here.glob("talk.[jst]*"))


def test_the_text_comes_from_a_file_or_a_pipe(here: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    (here / "talk.txt").write_text("\ufeffone\n\n two\tthree\n", encoding="utf-8")
    out, into = os.pipe()  # as the shell makes one of <(command)
    with open(into, "wb") as pipe:
        pipe.write(b"one two three")
    for source in ("@talk.txt", "@-", f"@/dev/fd/{out}"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"one two three")))
        assert align(source, "--language", "en", "-o", "-") == 0
        assert json.loads(capsys.readouterr().out)["text"] == "one two three"
    os.close(out)


@pytest.mark.parametrize("source", ["@/dev/zero", "@fifo", "@long.txt", "@-"])
def test_a_text_without_end_is_refused(here: Path, source: str, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    os.mkfifo("fifo")
    monkeypatch.setattr("livecap.cli.align.MOST_BYTES", 1000)
    (here / "long.txt").write_bytes(b"a " * 501)
    with open("/dev/zero") as endless:
        monkeypatch.setattr("sys.stdin", endless)
        assert align(source, "--language", "en") == 1
    says = "not a regular file" if source in ("@/dev/zero", "@fifo") else "larger than 1,000 bytes"
    assert capsys.readouterr().err.splitlines() == [f"livecap: Cannot read the text {source[1:]}: {says}."]


def test_a_name_that_is_too_long_for_the_disk_is_shortened(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "talk.wav").rename(here / f"{'n' * 251}.wav")
    assert run(["align", f"{'n' * 251}.wav", TEXT, "--language", "en", "--aligner", ALIGNER]) == 0
    [written] = capsys.readouterr().out.splitlines()
    assert written.startswith("n" * 240) and (here / written).is_file()


def test_a_file_that_exists_is_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "talk.json").write_text("mine")
    assert align(TEXT, "--language", "en") == 1
    assert "exists already" in capsys.readouterr().err and (here / "talk.json").read_text() == "mine"
    assert align(TEXT, "--language", "en", "--overwrite") == 0
    assert (here / "talk.json").read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([TEXT], "Say which language the text is in"),
        ([TEXT, "--language", "th"], "does not know Thai. It knows Chinese"),
        ([TEXT, "--language", "klingon"], "No language named"),
        (["...", "--language", "en"], "no word in the text"),
        (["", "--language", "en"], "no word in the text"),
        (["talk.wav", "--language", "en"], "write @talk.wav"),
        (["@no.txt", "--language", "en"], "Cannot read the text no.txt: No such file"),
        (["@.", "--language", "en"], "Cannot read the text .: not a regular file"),
        (["@talk.wav", "--language", "en"], "talk.wav is not UTF-8"),
        ([TEXT, "--language", "en", "-o", "-", "-f", "all"], "Only one format can be printed"),
        ([TEXT, "--language", "en", "-o", "talk.wav/x"], "Cannot write"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert align(*arguments) == 1
    shown = capsys.readouterr()
    assert said in shown.err and len(shown.err.splitlines()) == 1 and shown.out == ""


def test_a_recording_that_is_none_and_a_recogniser_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["align", "none.wav", TEXT, "--language", "en", "--aligner", ALIGNER]) == 1
    assert "none.wav: no such file" in capsys.readouterr().err
    soundfile.write("empty.wav", np.zeros(0), 16_000)
    assert run(["align", "empty.wav", TEXT, "--language", "en", "--aligner", ALIGNER]) == 1
    assert "empty.wav: there is not a single sample in it" in capsys.readouterr().err
    assert not (here / "empty.json").exists()
    assert run(["align", "talk.wav", TEXT, "--language", "en", "--aligner", "tiny"]) == 1
    assert "is a recogniser, not a forced aligner" in capsys.readouterr().err
    shutil.copytree(ALIGNER, here / "broken")
    (here / "broken" / "model.safetensors").write_bytes(b"12345678")
    assert run(["align", "talk.wav", TEXT, "--language", "en", "--aligner", "broken"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_long_text_on_the_command_line_is_no_file_name() -> None:
    assert align("word " * 850, "--language", "en") == 0, "longer than any path"


def test_a_long_recording_is_heard_first_and_aligned_in_pieces(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(align_work, "align", partial(pieces.align, most_samples=15 * 16_000))
    load, loaded = Aligner.load, []
    monkeypatch.setattr(Aligner, "load", lambda name, on_notice: loaded.append(name) or load(name, on_notice))
    text = (RECORDINGS / "turns.txt").read_text(encoding="utf-8")
    command = ["align", str(RECORDINGS / "turns.flac"), text, "--language", "en", "-o", "-", "--model", "tiny"]
    assert run([*command, "--aligner", ALIGNER]) == 0
    assert loaded == [ALIGNER], "the recogniser needs no second aligner"
    words = json.loads(capsys.readouterr().out)["words"]
    assert [word["text"] for word in words] == text.split()
    edges = [edge for word in words for edge in (word["start"], word["end"])]
    assert edges == sorted(edges) and edges[-1] > 30
