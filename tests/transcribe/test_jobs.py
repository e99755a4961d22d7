"""`livecap transcribe` as users run it: outputs, what a second run does, broken recordings, and what it says."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

import livecap
from livecap.cli import transcribe_work
from livecap.cli.context_file import ContextFile
from livecap.cli.main import run
from livecap.errors import LogError
from livecap.export.formats import FORMATS
from livecap.model.draft_trial import DraftTrial
from livecap.transcribe import jobs
from livecap.transcribe.found import Found, find
from livecap.transcribe.ledger import LEDGER, PART, Ledger, digest_of
from livecap.transcribe.units import Stopped
from livecap.transcript import AudioGap, SessionEnded, UtteranceEnded
from tests.archive.facts import header, write

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "recordings" / "dictation.flac"


@dataclass(frozen=True)
class Out:
    status: int
    stdout: str
    stderr: str


Transcribe = Callable[..., Out]


@pytest.fixture
def transcribe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Transcribe:
    """Runs the command with `tiny`, in an empty folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def call(*arguments: str | Path) -> Out:
        status = run(["transcribe", *map(str, arguments), "--model", "tiny"])
        said = capsys.readouterr()
        return Out(status, said.out, said.err)

    return call


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first six seconds of a recording, at another rate and in stereo."""
    samples, _ = soundfile.read(RECORDING, dtype="float32", frames=6 * 16_000)
    path = tmp_path_factory.mktemp("sound") / "clip.wav"
    soundfile.write(path, np.stack([samples, samples], axis=1).repeat(2, axis=0), 32_000)
    return path


def decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each recording that is really transcribed."""
    seen: list[int] = []
    real = jobs.transcribe_file

    def counted(*arguments: object, **named: object) -> object:
        seen.append(1)
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "transcribe_file", counted)
    return seen


def test_a_recording_becomes_a_text_file_in_the_current_folder(transcribe: Transcribe, clip: Path) -> None:
    out = transcribe(clip)
    assert (out.status, out.stdout) == (0, "clip.txt\n"), out.stderr
    assert "thank you for your letter" in Path("clip.txt").read_text().lower()
    assert sorted(os.listdir()) == [LEDGER, "clip.txt"]
    assert Path("clip.txt").stat().st_mode & 0o777 == 0o600


def test_every_format_at_once_into_another_folder(transcribe: Transcribe, clip: Path) -> None:
    out = transcribe(clip, "-f", "all", "-o", "deep/out")
    assert out.status == 0, out.stderr
    assert out.stdout.split() == [f"deep/out/clip.{form}" for form in FORMATS]
    document = json.loads(Path("deep/out/clip.json").read_text())
    assert document["text"].lower().startswith("dear")
    assert (document["finish_reason"], document["truncated"], document["language"]) == ("stop", False, "English")
    assert document["segments"][0]["start"] < 1 and 3 < document["segments"][-1]["end"] <= 6
    assert document["timings"]["sound_seconds"] == 6.0 and document["header"]["settings"]["model"] == "tiny"
    assert "-->" in Path("deep/out/clip.srt").read_text()
    assert Path("deep/out/clip.md").read_text().startswith("# clip\n")


@pytest.mark.parametrize("flag", [["--stdout"], ["-o", "-"]])
def test_stdout_is_the_text_alone_and_no_file(transcribe: Transcribe, clip: Path, flag: list[str]) -> None:
    out = transcribe(clip, *flag, "--no-progress")
    assert out.status == 0 and out.stderr == "" and os.listdir() == []
    assert out.stdout.lower().startswith("dear") and out.stdout.count("\n") == 1


