"""How a track was captured, as one fact for the log and for `livecap doctor`."""

from dataclasses import replace

from livecap.audio_in.device.microphone import Microphone
from livecap.session.tracks import Track
from livecap.transcript import CaptureReport


def capture_report(track: Track) -> CaptureReport:
    """Up to now; at the end of a session, of all of it."""
    account = track.account()
    report = CaptureReport(
        track=track.label,
        source=track.source.name,
        captured_samples=account.captured,
        decoded_samples=account.decoded,
        silence_samples=account.silence,
        gap_samples=account.gaps,
        n_gaps=track.n_gaps,
    )
    if not isinstance(track.source, Microphone):
        return report
    status = track.source.health
    p999 = status.callback_p999_seconds
    return replace(
        report,
        n_blocks=status.n_blocks,
        n_flags=status.n_flags,
        n_overflows=status.n_overflows,
        n_opened=status.n_opened,
        callback_p999_ms=None if p999 is None else round(p999 * 1e3, 3),
        callback_max_ms=round(status.longest_callback_seconds * 1e3, 3),
        drift_ppm=None if status.drift_ppm is None else round(float(status.drift_ppm), 1),
    )
