"""`livecap transcribe --ray`: recordings are decoded on the machines of a Ray cluster, several at a time."""

import argparse
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from livecap.cli.speakers import counts_of
from livecap.cli.transcribe_progress import ProgressLine, ProgressOfAll
from livecap.cli.transcribe_work import Work, prepared
from livecap.errors import SettingsError
from livecap.model.checkpoint.load import resolve
from livecap.settings.fields import Settings
from livecap.transcribe.found import Found
from livecap.transcribe.weights import weights_digest

# Ray reads it when it is imported. Without it, Ray's own messages stand between the paths on standard output.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")

try:
    from livecap.transcribe.ray_pool import Elsewhere, NotDecoded, RayPool
except ModuleNotFoundError as error:
    if error.name != "ray":
        raise
    raise SettingsError(
        "--ray needs the package ray, here and on every machine: in a clone, run "
        'uv tool install --with-executables-from ray ".[ray]".'
    ) from None

RECORDINGS_PER_MACHINE = 2
"""Recordings that are read at a time, for each machine, so that none waits for work."""


class SpreadWork(Work):
    """One run over recordings on a cluster, the longest first."""

    rereads_context = False  # several recordings are transcribed at a time

    def __init__(
        self, options: argparse.Namespace, settings: Settings, stop: threading.Event, recordings: Sequence[Found]
    ) -> None:
        recordings = sorted(recordings, key=lambda found: found.n_bytes, reverse=True)
        super().__init__(options, settings, stop, recordings)
        self._in_order = iter(recordings)

    def line_of(self, sizes: list[int], is_shown: bool) -> ProgressLine:
        return ProgressOfAll(sizes, is_shown)

    def prepare(self, options: argparse.Namespace, settings: Settings) -> None:
        if settings.speakers or counts_of(options).are_known:
            raise SettingsError("--ray does not label speakers: leave out --speakers (in the settings too), or --ray.")
        recognition, decoding, self.outputs = prepared(options, settings)
        weights = weights_digest(resolve(recognition.model))
        say = self.warn_above if options.verbose else lambda message: None
        self._pool = RayPool(options.ray, recognition, weights, say)
        self.transcriber = self.transcriber_of(recognition, decoding, lambda: Elsewhere(self._pool, recognition))

    def work(self, recordings: Sequence[Found]) -> None:
        n_threads = min(len(recordings), RECORDINGS_PER_MACHINE * (self._pool.n_machines + 1))
        try:
            with ThreadPoolExecutor(max(1, n_threads)) as threads:
                jobs = [threads.submit(self._next_ones) for _ in range(n_threads)]
            for job in jobs:
                job.result()
        finally:
            self._pool.close()

    def _next_ones(self) -> None:
        """Transcribe what no other thread has begun."""
        while not self.stop.is_set():
            with self.lock:
                found = next(self._in_order, None)
            if found is None:
                return
            self.transcribe_one(found)

    def sentence(self, error: Exception, found: Found) -> str:
        if isinstance(error, NotDecoded):
            return f"Cannot transcribe {found.path}: {error}"
        return super().sentence(error, found)
