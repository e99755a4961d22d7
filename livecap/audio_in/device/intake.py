"""Intake: moves what an open device delivers from its ring buffer into the spool, at 16 kHz and at its place.

Time in which nothing was heard becomes a gap of its length, so that positions stay true to the clock.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from livecap.audio_in.device.capture import Capture
from livecap.audio_in.device.notices import DeviceNotices
from livecap.audio_in.device.status import CaptureStatus
from livecap.audio_in.live_source import LiveSource
from livecap.audio_in.resample import Resampler
from livecap.transcript import SAMPLE_RATE

IN_STEP_SECONDS = 0.2
"""An input that begins no later than this after sample 0 begins there: latencies of devices differ."""
RESAMPLED_TOLERANCE = 2
"""Samples by which a resampled piece may differ from its length times the ratio of the rates: rounding at both ends."""


class Intake:
    """Owned by the capture thread; any thread may read `status`, `heard` and `started_wall`, and call `lose` and `end`
    while no device is open."""

    def __init__(
        self, source: LiveSource, notices: DeviceNotices, now: Callable[[], float], since: float | None
    ) -> None:
        """
        Args:
            source: where sound goes.
            now: seconds that go on while the computer sleeps.
            since: as for `Microphone`.
        """
        self.status = CaptureStatus()
        self.started_wall = None if since is None else time.time() - (now() - since)
        """Unix time of sample 0; until the first sound, of the first opening."""
        self.lost_at = since
        """When the last sound before a loss ended, or listening went on; None while nothing is missing."""
        self.heard: tuple[int, float] | None = None
        """A sample and when it was heard, by `now`: the end of the newest block."""
        self._source = source
        self._notices = notices
        self._now = now
        self._before = self.status  # counters up to the opening of this capture
        self._capture: Capture
        self._expected = 0  # index of the next sample in the ring buffer
        self._resampler: Resampler
        self._n_in = self._n_out = 0  # samples into and out of the resampler

    def begin(self, capture: Capture) -> None:
        """Sound comes from here now."""
        self._capture, self._expected = capture, 0
        self._renew_resampler()
        self.started_wall = self.started_wall or capture.opened_wall
        self._before = self.status = replace(self.status, n_opened=self.status.n_opened + 1)
        self._notices.opened()

    def fetch(self) -> None:
        """Move everything that is in the ring buffer."""
        capture = self._capture
        heard_until = capture.heard_until  # first: of sound that is in the ring buffer
        start, data = capture.ring.read()
        if not data:
            return
        assert capture.heard_from is not None, "set before the ring buffer is written to"
        sound = np.frombuffer(data, np.float32).reshape(-1, capture.n_channels)
        if self._source.arrived_samples == 0:
            if self.lost_at is not None and capture.heard_from - self.lost_at < IN_STEP_SECONDS:
                self.lost_at = capture.heard_from
            began = capture.heard_from if self.lost_at is None else self.lost_at
            self.started_wall = time.time() - (self._now() - began)
        if not np.isfinite(sound).all():
            sound = np.nan_to_num(sound, posinf=0.0, neginf=0.0)  # a driver that fails must not silence other channels
        n_lost = start - self._expected
        self._expected = start + len(sound)
        if self.lost_at is not None:
            gap_samples = max(0, round((capture.heard_from - self.lost_at) * SAMPLE_RATE))
            self.lost_at = None
            self._source.spool.append_gap(gap_samples)
            self._notices.back(capture.device.name, gap_samples / SAMPLE_RATE)
        if n_lost:
            self._flush()
            self._source.spool.append_gap(round(n_lost * SAMPLE_RATE / capture.device.default_rate))
            self._resampler, self._n_in, self._n_out = self._resampler.renewed(), 0, 0
        self._n_in += len(sound)
        resampled = self._resampler.process(sound)
        self._n_out += len(resampled)
        self.heard = self._source.arrived_samples + len(resampled), heard_until
        self._source.append(resampled)
        self._count(overflowed=n_lost > 0)
        self._notices.hear(sound, capture.device)

    def finish(self) -> None:
        """The last sound of this capture, with what the resampler holds back."""
        self.fetch()
        self._flush()
        self._source.forget_level()

    def lose(self, since: float | None = None) -> None:
        """Nothing is heard from now on: after the last sound, or `since`, unless an earlier loss goes on."""
        if self.lost_at is None:
            self.lost_at = self._capture.heard_until if since is None else since

    def end(self) -> None:
        """No more sound will come, or listening pauses: time since a loss is a gap."""
        lost_at, self.lost_at = self.lost_at, None
        if lost_at is not None:
            self._source.spool.append_gap(round((self._now() - lost_at) * SAMPLE_RATE))

    def _renew_resampler(self) -> None:
        self._resampler = Resampler(self._capture.device.default_rate, self._capture.n_channels)
        self._n_in = self._n_out = 0

    def _flush(self) -> None:
        """The end of the resampler's stream; checks that it lost nothing."""
        rest = self._resampler.flush()
        self._n_out += len(rest)
        self._source.append(rest)
        expected = self._n_in * SAMPLE_RATE / self._resampler.rate_in
        if abs(self._n_out - expected) > RESAMPLED_TOLERANCE:
            self._notices.tell(
                f'Of {expected / SAMPLE_RATE:.2f} s of sound from "{self._capture.device.name}", '
                f"{self._n_out / SAMPLE_RATE:.2f} s were kept. This is a fault of livecap; please report it.",
                "error",
            )

    def _count(self, overflowed: bool) -> None:
        capture = self._capture
        self._before = before = replace(self._before, n_overflows=self._before.n_overflows + overflowed)
        drift_ppm = capture.drift_watch.ppm
        self.status = replace(
            before,
            n_blocks=before.n_blocks + capture.n_blocks,
            n_flags=before.n_flags + capture.n_flags,
            longest_callback_seconds=max(before.longest_callback_seconds, capture.longest_callback_seconds),
            callback_counts=tuple(map(sum, zip(before.callback_counts, capture.callback_counts, strict=True))),
            drift_ppm=before.drift_ppm if drift_ppm is None else drift_ppm,
        )
        if capture.n_flags:
            self._notices.flagged(capture.device.name)
