"""How well sound is captured: a few seconds of an input now, and what the last live session reported."""

import math
import time
from pathlib import Path
from typing import Any

from livecap.errors import LivecapError
from livecap.settings.fields import Settings


def listen(settings: Settings, seconds: float) -> dict[str, Any]:
    """Hear the chosen input, or the default one, for so long; what was captured, and how punctually."""
    from livecap.audio_in.device.microphone import Microphone
    from livecap.transcript import SAMPLE_RATE

    started = time.monotonic()
    try:
        source = Microphone(settings.device)
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
        **callbacks(status.n_blocks, status.n_flags, status.n_overflows),
        "callback_p999_ms": _ms(status.callback_p999_seconds),
        "callback_max_ms": _ms(status.longest_callback_seconds),
    }
    if status.drift_ppm is not None:
        report["drift_ppm"] = round(status.drift_ppm, 1)
    if not source.arrived_samples:
        report["problem"] = f'"{source.name}" was opened and delivered nothing. Connect it anew, or choose another.'
    return report


def last_session(parent: Path) -> dict[str, Any] | None:
    """What the newest live session below `parent` reported of its tracks; None where there is none."""
    from livecap.archive.folder import EVENTS
    from livecap.archive.reader import LogReader
    from livecap.transcript import SAMPLE_RATE, CaptureReport

    for log in sorted(parent.glob(f"*/{EVENTS}"), reverse=True):
        try:
            events = LogReader(log).last_events()
        except (LivecapError, OSError):
            continue  # a damaged log is the business of `livecap sessions`
        reports = [event for event in events if isinstance(event, CaptureReport) and event.n_blocks]
        if not reports:
            continue
        found: dict[str, Any] = {"session": log.parent.name}
        for report in reports:
            track = f"{report.track} " if report.track else ""
            found |= {
                f"{track}input": report.source,
                f"{track}captured_seconds": round(report.captured_samples / SAMPLE_RATE, 1),
                f"{track}gaps": f"{report.n_gaps}, {report.gap_samples / SAMPLE_RATE:.1f} s",
                **{f"{track}{k}": v for k, v in callbacks(report.n_blocks, report.n_flags, report.n_overflows).items()},
                f"{track}callback_p999_ms": report.callback_p999_ms,
                f"{track}callback_max_ms": report.callback_max_ms,
            }
            if report.drift_ppm is not None:
                found[f"{track}drift_ppm"] = report.drift_ppm
        return found
    return None


def callbacks(n_blocks: int, n_flags: int, n_overflows: int) -> dict[str, Any]:
    """The counters that tell of lost sound; all but the first should be 0."""
    return {"callbacks": n_blocks, "xruns_told_by_the_system": n_flags, "overflows": n_overflows}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
