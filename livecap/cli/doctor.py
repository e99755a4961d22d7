"""`livecap doctor`: what this machine has, and with `--selftest` how well and how fast a model does on it."""

import argparse
import importlib.util
import json
import os
import platform
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from livecap.cli.arguments import sessions_folder
from livecap.cli.terminal import silence_model_log
from livecap.errors import LivecapError
from livecap.model.checkpoint.catalogue import cached_models, hub_cache
from livecap.settings.fields import Settings
from livecap.shipped import demo_recording, reference_text
from livecap.this_machine import memory_bytes, peak_resident_bytes, processor
from livecap.version import VERSION


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`livecap doctor [--selftest] [--listen [SECONDS]] [--device NAME] [--model NAME] [--json]`."""
    doctor = commands.add_parser("doctor", help="say what this machine has")
    doctor.add_argument("--selftest", action="store_true", help="and transcribe a shipped recording: WER, RTF, memory")
    doctor.add_argument(
        "--listen", metavar="SECONDS", nargs="?", type=_seconds, const=5.0, help="and hear an input for 5 s, or so long"
    )
    doctor.add_argument("--device", dest="doctor_device", metavar="NAME", help="the input to hear")
    doctor.add_argument("--model", dest="doctor_model", metavar="NAME", help="the model of the self-test")
    doctor.add_argument("--json", dest="as_json", action="store_true", help="as JSON")
    doctor.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace, settings: Settings) -> int:
    model = options.doctor_model or settings.model
    heard = replace(settings, device=options.doctor_device or settings.device)
    as_json = options.as_json or options.json
    return doctor(model, heard, selftest=options.selftest, listen_seconds=options.listen, as_json=as_json)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.5 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no time to listen: give 0.5 to 3600 seconds")
    return seconds


def doctor(model: str, settings: Settings, selftest: bool, listen_seconds: float | None, as_json: bool) -> int:
    """Print a report; returns 1 where something that a session needs is missing, or the self-test failed."""
    from livecap.cli.capture_check import last_session, listen

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
        "models": _models(),
    }
    if last := last_session(sessions_folder(settings)):
        report["last session"] = last
    if listen_seconds is not None:
        report["listened"] = listen(settings, listen_seconds)
    if selftest:
        report["selftest"] = _selftest(model)
    if as_json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _print(report)
    failed = any(isinstance(part, dict) and "problem" in part for part in report.values())
    return 1 if failed else 0


def _mlx() -> dict[str, Any]:
    if importlib.util.find_spec("mlx") is None:
        return {"problem": "MLX is not installed; it needs an Apple-silicon Mac with macOS 14 or Linux."}
    silence_model_log()  # it stands in the report
    from livecap.model.backend import backend_report

    report = asdict(backend_report())
    if report.get("notice") is None:
        report.pop("notice", None)
    return report


def _capture() -> dict[str, Any]:
    from livecap.audio_in.device.devices import list_inputs

    try:
        inputs = list_inputs()
    except LivecapError as error:
        return {"problem": str(error)}
    return {
        "inputs": [device.name for device in inputs],
        "default": next((d.name for d in inputs if d.is_default), None),
    }


def _models() -> dict[str, Any]:
    return {"folder": str(hub_cache()), "downloaded": cached_models(), "embedded": "tiny"}


def _selftest(model: str) -> dict[str, Any]:
    """Play a shipped recording through the model as fast as it goes, by the same path as a session."""
    import tempfile

    from livecap.cli.run import make_session
    from livecap.eval.wer import word_error_rate
    from livecap.transcript import SAMPLE_RATE, SessionEvent, TranscriptUpdate, UtteranceEnded

    recording = demo_recording()
    utterances: list[str] = []

    def collect(item: SessionEvent | TranscriptUpdate) -> None:
        if isinstance(item, UtteranceEnded):
            utterances.append(item.text)

    with tempfile.TemporaryDirectory() as folder:
        try:
            session = make_session(Settings(replay=recording, pace=None, model=model, log_dir=Path(folder)))
        except LivecapError as error:
            return {"model": model, "problem": str(error)}
        session.add_listener(collect)
        session.start()
        session.wait()
        status = session.status
    if status.error is not None:
        return {"model": model, "problem": status.error}
    sound_seconds = status.arrived_samples / SAMPLE_RATE
    return {
        "model": model,
        "recording": recording.name,
        "sound_seconds": round(sound_seconds, 1),
        "wer": round(word_error_rate(reference_text(recording), " ".join(utterances)), 4),
        "rtf": round(session.costs.compute_seconds / sound_seconds, 4),
        "load_seconds": round(session.load_seconds, 2),
        "peak_memory_mb": round(peak_resident_bytes() / 1e6),
    }


def _print(report: dict[str, Any]) -> None:
    for name, part in report.items():
        if not isinstance(part, dict):
            print(f"{name:13} {part}")
            continue
        for i, (key, value) in enumerate(part.items()):
            shown = (", ".join(map(str, value)) if isinstance(value, list) else value) or "none"
            mark = "!" if key == "problem" else " "
            print(f"{name if i == 0 else '':13}{mark}{key.replace('_', ' '):26} {shown}")
