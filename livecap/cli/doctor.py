"""`livecap doctor`: what this computer has, how well it captures sound, and how well and fast a model runs on it."""

import argparse
import math
import os
import platform
import time
from dataclasses import asdict
from typing import Any

from livecap.archive.archive import Archive
from livecap.archive.folder import EVENTS
from livecap.archive.reader import LogReader
from livecap.audio_in.device.devices import list_inputs
from livecap.cli.arguments import add_json, add_setting, sessions_folder, value_of
from livecap.cli.terminal import silence_model_log
from livecap.errors import LivecapError
from livecap.model.checkpoint.cached import cached_models, hub_cache
from livecap.model.checkpoint.catalogue import TINY
from livecap.model.without_mlx import missing_mlx
from livecap.settings.fields import Settings
from livecap.settings.values import Number
from livecap.text.printing import say, say_json
from livecap.this_machine import memory_bytes, processor
from livecap.transcript import SAMPLE_RATE, CaptureReport
from livecap.version import VERSION


def add_arguments(doctor: argparse.ArgumentParser) -> None:
    """The options of `livecap doctor`."""
    doctor.add_argument(
        "--selftest", action="store_true", help="also transcribe a shipped recording and report WER, RTF and memory"
    )
    doctor.add_argument(
        "--listen", metavar="SECONDS", nargs="?", type=value_of(Number(0.5, 3600, "seconds")), const=5.0,
        help="also record an input for SECONDS (default: 5) and report how well it is captured",
    )  # fmt: skip
    add_setting(doctor, "device", dest="listen_device", help="the input for --listen: index, name or part of the name")
    add_setting(doctor, "model", help="the model for --selftest")
    add_setting(doctor, "dtype")
    add_json(doctor)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Print a report; returns 1 if something that a session needs is missing, or a test failed."""
    report: dict[str, Any] = {
        "livecap": VERSION,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "memory_gb": round(memory_bytes() / 1e9),
        },
        "mlx": _mlx(),
        "capture": _capture(),
        "models": {
            "folder": str(hub_cache() or "none: no home folder"),
            "downloaded": cached_models(),
            "embedded": TINY,
        },
    }
    if last := _last_session(settings):
        report["last session"] = last
    if options.listen is not None:
        report["listened"] = _listen(getattr(options, "listen_device", settings.device), options.listen)
    if options.selftest:
        report["selftest"] = _selftest(settings)
    if settings.output == "json":
        say_json(report, indent=2)
    else:
        _print(report)
    failed = any(isinstance(part, dict) and "problem" in part for part in report.values())
    return 1 if failed else 0


def _mlx() -> dict[str, Any]:
    if problem := missing_mlx():
        return {"problem": problem}
    silence_model_log()  # the report has its warnings
    try:
        from livecap.model.backend import backend_report  # loads MLX
    except LivecapError as error:
        return {"problem": str(error)}
    report = asdict(backend_report())
    if report.get("notice") is None:
        report.pop("notice", None)
    return report


def _capture() -> dict[str, Any]:
    try:
        inputs = list_inputs()
    except LivecapError as error:
        return {"problem": str(error)}
    return {
        "inputs": [device.name for device in inputs],
        "default": next((d.name for d in inputs if d.is_default), None),
    }


def _listen(device: str | None, seconds: float) -> dict[str, Any]:
    """What was captured from an input (None: the default one) in that time, and how punctually."""
    from livecap.audio_in.device.microphone import Microphone  # loads NumPy

    started = time.monotonic()
    try:
        source = Microphone(device)
    except LivecapError as error:
        return {"problem": str(error)}
    open_seconds = time.monotonic() - started
    peak = 0.0
    try:
        while (left := started + open_seconds + seconds - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
            peak = max(peak, source.level)
    finally:
        source.close()
    status = source.health
    report: dict[str, Any] = {
        "input": source.name,
        "heard_seconds": round(source.arrived_samples / SAMPLE_RATE, 2),
        "peak": f"{20 * math.log10(peak):.0f} dBFS" if peak else "digital silence",
        "opened_in_ms": round(open_seconds * 1e3),
        **_callbacks(status.n_blocks, status.n_flags, status.n_overflows),
        "callback_p999_ms": _ms(status.callback_p999_seconds),
        "callback_max_ms": _ms(status.longest_callback_seconds),
    }
    if status.drift_ppm is not None:
        report["drift_ppm"] = round(status.drift_ppm, 1)
    if not source.arrived_samples:
        report["problem"] = f'"{source.name}" was opened but delivered no sound. Reconnect it, or choose another input.'
    return report


def _last_session(settings: Settings) -> dict[str, Any] | None:
    """What the newest live session reported about its tracks; None if there is none."""
    try:
        archive = Archive(sessions_folder(settings))
        names = archive.names()
    except LivecapError as error:
        return {"problem": str(error)}
    for name in names:
        try:
            events = LogReader(archive.parent / name / EVENTS).last_events()
        except (LivecapError, OSError):
            continue  # `livecap sessions` reports damaged logs
        reports = [event for event in events if isinstance(event, CaptureReport) and event.n_blocks]
        if not reports:
            continue
        found: dict[str, Any] = {"session": name}
        for report in reports:
            track = f"{report.track} " if report.track else ""
            found |= {
                f"{track}input": report.source,
                f"{track}captured_seconds": round(report.captured_samples / SAMPLE_RATE, 1),
                f"{track}gaps": f"{report.n_gaps}, {report.gap_samples / SAMPLE_RATE:.1f} s",
                **{
                    f"{track}{k}": v for k, v in _callbacks(report.n_blocks, report.n_flags, report.n_overflows).items()
                },
                f"{track}callback_p999_ms": report.callback_p999_ms,
                f"{track}callback_max_ms": report.callback_max_ms,
            }
            if report.drift_ppm is not None:
                found[f"{track}drift_ppm"] = report.drift_ppm
        return found
    return None


def _callbacks(n_blocks: int, n_flags: int, n_overflows: int) -> dict[str, Any]:
    """The counters that show lost sound; all but the first should be 0."""
    return {"callbacks": n_blocks, "xruns_told_by_the_system": n_flags, "overflows": n_overflows}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)


def _selftest(settings: Settings) -> dict[str, Any]:
    try:
        from livecap.cli.selftest import selftest  # loads MLX
    except LivecapError as error:
        return {"model": settings.model, "problem": str(error)}
    return selftest(settings)


def _print(report: dict[str, Any]) -> None:
    for name, part in report.items():
        if not isinstance(part, dict):
            say(f"{name:13} {part}")
            continue
        for i, (key, value) in enumerate(part.items()):
            shown = (", ".join(map(str, value)) if isinstance(value, list) else value) or "none"
            mark = "!" if key == "problem" else " "
            label = key.replace("_told_", "_reported_").replace("_", " ")  # the keys of --json stay
            say(f"{name if i == 0 else '':13}{mark}{label:28} {shown}")