def test_a_text_is_printed_before_the_next_recording_begins(
    transcribe: Transcribe, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C leaves at once, and what was printed must be out by then."""
    shutil.copy(clip, tmp_path / "other.wav")
    printed: list[str] = []
    real = jobs.transcribe_file

    def looking(*arguments: object, **named: object) -> object:
        printed.append(Path("all.txt").read_text())
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "transcribe_file", looking)
    with open("all.txt", "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert transcribe(clip, tmp_path / "other.wav", "--stdout").status == 0
    assert printed[0] == "" and Path("all.txt").read_text() == 2 * printed[1] != ""


def test_a_reader_that_left_ends_the_work(
    transcribe: Transcribe, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `head`: it is not the fault of a recording, and the others would be transcribed for nobody."""
    shutil.copy(clip, tmp_path / "other.wav")
    seen = decodes(monkeypatch)
    reading, writing = os.pipe()
    os.close(reading)
    with suppress(BrokenPipeError), open(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        out = transcribe(clip, tmp_path / "other.wav", "--stdout", "--no-progress")
    assert (out.status, out.stderr, len(seen)) == (0, "", 1)


def test_a_pipe_is_refused_and_never_waited_for(transcribe: Transcribe, clip: Path) -> None:
    os.mkfifo("sound.wav")
    opened: list[str] = []
    giving_up = threading.Timer(60, lambda: opened.extend(_unblocked("sound.wav")))
    giving_up.start()
    try:
        out = transcribe("sound.wav", clip)
    finally:
        giving_up.cancel()
    assert opened == [], "it waited for a writer"
    assert (out.status, out.stdout) == (1, "clip.txt\n")
    assert "livecap: Cannot transcribe sound.wav: not a regular file.\n" in out.stderr


def _unblocked(path: str) -> list[str]:
    """Let a reader that waits for a pipe go on with nothing; the pipe, or nothing if there is no such reader."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        assert error.errno == errno.ENXIO
        return []
    return [path]


def test_recordings_of_the_same_long_name_are_transcribed_and_then_finished(
    transcribe: Transcribe, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = decodes(monkeypatch)
    recordings = [clip.with_name("n" * 248 + suffix) for suffix in (".wav", ".wave")]
    for each in recordings:
        shutil.copy(clip, each)
    first, second = (transcribe(*recordings, "-f", "txt,json") for _ in range(2))
    for each in recordings:
        each.unlink()
    assert (first.status, second.status, len(seen)) == (0, 0, 2)
    assert sorted(path.name for path in Path().glob("n*")) == sorted(first.stdout.split())
    assert len(first.stdout.split()) == 4 and second.stderr.count("is finished") == 2


def test_a_second_run_skips_what_is_finished_and_does_the_rest(
    transcribe: Transcribe, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = decodes(monkeypatch)
    other = tmp_path / "other.wav"
    assert transcribe(clip).status == 0
    samples, rate = soundfile.read(clip)
    soundfile.write(other, samples[: 2 * rate], rate)
    out = transcribe(clip, other)
    assert (out.status, out.stdout, len(seen)) == (0, "other.txt\n", 2)
    assert (
        "clip.txt is finished" in out.stderr and "1 of 2 recordings transcribed, 1 were finished before" in out.stderr
    )
    assert "; --overwrite transcribes it again" in out.stderr
    assert transcribe(clip, "--overwrite").stdout == "clip.txt\n" and len(seen) == 3
    out = transcribe(clip, "--overwrite", "--resume")
    assert out.stdout == "" and "; --overwrite without --resume transcribes it again" in out.stderr and len(seen) == 3


def test_other_options_or_other_sound_are_not_finished(
    transcribe: Transcribe, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the output is the same, so nothing is overwritten without being told."""
    seen = decodes(monkeypatch)
    copy = tmp_path / "clip.wav"
    copy.write_bytes(clip.read_bytes())
    assert transcribe(copy).status == 0
    before = Path("clip.txt").read_bytes()
    out = transcribe(copy, "--language", "en")
    assert out.status == 1 and "clip.txt exists already" in out.stderr and len(seen) == 1
    samples, rate = soundfile.read(clip)
    soundfile.write(copy, samples[: 3 * rate], rate)
    out = transcribe(copy)
    assert out.status == 1 and "exists already" in out.stderr and Path("clip.txt").read_bytes() == before
    assert transcribe(copy, "--overwrite").status == 0 and Path("clip.txt").read_bytes() != before
    copy.write_bytes(clip.read_bytes())
    shorter = Path("clip.txt").read_bytes()
    out = transcribe(copy)
    assert out.status == 1 and "exists already" in out.stderr, "the text of other sound is neither finished nor changed"
    assert Path("clip.txt").read_bytes() == shorter != before
    assert transcribe(copy, "--overwrite").status == 0 and Path("clip.txt").read_bytes() == before
    assert "clip.txt is finished; --overwrite" in transcribe(copy).stderr
    copy.rename(tmp_path / "renamed.wav")
    assert transcribe(tmp_path / "renamed.wav").stdout == "renamed.txt\n", "another name is another output"


def test_an_output_that_a_person_changed_is_left_as_it_is(transcribe: Transcribe, clip: Path) -> None:
    transcribe(clip)
    Path("clip.txt").write_text("corrected\n")
    out = transcribe(clip)
    assert out.status == 0 and "has been changed since" in out.stderr
    assert Path("clip.txt").read_text() == "corrected\n"
    out = transcribe(clip, "--overwrite", "--resume")
    assert out.status == 0 and "has been changed since" in out.stderr
    assert Path("clip.txt").read_text() == "corrected\n"
    assert transcribe(clip, "--overwrite").status == 0
    assert Path("clip.txt").read_text().lower().startswith("dear")


def test_a_recording_that_changes_while_it_is_read_has_no_text_yet(
    transcribe: Transcribe, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Path("talk.wav")
    talk.write_bytes(clip.read_bytes()[:200_000])
    real = jobs.transcribe_file

    def grows(*arguments: object, **named: object) -> object:
        found = real(*arguments, **named)  # type: ignore[arg-type]
        talk.write_bytes(clip.read_bytes())
        return found

    monkeypatch.setattr(jobs, "transcribe_file", grows)
    out = transcribe(talk, "--no-progress")
    assert out.status == 1 and not Path("talk.txt").exists()
    assert out.stderr == "livecap: Cannot transcribe talk.wav: it changed meanwhile. Try again when it is complete.\n"
    assert transcribe(talk).status == 0, "the same bytes again, at another time"
    assert "your letter" in Path("talk.txt").read_text()


def test_a_text_that_a_person_changed_is_told_from_one_that_livecap_wrote(transcribe: Transcribe, clip: Path) -> None:
    assert transcribe(clip).status == 0
    assert Ledger(Path()).has_written("clip.txt") and not Ledger(Path()).has_written("other.txt")
    Path("clip.txt").write_text("My own words.")
    assert not Ledger(Path()).has_written("clip.txt")


def test_a_line_of_the_ledger_that_was_cut_off_spoils_no_later_one(tmp_path: Path) -> None:
    """By a disk that became full, or by a crash."""
    texts = {name: f"{name} says something" for name in ("a.txt", "b.txt", "c.txt")}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    digests = {name: digest_of(tmp_path / name) or "" for name in texts}
    Ledger(tmp_path).add("a", {"a.txt": digests["a.txt"]})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / LEDGER).stat().st_size + 50, limits[1]))
    try:
        with pytest.raises(LogError, match="Cannot write"):
            Ledger(tmp_path).add("b", {"b.txt": digests["b.txt"]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    Ledger(tmp_path).add("c", {"c.txt": digests["c.txt"]})
    assert [Ledger(tmp_path).state(name[0], name) for name in texts] == ["finished", "", "finished"]
    assert (tmp_path / LEDGER).stat().st_mode & 0o777 == 0o600


def test_a_file_of_someone_else_is_not_overwritten(transcribe: Transcribe, clip: Path) -> None:
    Path("clip.txt").write_text("mine")
    out = transcribe(clip)
    assert out.status == 1 and out.stderr.count("exists already") == 1 and Path("clip.txt").read_text() == "mine"
    assert sorted(os.listdir()) == ["clip.txt"]


def test_a_format_that_is_missing_is_written_later(transcribe: Transcribe, clip: Path) -> None:
    assert transcribe(clip, "-f", "txt").status == 0
    text = Path("clip.txt").read_bytes()
    assert transcribe(clip, "-f", "txt,srt").status == 0
    assert Path("clip.srt").exists() and Path("clip.txt").read_bytes() == text


def test_the_command_has_the_word_times_and_the_repair_of_the_library(transcribe: Transcribe, clip: Path) -> None:
    assert transcribe(clip, "-f", "json").status == 0
    written = json.loads(Path("clip.json").read_bytes())
    assert written["header"]["settings"]["decoding"] | {"sampling": {}} == {
        "sampling": {}, "max_tokens": None, "word_times": True, "repair": False
    }  # fmt: skip
    with livecap.load("tiny") as engine:
        words = [asdict(word) for segment in engine.transcribe(clip).segments for word in segment.words]
    assert [word for fact in written["facts"] for word in fact["words"]] == words
    assert {word["quality"] for word in words} == {"attention"}
    assert transcribe(clip, "-f", "json", "--repair-repetitions", "--overwrite").status == 0
    assert json.loads(Path("clip.json").read_bytes())["header"]["settings"]["decoding"]["repair"] is True


def test_timestamps_come_from_the_aligner_that_is_named(transcribe: Transcribe, clip: Path) -> None:
    aligner = ROOT / "tests" / "model" / "data" / "aligner"
    assert transcribe(clip, "-f", "json,tsv", "--timestamps", "--aligner", aligner).status == 0
    written = json.loads(Path("clip.json").read_bytes())
    assert {word["quality"] for word in written["words"]} == {"aligned"}
    assert " ".join(word["text"] for word in written["words"]) == written["text"]
    assert len(Path("clip.tsv").read_text().splitlines()) == len(written["words"]) + 1
    out = transcribe(clip, "--timestamps", "--aligner", "./no-aligner", "-f", "html")
    assert out.status == 1 and "./no-aligner" in out.stderr and not Path("clip.html").exists()


def test_outputs_that_look_different_are_not_finished(transcribe: Transcribe, clip: Path) -> None:
    """The text is the same, so what was decoded of an unfinished recording still counts."""
    assert transcribe(clip, "-f", "tsv").status == 0
    for change in (["--timestamps"], ["--max-line", "30"]):
        again = transcribe(clip, "-f", "tsv", *change)
        assert again.status == 1 and "clip.tsv exists already" in again.stderr
    assert "is finished" in transcribe(clip, "-f", "tsv").stderr


def test_a_run_with_another_aligner_is_another_run(
    transcribe: Transcribe, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The aligner decides the times of words, so what was finished without it does not count."""
    assert transcribe(clip, "-f", "srt").status == 0
    monkeypatch.setenv("LIVECAP_ALIGNER", str(ROOT / "tests" / "model" / "data" / "aligner"))
    again = transcribe(clip, "-f", "srt")
    assert again.status == 1 and "clip.srt exists already" in again.stderr
    assert transcribe(clip, "-f", "srt", "--overwrite").status == 0
    assert "is finished" in transcribe(clip, "-f", "srt").stderr


def test_a_broken_recording_is_one_line_and_the_others_go_on(
    transcribe: Transcribe, clip: Path, tmp_path: Path
) -> None:
    broken, empty, none = (tmp_path / name for name in ("broken.wav", "empty.mp3", "none.wav"))
    broken.write_bytes(b"RIFF\0\0\0\0WAVEnothing")
    empty.touch()
    soundfile.write(none, np.zeros(0, np.float32), 16_000)
    out = transcribe(broken, tmp_path / "missing.wav", empty, none, clip, "--no-progress")
    assert out.status == 1 and out.stdout == "clip.txt\n"
    lines = out.stderr.splitlines()
    assert len(lines) == 5 and lines[-1] == "livecap: 1 of 4 recordings transcribed, 3 failed."
    tried = (("transcribe", "missing.wav"), ("read", "broken.wav"), ("read", "empty.mp3"), ("transcribe", "none.wav"))
    for line, (verb, name) in zip(lines, tried, strict=False):
        assert line.startswith(f"livecap: Cannot {verb} {tmp_path / name}: "), line
    assert sorted(os.listdir()) == [LEDGER, "clip.txt"]


def test_a_missing_recording_is_said_before_a_model_is_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["transcribe", "/nowhere/talk.wav", "--model", "./no-model"]) == 1
    assert capsys.readouterr().err == "livecap: Cannot transcribe /nowhere/talk.wav: no such file.\n"


def test_a_run_that_was_stopped_goes_on_where_it_was(
    transcribe: Transcribe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces that were decoded are not decoded again, and the text is that of one run."""
    from livecap.transcribe.decoding import PieceDecoder

    decoded: list[int] = []
    real = PieceDecoder.decode

    def counted(self: PieceDecoder, pieces: list, drafts: list) -> list:  # type: ignore[type-arg]
        if len(decoded) == 2 and not (tmp_path / "stopped").exists():
            (tmp_path / "stopped").touch()
            raise Stopped("Stopped.")
        decoded.append(len(pieces))
        return real(self, pieces, drafts)

    assert transcribe(RECORDING, "-o", "whole", "-f", "txt,json", "--batch", "1").status == 0
    n_pieces = json.loads(Path("whole/dictation.json").read_text())["timings"]["n_pieces"]
    monkeypatch.setattr(PieceDecoder, "decode", counted)
    out = transcribe(RECORDING, "--batch", "1")
    assert out.status == 1 and sorted(os.listdir()) == [f".dictation{PART}", "whole"]
    part = Path(f".dictation{PART}").read_bytes()
    Path(f".dictation{PART}").write_bytes(part + b'{"track": "", "sta')  # a crash in the middle of a line
    assert transcribe(RECORDING, "--batch", "1").status == 0
    assert Path("dictation.txt").read_bytes() == Path("whole/dictation.txt").read_bytes()
    assert len(decoded) == n_pieces > 2 and sorted(os.listdir()) == [LEDGER, "dictation.txt", "whole"]


def test_a_run_that_is_killed_after_the_texts_were_written_is_finished(
    transcribe: Transcribe, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = jobs.replace_file

    def killed(path: Path, pieces: object) -> None:
        if path.suffix == ".srt":
            raise KeyboardInterrupt
        real(path, pieces)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "replace_file", killed)
        assert transcribe(clip, "-f", "txt,srt").status == 130
    assert Path("clip.txt").exists() and not Path("clip.srt").exists()
    seen = decodes(monkeypatch)
    assert transcribe(clip, "-f", "txt").stdout == "" and seen == []
    assert transcribe(clip, "-f", "txt,srt").status == 0 and Path("clip.srt").exists()


def test_a_recording_that_another_livecap_finishes_just_now_is_not_transcribed_again(
    transcribe: Transcribe, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert transcribe(clip, "-o", "other").status == 0

    class Late(jobs.Part):
        """Its lock was waited for until the other process was done."""

        def __init__(self, path: Path, key: str) -> None:
            super().__init__(path, key)
            shutil.copytree("other", ".", dirs_exist_ok=True)

    monkeypatch.setattr(jobs, "Part", Late)
    seen = decodes(monkeypatch)
    out = transcribe(clip)
    assert (out.status, seen) == (0, []) and "clip.txt is finished" in out.stderr
    assert sorted(os.listdir()) == [LEDGER, "clip.txt", "other"]


def test_folders_and_patterns_find_recordings(transcribe: Transcribe, clip: Path, tmp_path: Path) -> None:
    talks = tmp_path / "talks"
    (talks / "day 2").mkdir(parents=True)
    samples, rate = soundfile.read(clip)
    for name in ("a.wav", "a.flac", "day 2/b.WAV", ".hidden.wav"):
        soundfile.write(talks / name, samples[: 2 * rate], rate, format="FLAC" if name.endswith("flac") else "WAV")
    (talks / "notes.pdf").write_text("no sound")
    out = transcribe(talks, "-o", "out")
    assert out.status == 0, out.stderr
    assert sorted(out.stdout.splitlines()) == ["out/a.flac.txt", "out/a.wav.txt", "out/day 2/b.txt"]
    out = transcribe(str(talks / "*.wav"), "-o", "again")
    assert out.status == 0 and out.stdout == "again/a.txt\n"
    out = transcribe(str(talks / "*.ogg"))
    assert out.status == 1 and out.stderr.count("\n") == 1 and "no recording has a name like that" in out.stderr


def test_a_pattern_finds_recordings_in_all_folders_and_follows_no_links(tmp_path: Path) -> None:
    """Two links to their own folder would be 2^40 folders to look at."""
    talks, elsewhere = tmp_path / "talks [1]", tmp_path / "elsewhere"
    for folder in (talks / "day" / "late", talks / ".hidden", elsewhere):
        folder.mkdir(parents=True)
        (folder / "a.wav").touch()
    (talks / "b.wav").touch()
    (talks / "day" / "notes.pdf").touch()
    (talks / "link").symlink_to(elsewhere)
    (talks / "loop").symlink_to(".")
    for pattern, names in (
        ("talks*/**/*.wav", {"b.wav", "day/late/a.wav"}),
        ("talks*/**", {"b.wav", "day/late/a.wav"}),
        ("talks*/**/late/**/?.wav", {"day/late/a.wav"}),
        ("talks*/*/?.wav", {"loop/b.wav", "link/a.wav"}),
    ):
        found, errors = find([str(tmp_path / pattern)])
        assert {str(each.path.relative_to(talks)) for each in found} == names and not errors, pattern


def test_a_folder_that_cannot_be_read_is_said_and_the_others_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("closed", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").touch()
    real = os.scandir

    def scandir(path: str | Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for given in (tmp_path, tmp_path / "*"):
        found, errors = find([str(given), "x" * 300])
        assert [each.path for each in found] == [tmp_path / "open" / "a.wav", Path("x" * 300)]
        assert [str(error) for error in errors] == [
            f"Cannot look for recordings in {tmp_path / 'closed'}: Permission denied."
        ]


def test_a_watched_folder_that_cannot_be_read_is_said_once(
    transcribe: Transcribe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, looks, real = tmp_path / "inbox", iter(range(3)), os.scandir
    inbox.mkdir()

    def scandir(path: str | Path) -> object:
        if Path(path) != inbox:
            return real(path)
        if next(looks) == 2:
            signal.raise_signal(signal.SIGINT)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(transcribe_work, "WATCH_SECONDS", 0.01)
    out = transcribe("--watch", inbox, "-o", "texts")
    assert out.status == 130 and out.stderr.count(f"Cannot look for recordings in {inbox}: Permission denied.") == 1


def test_a_recording_with_an_impossible_date_is_transcribed(transcribe: Transcribe, clip: Path) -> None:
    """A program that takes milliseconds for seconds sets such dates; some disks keep them."""
    shutil.copy(clip, "late.wav")
    os.utime("late.wav", (1_700_000_000_000, 1_700_000_000_000))
    assert transcribe("late.wav", "-f", "json").status == 0
    assert json.loads(Path("late.json").read_text())["started"] < "2097"


def test_the_same_recording_twice_is_transcribed_once(transcribe: Transcribe, clip: Path) -> None:
    assert transcribe(clip, clip.parent / "." / clip.name).stdout == "clip.txt\n"


def test_an_address_is_answered_with_what_to_do(transcribe: Transcribe) -> None:
    out = transcribe("https://example.com/talk.mp3")
    assert out.status == 1 and out.stderr.count("\n") == 1
    assert "Download it first" in out.stderr and "https://example.com/talk.mp3" in out.stderr


def test_a_session_with_its_sound_is_transcribed_track_by_track(
    transcribe: Transcribe, clip: Path, tmp_path: Path
) -> None:
    events = [AudioGap("me", 0, 10), SessionEnded(96_000, "stopped")]
    folder = write(tmp_path / "sessions", events, header(tracks=("me", "them")))
    samples, _ = soundfile.read(RECORDING, dtype="float32", frames=6 * 16_000)
    (folder / "audio").mkdir()
    soundfile.write(folder / "audio" / "me.flac", samples, 16_000)
    soundfile.write(folder / "audio" / "them.flac", samples[: 3 * 16_000], 16_000)
    out = transcribe(folder)
    assert out.status == 0, out.stderr
    text = Path(f"{folder.name}.txt").read_text()
    assert "me: Dear" in text and "them: Dear" in text
    assert transcribe(tmp_path / "sessions", "-f", "md").stdout == f"{folder.name}.md\n"
    assert "[10:02:0" in Path(f"{folder.name}.md").read_text(), "times of the session"


def test_a_number_of_speakers_for_several_tracks_is_refused_before_they_are_decoded(
    transcribe: Transcribe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "sessions", [SessionEnded(32_000, "stopped")], header(tracks=("me", "them")))
    (folder / "audio").mkdir()
    for track in ("me", "them"):
        soundfile.write(folder / "audio" / f"{track}.flac", np.zeros(32_000), 16_000)
    seen = decodes(monkeypatch)
    out = transcribe(folder, "--speakers", "--num-speakers", "2")
    assert out.status == 1 and "single track, and there are 2: me, them" in out.stderr
    assert not seen and not Path(f"{folder.name}.txt").exists()


def test_the_live_text_of_a_session_and_an_earlier_run_are_drafts(
    transcribe: Transcribe, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model checks them instead of writing the text again, which stays the same, right or wrong as they are."""
    monkeypatch.setattr(DraftTrial, "wants_drafts", lambda self: True)
    assert transcribe(clip, "-f", "json").status == 0
    plain = json.loads(Path("clip.json").read_text())
    assert plain["timings"]["n_accepted"] == 0
    assert transcribe(clip, "-f", "json", "--overwrite").status == 0
    again = json.loads(Path("clip.json").read_text())
    assert again["text"] == plain["text"] and again["timings"]["n_accepted"] == plain["timings"]["n_tokens"]
    live = UtteranceEnded("me", 0, plain["text"].replace("letter", "ladder"), 0, 96_000, "English")
    folder = write(tmp_path / "sessions", [live, SessionEnded(96_000, "stopped")], header(tracks=("me",)))
    samples, _ = soundfile.read(RECORDING, dtype="float32", frames=6 * 16_000)
    (folder / "audio").mkdir()
    soundfile.write(folder / "audio" / "me.flac", samples, 16_000)
    assert transcribe(folder, "-f", "json").status == 0
    session = json.loads(Path(f"{folder.name}.json").read_text())
    assert "letter" in session["text"] and "ladder" not in session["text"]
    assert 0.3 < session["timings"]["n_accepted"] / session["timings"]["n_tokens"] < 1


def test_a_session_without_sound_says_so(transcribe: Transcribe, tmp_path: Path) -> None:
    folder = write(tmp_path / "sessions", [SessionEnded(0, "stopped")])
    out = transcribe(folder)
    assert out.status == 1 and "this session has no sound" in out.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x.wav", "--language", "Englisch"], "Nearest: English"),
        ([], "Nothing to transcribe"),
        (["--watch", "missing"], "--watch needs a folder"),
        (["--watch", ".", "--stdout"], "use -o DIR"),
        (["x.wav", "--context-file", "missing.txt"], "Cannot read --context-file missing.txt"),
        (["x.wav", "--draft-model", "tiny", "--temperature", "1"], "--draft-model needs the best tokens"),
        (["x.wav", "--draft-model", "./missing"], "./missing"),
        (["x.wav", "--ray", "auto", "--stdout"], "--ray writes files"),
        (["x.wav", "--ray", "auto", "--watch", "."], "leave out --watch"),
        (["x.wav", "--stdout", "-f", "txt,srt"], "Only one format can be printed"),
        (["x.wav", "y.wav", "--stdout", "-f", "srt"], "Several recordings can be printed only as txt, not as srt."),
    ],
)
def test_wrong_requests_are_one_line(transcribe: Transcribe, arguments: list[str], said: str) -> None:
    Path("x.wav").touch()
    Path("y.wav").touch()
    out = transcribe(*arguments)
    assert out.status == 1 and said in out.stderr and out.stderr.count("\n") == 1 and out.stdout == ""


def test_a_cluster_without_its_package_is_one_line(transcribe: Transcribe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "livecap.cli.transcribe_ray", raising=False)
    monkeypatch.delitem(sys.modules, "livecap.transcribe.ray_pool", raising=False)
    Path("x.wav").touch()
    out = transcribe("x.wav", "--ray", "auto")
    assert out.status == 1 and '--with-executables-from ray ".[ray]"' in out.stderr and out.stderr.count("\n") == 1


def test_quiet_prints_nothing_and_verbose_says_how_long_it_took(transcribe: Transcribe, clip: Path) -> None:
    out = transcribe(clip, "--quiet")
    assert (out.status, out.stdout, out.stderr) == (0, "", "")
    out = transcribe(clip, "--verbose", "--overwrite", "--no-progress")
    assert "6 s of sound at" in out.stderr and "real time" in out.stderr


def test_most_tokens_cut_the_text_and_say_so(transcribe: Transcribe, clip: Path) -> None:
    out = transcribe(clip, "-f", "json", "--max-tokens", "5", "--no-progress")
    document = json.loads(Path("clip.json").read_text())
    assert (document["finish_reason"], document["truncated"]) == ("length", True)
    assert document["timings"]["n_tokens"] <= 5 + 16 and "cut off at the limit of tokens" in out.stderr


def test_lines_of_progress_come_where_there_is_no_terminal(transcribe: Transcribe, clip: Path) -> None:
    out = transcribe(clip)
    [line] = out.stderr.splitlines()
    assert line.startswith("clip.wav  0:0") and "x real time" in line and "\x1b" not in line


def test_an_interrupt_keeps_what_is_finished_and_says_how_to_go_on(clip: Path, tmp_path: Path) -> None:
    """In a process of its own, with a recording that takes a while."""
    long = tmp_path / "long.wav"
    samples, rate = soundfile.read(RECORDING, dtype="float32")
    soundfile.write(long, np.tile(samples, 40), rate)
    command = [sys.executable, "-m", "livecap", "transcribe", clip, long, "--model", "tiny", "--batch", "1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment)
    part = tmp_path / f".long{PART}"
    while process.poll() is None and not (part.exists() and part.stat().st_size > 200):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "1 of 2 finished. The same command goes on from there." in said and "Traceback" not in said
    assert (tmp_path / "clip.txt").exists() and not (tmp_path / "long.txt").exists() and part.exists()


@pytest.mark.parametrize(
    ("flags", "follows"),
    [
        ([], "goes on from there"),
        (["--overwrite", "--resume"], "goes on from there"),
        (["--overwrite"], "begins from the start"),
        (["--stdout"], "begins from the start"),
    ],
)
def test_what_the_same_command_does_after_an_interrupt_is_said(
    transcribe: Transcribe, clip: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], follows: str
) -> None:
    """With --overwrite and on standard output, nothing is kept from which it could go on."""
    real = jobs.transcribe_file

    def interrupted(*arguments: object, **named: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "transcribe_file", interrupted)
    out = transcribe(clip, *flags)
    assert (out.status, out.stdout) == (130, "")
    assert out.stderr == f"livecap: Stopped: 0 of 1 finished. The same command {follows}.\n"


def test_what_fails_in_a_watched_folder_for_a_reason_that_may_pass_is_tried_again(
    transcribe: Transcribe, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = transcribe_work.Work._one, iter([LogError("Cannot write x: No space left on device.")] * 2)

    def one(work: transcribe_work.Work, *arguments: object) -> object:
        if (failure := next(tries, None)) is not None:
            raise failure
        done = real(work, *arguments)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)
        return done

    monkeypatch.setattr(transcribe_work.Work, "_one", one)
    monkeypatch.setattr(transcribe_work, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(transcribe_work, "WATCH_SECONDS", 0.01)
    out = transcribe("--watch", clip.parent, "-o", "texts", "--no-progress")
    assert out.status == 130 and out.stderr.count("No space left on device") == 1
    assert (Path("texts") / "clip.txt").read_text()


def test_a_failed_recording_waits_twice_as_long_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("livecap.cli.transcribe_work.time.monotonic", lambda: now[0])
    again, waited, looks = None, [], ((1, 1),)
    for _ in range(6):
        again = transcribe_work.Again("full", looks, again)
        began = now[0]
        while again.waits_for(looks):
            now[0] += 1
        waited.append(now[0] - began)
    assert waited == [60, 120, 240, 480, 600, 600]
    again = transcribe_work.Again("full", looks, again)
    assert again.waits_for(looks) and not again.waits_for(((2, 2),))  # it has changed


def test_a_changed_recording_whose_second_transcription_fails_is_renewed_later(
    transcribe: Transcribe, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    shutil.copy(clip, inbox / "clip.wav")
    real, renewed = transcribe_work.Work._one, []

    def one(work: transcribe_work.Work, found: Found, renew: bool) -> object:
        renewed.append(renew)
        if len(renewed) == 2:
            raise LogError("Cannot write x: No space left on device.")
        done = real(work, found, renew)
        if len(renewed) == 1:
            samples, rate = soundfile.read(clip)
            soundfile.write(inbox / "clip.wav", samples[: 2 * rate], rate)
        else:
            signal.raise_signal(signal.SIGINT)
        return done

    monkeypatch.setattr(transcribe_work.Work, "_one", one)
    monkeypatch.setattr(transcribe_work, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(transcribe_work, "WATCH_SECONDS", 0.01)
    out = transcribe("--watch", inbox, "-o", "texts", "--no-progress")
    assert out.status == 130 and renewed == [False, True, True]
    assert out.stderr.count("No space left on device") == 1 and "exists already" not in out.stderr


def test_a_watched_folder_is_transcribed_as_recordings_are_complete(clip: Path, tmp_path: Path) -> None:
    """In a process of its own: one that is there, one that grows, a broken one, one of the same name; then Ctrl-C."""
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    inbox.mkdir()
    samples, rate = soundfile.read(clip)
    soundfile.write(inbox / "first.wav", samples[: 2 * rate], rate)
    command = [sys.executable, "-m", "livecap", "transcribe", "--watch", inbox, "-o", out, "--model", "tiny"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment)

    def wait_for(path: Path) -> None:
        while process.poll() is None and not path.exists():
            time.sleep(0.05)
        assert path.exists()

    wait_for(out / "first.txt")
    data = clip.read_bytes()
    (inbox / "broken.wav").write_bytes(b"RIFF----WAVEnothing")
    with open(inbox / "second.wav", "wb") as file:
        for at in range(0, len(data), len(data) // 4 + 1):
            file.write(data[at : at + len(data) // 4 + 1])
            file.flush()
            time.sleep(0.3)
    wait_for(out / "second.txt")
    soundfile.write(inbox / "first.flac", samples[: 2 * rate], rate)
    (inbox / "first.wav").write_bytes(data)  # what was there was not all of it
    soundfile.write(inbox / "third.wav", samples[:rate], rate)
    wait_for(out / "third.txt")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.count("Cannot read") == 1 and "exists already" not in said, said
    assert (out / "first.flac.txt").exists() and not (out / "broken.txt").exists()
    for name in ("first.txt", "second.txt"):
        assert "your letter" in (out / name).read_text()


def test_a_profile_says_where_time_and_memory_went(transcribe: Transcribe, clip: Path) -> None:
    out = transcribe(clip, "--profile", "--no-progress")
    [line] = [line for line in out.stderr.splitlines() if "Profile: " in line]
    for part in ("reading", "encoder", "decoder", "tokens/s", "real-time factor", "memory peak"):
        assert part in line


def test_terms_of_a_file_are_expected_and_decide_what_is_finished(transcribe: Transcribe, clip: Path) -> None:
    Path("terms.txt").write_text("Maria\n")
    assert transcribe(clip, "-f", "json", "--context-file", "terms.txt").status == 0
    assert json.loads(Path("clip.json").read_text())["header"]["settings"]["context"] == "Maria"
    assert "is finished" in transcribe(clip, "-f", "json", "--context-file", "terms.txt").stderr
    Path("terms.txt").write_text("Maria\nPriya\n")
    assert "exists already" in transcribe(clip, "-f", "json", "--context-file", "terms.txt").stderr


@pytest.mark.parametrize("grown_at", [1, 2], ids=["before the model is loaded", "after it"])
def test_terms_that_a_grown_file_has_too_many_of_are_told(
    transcribe: Transcribe, clip: Path, monkeypatch: pytest.MonkeyPatch, grown_at: int
) -> None:
    changed, n_looks = ContextFile.changed, 0

    def grown(file: ContextFile) -> str | None:
        nonlocal n_looks
        n_looks += 1
        if n_looks == grown_at:
            Path("terms.txt").write_text("Kowalski\n" + "".join(f"Kowalski{n}\n" for n in range(80)))
        return changed(file)

    monkeypatch.setattr(ContextFile, "changed", grown)
    shutil.copy(clip, "other.wav")
    Path("terms.txt").write_text("Maria\n")
    out = transcribe(clip, "other.wav", "--context-file", "terms.txt")
    assert (out.status, n_looks, out.stderr.count("Names and terms to expect")) == (0, 2, 1)
