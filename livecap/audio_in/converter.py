"""What libsndfile cannot read, such as M4A, WebM and the sound of a video: converted by ffmpeg or macOS's afconvert."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from livecap.audio_in.file_parts import promised_bytes
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

TRACK = re.compile(r"^(?:\[info\])?\s*Stream #0:(\d+)(?:\[\w+\])?(?:\((\w+)\))?: Audio:", re.MULTILINE)
VIDEO = re.compile(r"Stream #0:\d+.*: Video:(?!.*attached pic)")
DURATION = re.compile(r"^(?:\[info\])?\s*Duration: (\d+):(\d+):([\d.]+)", re.MULTILINE)
FAULT = re.compile(r"^(?:\[[^\]]* @ [^\]]*\] )?\[(?:error|fatal|panic)\] (.+)$", re.MULTILINE)
"""A line of `ffmpeg -v level+info` about something wrong."""
LENGTH_IS_GUESSED = "Estimating duration from bitrate"
LONGEST_GAP_HOURS = 4
"""A longer gap between two times of a container is taken for an error in them."""
ON_TIME = (
    f"asetpts='st(0,if(gt(PTS-ld(1),{LONGEST_GAP_HOURS * 3600}/TB),ld(1),max(PTS,ld(1))));"
    "st(1,ld(0)+NB_SAMPLES/SR/TB);ld(0)',aresample=async=1:first_pts=0"
)
"""Filters of ffmpeg that put the sound where the times of its container say, with silence in each gap: a video may
begin before its sound, and a recorder may have been paused. `ld(1)` is where the sound ends so far; sound whose time is
before that comes after it, since ffmpeg would leave it out."""
SHORT_SECONDS = 0.5
"""Sound may be this much shorter than the header of its container says."""
MOST_TRACKS = 32
SILENT_PEAK = 0.001
"""A track that never gets louder than this (-60 dBFS) is silent."""
LOOK_SECONDS = 0.05
"""How often the caller may do other work while a converter runs."""
NOT_SOUND = ("matches no streams", "Invalid data found", "Cannot determine format")
NOT_LISTED = "Format not on whitelist"
DEMUXERS = (
    "aa", "aac", "aax", "ac3", "act", "adx", "aea", "aiff", "amr", "amrnb", "amrwb", "ape", "aptx", "aptx_hd",
    "asf", "asf_o", "ast", "au", "avi", "bit", "caf", "codec2", "daud", "dhav", "dsf", "dss", "dts", "dtshd", "dv",
    "eac3", "epaf", "flac", "flv", "g722", "g723_1", "g726", "g726le", "g729", "gsm", "gxf", "hcom", "iff", "ilbc",
    "ircam", "ivr", "kux", "loas", "lvf", "matroska", "mlp", "mmf", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts",
    "mtv", "mxf", "nistsphere", "nsv", "nut", "nuv", "ogg", "oma", "paf", "pmp", "pva", "pvf", "qcp", "rm", "rso",
    "sbc", "shn", "sln", "sox", "spdif", "swf", "tak", "truehd", "tta", "ty", "vivo", "voc", "vqf", "w64", "wav",
    "wsd", "wtv", "wv", "wve", "xwma",
)  # fmt: skip
"""Formats of ffmpeg whose files hold their sound themselves. Others, such as playlists, name further files: whoever
sends one could make livecap read any file of the user."""


def convert(path: Path, known: bool, meanwhile: Callable[[], None]) -> tuple[int, list[str]]:
    """(a descriptor of a WAV or Wave64 with the sound of a file, at 16 kHz, all channels; what the user should know).

    That file has no name: closing it frees the disk space. Of several tracks it holds the first one that has sound.

    Args:
        known: the file is of a kind that a converter reads; otherwise it is only tried.
        meanwhile: called often until it is done; what it raises ends the work.

    Raises:
        AudioError: there is no converter, or it failed.
    """
    ffmpeg, afconvert = shutil.which("ffmpeg"), shutil.which("afconvert")
    if not (ffmpeg or afconvert):
        need = "this format needs ffmpeg, or afconvert on macOS; neither was found. Install ffmpeg, or convert the file"
        raise AudioError(f"Cannot read {path}: {need} to WAV." if known else not_audio(path))
    with tempfile.TemporaryDirectory(prefix="livecap.") as folder:
        by = partial(_by_ffmpeg, ffmpeg) if ffmpeg else partial(_by_afconvert, str(afconvert))
        return by(path, Path(folder), known, meanwhile)


def not_audio(path: Path) -> str:
    """What to say about a file in which no sound was found."""
    return (
        f"Cannot read {path}: it is not audio, or in a format that livecap does not read. "
        "It reads WAV, FLAC, OGG, MP3 and AIFF, and, if ffmpeg is installed, most of what that reads, but no playlists."
    )


def _by_afconvert(
    program: str, path: Path, folder: Path, known: bool, meanwhile: Callable[[], None]
) -> tuple[int, list[str]]:
    wav = folder / "converted.wav"
    done = _run([program, "-f", "WAVE", "-d", f"LEI16@{SAMPLE_RATE}", str(path.absolute()), str(wav)], meanwhile)
    if done.returncode:
        if not known:
            raise AudioError(not_audio(path))
        *_, reason = ["no reason given", *done.stdout.strip().splitlines()]
        raise AudioError(f"Cannot read {path}: afconvert could not read it: {reason}")
    return os.open(wav, os.O_RDONLY | os.O_CLOEXEC), []


def _by_ffmpeg(
    program: str, path: Path, folder: Path, known: bool, meanwhile: Callable[[], None]
) -> tuple[int, list[str]]:
    read = [program, "-nostdin", "-hide_banner", "-nostats", "-v", "level+info"]
    read += ["-dts_delta_threshold", str(LONGEST_GAP_HOURS * 3600)]
    read += ["-protocol_whitelist", "file", "-format_whitelist", ",".join(DEMUXERS), "-i", str(path.absolute())]
    done, tracks = _decode(read, ["a:0"], folder, meanwhile)
    if done.returncode:
        if "matches no streams" in done.stdout and known:
            raise AudioError(f"Cannot read {path}: there is no sound in it, only pictures.")
        if NOT_LISTED in done.stdout or (not known and any(part in done.stdout for part in NOT_SOUND)):
            raise AudioError(not_audio(path))
        reason = next(iter(FAULT.findall(done.stdout)), done.stdout.strip().rpartition("\n")[2]) or "no reason given"
        if "moov atom not found" in reason:
            reason += " (the end of the file is missing, and with it the table of its sound)"
        raise AudioError(f"Cannot read {path}: ffmpeg could not read it: {reason}")
    found = TRACK.findall(_of_input(done.stdout))[:MOST_TRACKS]
    chosen, notices = 0, []
    if len(found) > 1:
        if _is_silent(tracks[0], meanwhile):
            others, more = _decode(read, [stream for stream, _ in found[1:]], folder, meanwhile)
            if others.returncode == 0:
                done, tracks = others, [*tracks, *more]
                chosen = next((i for i, track in enumerate(tracks) if not _is_silent(track, meanwhile)), 0)
        notices.append(_chosen_track(path, found, chosen))
    if trouble := _trouble(path, done.stdout, tracks[chosen]):
        notices.append(trouble)
    return os.open(tracks[chosen], os.O_RDONLY | os.O_CLOEXEC), notices


def _decode(
    read: list[str], streams: list[str], folder: Path, meanwhile: Callable[[], None]
) -> "tuple[subprocess.CompletedProcess[str], list[Path]]":
    """Each of these streams of a file to a Wave64 of its own."""
    tracks = [folder / f"{stream.replace(':', '')}.w64" for stream in streams]
    command = list(read)
    for stream, track in zip(streams, tracks, strict=True):
        command += ["-map", f"0:{stream}", "-af", ON_TIME, "-ar", str(SAMPLE_RATE), "-c:a", "pcm_s16le", str(track)]
    return _run(command, meanwhile), tracks


def _of_input(said: str) -> str:
    """What ffmpeg says about the file that it reads."""
    return said.partition("Stream mapping:")[0].partition("Output #0")[0]


def _run(command: list[str], meanwhile: Callable[[], None]) -> "subprocess.CompletedProcess[str]":
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    said, _ = process.communicate(timeout=LOOK_SECONDS)
                    return subprocess.CompletedProcess(command, process.returncode, said)
                meanwhile()
        except BaseException:
            process.kill()
            raise


def _is_silent(track: Path, meanwhile: Callable[[], None]) -> bool:
    with soundfile.SoundFile(track) as file:
        for block in file.blocks(SAMPLE_RATE, dtype="float32"):
            meanwhile()
            if np.abs(block).max(initial=0.0) >= SILENT_PEAK:
                return False
    return True


def _chosen_track(path: Path, found: list[tuple[str, str]], chosen: int) -> str:
    stream, language = found[chosen]
    which = f"track {chosen + 1}" + (f" ({language})" if language not in ("", "und") else "")
    why = "the first that has sound" if chosen else "the first"
    other = next(stream for i, (stream, _) in enumerate(found) if i != chosen)
    return (
        f"{path.name} has {len(found)} audio tracks; {which}, {why}, is heard. "
        f"For another one: ffmpeg -i FILE -map 0:{other} other.wav"
    )


def _trouble(path: Path, said: str, track: Path) -> str | None:
    """A sentence about a file that is damaged or ends too early, as far as ffmpeg says or the lengths tell."""
    info = soundfile.info(track)
    end = f"{int(info.duration // 60)}:{info.duration % 60:06.3f}"
    if faults := FAULT.findall(said):
        return (
            f"{path.name} is damaged or cut short: the part that can be read is heard, up to {end}. ffmpeg: {faults[0]}"
        )
    with path.open("rb") as file:
        if promised_bytes(file.fileno(), n_bytes := path.stat().st_size) > n_bytes:
            return f"{path.name} is cut short: it ends at {end}."
    duration = DURATION.search(said)
    if duration is None or LENGTH_IS_GUESSED in said or VIDEO.search(_of_input(said)):
        return None
    hours, minutes, seconds = duration.groups()
    promised = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return f"{path.name} is cut short: it ends at {end}." if info.duration < promised - SHORT_SECONDS else None
