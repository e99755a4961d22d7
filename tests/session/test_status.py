"""The status of a session with two tracks: their sum, or the one that matters more."""

from dataclasses import replace

from livecap.session.status import SessionStatus, State, TrackStatus

SECOND = 16_000
ME = TrackStatus("me", "Microphone", 5 * SECOND, 3 * SECOND, 0.25, False, "English", None, 1, SECOND)
THEM = TrackStatus("them", "BlackHole", 4 * SECOND, 4 * SECOND, 0.5, True, None, None, 2, 3 * SECOND)


def status(*tracks: TrackStatus, forced: str | None = None) -> SessionStatus:
    return SessionStatus(State.LISTENING, "tiny", True, 0.0, forced, None, None, None, tracks)


def test_both_tracks_make_the_status_of_the_session() -> None:
    both = status(ME, THEM)
    assert both.source == "Microphone + BlackHole"
    assert (both.arrived_samples, both.arrived_seconds) == (5 * SECOND, 5.0)
    assert both.level == 0.5 and both.speaking
    assert (both.n_gaps, both.gap_samples) == (3, 4 * SECOND)


def test_lag_is_that_of_the_track_that_lags_most_and_never_below_zero() -> None:
    assert status(ME, THEM).lag_seconds == 2.0
    assert replace(THEM, decoded_samples=9 * SECOND).lag_seconds == 0


def test_the_language_is_that_of_the_track_that_speaks() -> None:
    assert status(ME, THEM).language == "English"
    assert status(ME, replace(THEM, language="German")).language == "German"
    assert status(THEM, forced="French").language == "French"
    assert not status(ME, replace(THEM, speaking=False)).speaking
