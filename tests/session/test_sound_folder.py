"""Sound is kept while a session runs, after it on request, and for seven days after a crash."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.archive.log import SessionLog
from livecap.archive.steps import Step, recorded_steps
from livecap.audio_in.replay import Replay
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError
from livecap.session.recorded_source import open_session
from livecap.session.sound_folder import KEPT_SECONDS, SoundFolder, delete_unsaved_sound, tidy
from livecap.transcript import AudioGap, SessionEnded, SessionStarted
from tests.archive.when import STARTED
from tests.audio_in.waiting import blocks

SECOND = 16_000
STEPS = (Step(7000, 6400), Step(50_000, 16_000, closes=True))
RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"


def sound(n: int, seed: int = 0) -> np.ndarray:
    """Noise that 16-bit samples represent exactly."""
    return (np.random.default_rng(seed).integers(1, 9000, n) / 32768).astype(np.float32)


def recorded(parent: Path, save: bool, clean: bool = True) -> Path:
    """A session of two tracks with a gap in one; returns its folder."""
    log = SessionLog(parent, STARTED)
    started = SessionStarted(
        log.session, "A + B", "tiny", "2026-03-01T10:02:03.000+01:00", True, None, "0", tracks=("me", "them")
    )
    log.append(started, 0.0)
    folder = SoundFolder(log.folder, save)
    spools = {"me": Spool(), "them": Spool()}
    for label, spool in spools.items():
        folder.add(label, spool)
    spools["me"].append(sound(3 * SECOND))
    spools["me"].append_gap(SECOND)
    spools["me"].append(sound(SECOND, 1))
    spools["them"].append(sound(5 * SECOND, 2))
    log.append(AudioGap("me", 3 * SECOND, 4 * SECOND), 4.0)
    for step in STEPS:
        folder.note_step("me", step)
    if clean:
        log.append(SessionEnded(5 * SECOND, "stopped"), 5.0)
    log.close()
    folder.close(clean)
    return log.folder


def test_sound_is_deleted_at_a_clean_end_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    assert not (recorded(tmp_path, save=False) / "audio").exists()
    kept = recorded(tmp_path, save=True)
    assert sorted(path.name for path in (kept / "audio").iterdir()) == ["me.wav", "steps.jsonl", "them.wav"]
    assert {path.stat().st_mode & 0o777 for path in (kept / "audio").iterdir()} == {0o600}
    crashed = recorded(tmp_path, save=False, clean=False)
    assert len(soundfile.read(crashed / "audio" / "me.wav")[0]) == 5 * SECOND


@pytest.mark.parametrize("save", [True, False])
def test_a_session_that_failed_before_its_first_sound_leaves_none_behind(tmp_path: Path, save: bool) -> None:
    """Otherwise it could be recovered, and `transcribe` would fail on it."""
    folder = SoundFolder(tmp_path / "session", save)
    folder.folder.parent.mkdir()
    folder.add("", Spool())
    assert (tmp_path / "session" / "audio" / "sound.wav").exists()
    folder.close(clean=False)
    assert not (tmp_path / "session" / "audio").exists()


def test_a_recorded_session_has_the_same_sound_gaps_and_steps(tmp_path: Path) -> None:
    folder = recorded(tmp_path, save=True)
    assert recorded_steps(folder) == {"me": STEPS}
    me, them = open_session(folder, None)
    assert (me.label, them.label) == ("me", "them")
    assert me.steps == STEPS and them.steps == ()
    heard = list(blocks(me.source))
    assert [block.end_sample for block in heard][:2] == [7000, 3 * SECOND]
    assert heard[2].start_sample == 4 * SECOND
    assert np.array_equal(np.concatenate([c.samples for c in heard if c.end_sample <= 3 * SECOND]), sound(3 * SECOND))
    after = np.concatenate([block.samples for block in heard if block.start_sample >= 4 * SECOND])
    assert np.array_equal(after, sound(SECOND, 1))
    assert np.array_equal(np.concatenate([block.samples for block in blocks(them.source)]), sound(5 * SECOND, 2))


def test_a_session_without_sound_says_how_to_keep_it(tmp_path: Path) -> None:
    folder = recorded(tmp_path, save=False)
    with pytest.raises(AudioError, match="--save-audio keeps it"):
        open_session(folder, None)
    with pytest.raises(AudioError, match="not a session"):
        open_session(tmp_path, None)


def test_sound_from_a_crash_is_reported_once_and_deleted_after_seven_days(tmp_path: Path) -> None:
    saved, crashed = recorded(tmp_path, save=True, clean=False), recorded(tmp_path, save=False, clean=False)
    assert tidy(tmp_path) == [crashed] and tidy(tmp_path) == []
    now = time.time()
    assert tidy(tmp_path, now + KEPT_SECONDS - 60) == [] and (crashed / "audio").exists()
    tidy(tmp_path, now + KEPT_SECONDS + 60)
    assert not (crashed / "audio").exists() and (saved / "audio").exists()
    assert (crashed / "session.jsonl").exists()


def test_the_seven_days_count_from_the_crash_of_a_session_that_ran_for_long(tmp_path: Path) -> None:
    crashed = recorded(tmp_path, save=False, clean=False)
    began = time.time() - KEPT_SECONDS - 60
    os.utime(crashed / "audio" / "unsaved", (began, began))
    assert tidy(tmp_path) == [crashed] and (crashed / "audio" / "me.wav").exists()
    tidy(tmp_path, time.time() + KEPT_SECONDS + 60)
    assert not (crashed / "audio").exists()


def test_a_session_whose_folder_is_renamed_keeps_all_its_sound_or_deletes_it(tmp_path: Path) -> None:
    for save in (True, False):
        notices: list[str] = []
        old, new = tmp_path / f"{save}", tmp_path / f"{save} weekly"
        old.mkdir()
        folder, spool = SoundFolder(old, save, lambda new=new: new), Spool(on_notice=notices.append)
        folder.add("", spool)
        old.rename(new)
        for seed in range(12):
            spool.append(sound(SECOND, seed))
        folder.close(clean=True)
        assert notices == [] and not old.exists() and (new / "audio").exists() == save
    assert len(soundfile.read(tmp_path / "True weekly" / "audio" / "sound.wav")[0]) == 12 * SECOND


def test_sound_that_is_left_beside_a_log_that_ended_is_deleted_and_not_called_a_crash(tmp_path: Path) -> None:
    ended = recorded(tmp_path, save=False)
    (ended / "audio").mkdir()
    (ended / "audio" / "unsaved").touch()
    assert tidy(tmp_path) == [] and not (ended / "audio").exists()


def test_what_the_user_put_beside_the_sound_stays(tmp_path: Path) -> None:
    crashed, ended = (recorded(tmp_path, save=False, clean=False) for _ in range(2))
    for session in (crashed, ended):
        (session / "audio" / "slides.pdf").write_text("mine")
    delete_unsaved_sound(ended)
    tidy(tmp_path, time.time() + KEPT_SECONDS + 60)
    for session in (crashed, ended):
        assert [path.name for path in (session / "audio").iterdir()] == ["slides.pdf"]
    running = SoundFolder(tmp_path / "running", save=False)
    (tmp_path / "running").mkdir()
    running.add("", Spool())
    (tmp_path / "running" / "audio" / "slides.pdf").write_text("mine")
    running.close(clean=True)
    assert [path.name for path in (tmp_path / "running" / "audio").iterdir()] == ["slides.pdf"]


def test_the_sound_of_a_running_session_is_left_alone(tmp_path: Path) -> None:
    script = (
        "import sys, datetime\n"
        "from pathlib import Path\n"
        "from livecap.audio_in.spool import Spool\n"
        "from livecap.archive.log import SessionLog\n"
        "from livecap.session.sound_folder import SoundFolder\n"
        "log = SessionLog(Path(sys.argv[1]), datetime.datetime(2026, 3, 1))\n"
        "SoundFolder(log.folder, False).add('', Spool())\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert tidy(tmp_path, time.time() + 2 * KEPT_SECONDS) == []
        [folder] = tmp_path.iterdir()
        assert (folder / "audio" / "sound.wav").exists()
        process.kill()
    tidy(tmp_path, time.time() + 2 * KEPT_SECONDS)
    assert not (folder / "audio").exists()


def test_a_replay_with_cuts_yields_exactly_these_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(3 * SECOND), SECOND)
    cuts = [100, 20_000, 33_333]
    for pace in (None, 50.0):
        ends = [block.end_sample for block in blocks(Replay(path, pace, cuts=cuts))]
        assert ends[:3] == cuts and ends[-1] == 3 * SECOND
    now = 0.0
    late = Replay(path, 1.0, cuts=cuts, now=lambda: now)
    late.take()
    now = 60.0
    assert late.arrived_samples == 3 * SECOND  # all sound is in memory
    assert [block.end_sample for block in blocks(late)] == [*cuts, 3 * SECOND]


def test_a_folder_that_cannot_be_written_does_not_end_the_session(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "audio").write_text("")  # root may write anywhere, but not below a file
    else:
        tmp_path.chmod(0o500)
    notices: list[str] = []
    folder, spool = SoundFolder(tmp_path, True), Spool(on_notice=notices.append)
    folder.add("", spool)
    spool.append(sound(100))
    folder.note_step("", Step(100, 100))
    assert len(notices) == 1 and spool.take() is not None
    folder.close(True)
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("kind", ["FIFO", "link", "folder", "device"])
def test_a_strange_marker_is_neither_opened_nor_followed_and_stops_nothing(tmp_path: Path, kind: str) -> None:
    folder = recorded(tmp_path / "logs", save=False, clean=False)
    strange = recorded(tmp_path / "logs", save=False, clean=False) / "audio" / "unsaved"
    outside = tmp_path / "outside"
    outside.touch()
    strange.unlink()
    make = {"FIFO": os.mkfifo, "folder": os.mkdir, "link": lambda path: path.symlink_to(outside)}
    make.get(kind, lambda path: path.symlink_to("/dev/zero"))(strange)
    assert folder in tidy(tmp_path / "logs")
    assert outside.read_text() == ""
