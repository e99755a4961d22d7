"""The work of `livecap transcribe`: one recording after the other, with what is said about each."""

import argparse
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from livecap.archive.folder import is_being_written
from livecap.cli.context_file import ContextFile
from livecap.cli.download import find_model
from livecap.cli.export import limits_of
from livecap.cli.recognition import engine_settings
from livecap.cli.speakers import counts_of
from livecap.cli.terminal import silence_model_log, warn
from livecap.cli.transcribe_progress import ProgressLine
from livecap.engine import Engine, EngineSettings, peak_mlx_bytes
from livecap.errors import LivecapError, LogError, ModelError, SettingsError
from livecap.export.formats import FileExists, export_pieces
from livecap.model.sampling import Sampling
from livecap.settings.fields import Settings
from livecap.settings.sources import known_voices_path
from livecap.speakers.diariser import load_diariser
from livecap.speakers.remembered import RememberedVoices
from livecap.text.printing import say, send
from livecap.this_machine import peak_resident_bytes
from livecap.transcribe.decoding import DecodingOptions
from livecap.transcribe.document import TranscribedDocument
from livecap.transcribe.found import Found, Looks, closed, in_folder, named_apart
from livecap.transcribe.jobs import Done, Outputs, Transcriber
from livecap.transcribe.recordings import Options, Progress
from livecap.transcribe.speakers import SpeakerLabels
from livecap.transcribe.units import Decodes

AGAIN_SECONDS, MOST_AGAIN_SECONDS = 60.0, 600.0
WATCH_SECONDS = 1.0
"""How often `--watch` looks. A recording is complete when it is the same at two looks."""
STAGES = {
    "reading": "read_seconds",
    "encoder": "encoder_seconds",
    "decoder": "prefill_and_generate_seconds",
}


class Work:
    """One run over recordings."""

    rereads_context = True
    """Read the file of terms to expect again before each recording."""

    def __init__(
        self, options: argparse.Namespace, settings: Settings, stop: threading.Event, recordings: Sequence[Found]
    ) -> None:
        self._options, self._settings, self.stop = options, settings, stop
        self.lock = threading.RLock()
        """Held while something is said or counted."""
        self._shown: list[str] = []
        is_shown = not (options.no_progress or options.quiet)
        self.line = self.line_of([each.n_bytes for each in recordings], is_shown)
        self.prepare(options, settings)
        self._terms = ContextFile(settings, self.warn_above)
        self.n_done = self._n_failed = self._n_skipped = 0

    def run(self, recordings: Sequence[Found]) -> int:
        """Transcribe all; returns the exit status."""
        try:
            self.work(recordings)
        finally:
            self.line.clear()
            self.transcriber.close()
        if len(recordings) > 1 and not self._options.quiet and not self.stop.is_set():
            skipped = f", {self._n_skipped} were finished before" if self._n_skipped else ""
            failed = f", {self._n_failed} failed" if self._n_failed else ""
            warn(f"{self.n_done - self._n_skipped} of {len(recordings)} recordings transcribed{skipped}{failed}.")
        return int(bool(self._n_failed))

    def line_of(self, sizes: list[int], is_shown: bool) -> ProgressLine:
        """What shows how far recordings of these sizes are."""
        return ProgressLine(sizes, is_shown)

    def prepare(self, options: argparse.Namespace, settings: Settings) -> None:
        """Make what transcribes, and find out where it writes to. Loads the model's code."""
        recognition, decoding, self.outputs = prepared(options, settings)
        self.transcriber = self.transcriber_of(recognition, decoding, lambda: Engine.load(recognition, self._on_notice))

    def transcriber_of(
        self, recognition: EngineSettings, decoding: Options, load: Callable[[], Engine | Decodes]
    ) -> Transcriber:
        """What transcribes with the engine that `load` loads."""
        speakers = counts_of(self._options)
        is_labelled = self._settings.speakers or speakers.are_known
        known = known_voices_path() if is_labelled else None
        voices = RememberedVoices(known).vectors() if known else None
        labels = SpeakerLabels(load_diariser, voices)
        return Transcriber(recognition, decoding, load, self.stop.is_set, speakers if is_labelled else None, labels)

    def work(self, recordings: Sequence[Found]) -> None:
        """Transcribe recordings until the user stops it."""
        for found in recordings:
            if self.stop.is_set():
                break
            self.transcribe_one(found)

    def _on_notice(self, message: str) -> None:
        if not self._options.quiet and message not in self._shown:
            self._shown.append(message)
            warn(message)

    def warn_above(self, message: str) -> None:
        """Say something above the line that shows progress."""
        with self.lock:
            self.line.clear()
            warn(message)

    def watch(self, recordings: Sequence[Found], folder: Path) -> int:
        """Transcribe these, then what is in the folder and what appears there, until the user stops it.

        What fails in the folder for a reason that may pass, such as a full disk, is tried again. A folder that cannot
        be read is named once.
        """
        seen: dict[Path, Looks] = {}
        growing: dict[Path, Looks] = {}
        again: dict[Path, Again] = {}
        names: dict[Path, str] = {}
        unread: set[str] = set()
        try:
            for found in recordings:
                if not self.stop.is_set():
                    self.transcribe_one(found)
            while not self.stop.is_set():
                troubles: list[OSError] = []
                there = named_apart(list(in_folder(folder, troubles.append)))
                before, unread = unread, {closed(error) for error in troubles}
                for sentence in sorted(unread - before):
                    self.warn_above(sentence)
                for found in there:
                    found = replace(found, name=names.setdefault(found.path, found.name))
                    looks, waiting = _looks_of(found), again.get(found.path)
                    if looks is None or seen.get(found.path) == looks or (waiting and waiting.waits_for(looks)):
                        continue
                    if growing.get(found.path) != looks:  # not complete, or too new to know
                        growing[found.path] = looks
                    elif not self.stop.is_set():
                        self.line.add(found.n_bytes)
                        known = waiting.sentence if waiting else ""
                        if trouble := self.transcribe_one(found, renew=found.path in seen, known=known):
                            again[found.path] = Again(trouble, looks, waiting)
                        else:
                            seen[found.path] = looks
                            again.pop(found.path, None)
                self.stop.wait(WATCH_SECONDS)
        finally:
            self.line.clear()
            self.transcriber.close()
        return int(bool(self._n_failed))

    def transcribe_one(self, found: Found, renew: bool = False, known: str = "") -> str:
        """Transcribe one recording and report the result.

        Args:
            renew: as in Outputs.
            known: why it failed before; if it fails for the same reason, that is not said again.

        Returns:
            Why it failed, where the same file may be transcribed later; else "".
        """
        if self.rereads_context and (context := self._terms.changed()) is not None:
            self.transcriber.change_context(context)
        with self.lock:
            self.line.begin(found.path.name)
        try:
            done = self._one(found, renew)
        except ModelError:
            raise
        except (LivecapError, OSError) as error:
            with self.lock:
                self.line.clear()
                sentence = self.sentence(error, found)
                if not self.stop.is_set() and sentence != known:
                    self._n_failed += 1
                    warn(sentence)
            is_of_disk = isinstance(error, LogError | OSError) or isinstance(error.__context__, OSError)
            return sentence if is_of_disk and not isinstance(error, FileExists) else ""
        with self.lock:
            self.line.clear()
            self.n_done += 1
            if isinstance(done, TranscribedDocument):
                self._print(done)  # where that fails, nobody reads the others either
            else:
                self._n_skipped += done.document is None
                self._report(done)
        return ""

    def _one(self, found: Found, renew: bool) -> Done | TranscribedDocument:
        """The result of a recording: what was written, or what is to be printed."""
        if self.outputs is not None:
            return self.transcriber.write(found, replace(self.outputs, renew=renew), self._tell)
        return self.transcriber.document(found, self._tell)

    def _print(self, document: TranscribedDocument) -> None:
        for notice in document.damages:
            warn(notice)
        send(export_pieces(document, self._options.format[0], limits_of(self._options), self._options.timestamps))
        if self._options.profile:
            warn(_profile(document.details["timings"]))

    def _tell(self, progress: Progress) -> None:
        with self.lock:
            self.line.tell(progress.done_seconds, progress.duration_seconds, progress.text)

    def sentence(self, error: Exception, found: Found) -> str:
        """What is said about a recording that failed."""
        if isinstance(error, OSError):
            return f"Cannot transcribe {found.path}: {error.strerror or error}."
        return str(error)

    def _report(self, done: Done) -> None:
        if done.document is None:
            self.line.skip()
            if not self._options.quiet:
                changed = " and has been changed since" if done.state == "changed" else ""
                again = "--overwrite without --resume" if self._options.resume else "--overwrite"
                warn(f"{done.paths[0]} is finished{changed}; {again} transcribes it again.")
            return
        for notice in done.document.damages:
            warn(notice)
        if done.document.details["truncated"]:
            warn(f"{done.paths[0]}: some text was cut off at the limit of tokens; see --max-tokens.")
        if self._options.profile:
            warn(_profile(done.document.details["timings"]))
        if self._options.quiet:
            return
        for path in done.paths:
            say(str(path), flush=True)
        if self._options.verbose:
            timings = done.document.details["timings"]
            speed = 1 / max(timings["real_time_factor"], 1e-9)
            warn(
                f"{done.paths[0]}: {timings['sound_seconds']:.0f} s of sound at {speed:.1f}x real time, "
                f"{timings['n_pieces']} pieces, {timings['n_tokens']} tokens."
            )


class Again:
    """When a recording that failed is tried again: after AGAIN_SECONDS, then each time after twice as long."""

    def __init__(self, sentence: str, looks: Looks, before: "Again | None") -> None:
        """
        Args:
            sentence: why it failed.
            looks: of the recording then; once it has changed, it does not wait.
            before: of the time before.
        """
        self.sentence, self._looks = sentence, looks
        self._seconds: float = min(2 * before._seconds, MOST_AGAIN_SECONDS) if before else AGAIN_SECONDS
        self._at = time.monotonic() + self._seconds

    def waits_for(self, looks: Looks) -> bool:
        """Whether it is too early for a recording that looks like this."""
        return looks == self._looks and time.monotonic() < self._at


def _looks_of(found: Found) -> Looks | None:
    """Bytes and time of a recording's files; None where it has gone or is still being recorded."""
    try:
        return None if found.is_session and is_being_written(found.path) else found.looks
    except OSError:
        return None


def _profile(timings: Mapping[str, float]) -> str:
    """Where the time and the memory went, in one line."""
    seconds = max(timings["prefill_and_generate_seconds"], 1e-9)
    parts = [f"{name} {timings[key]:.1f} s" for name, key in STAGES.items()]
    if timings["n_accepted"]:
        parts.append(f"drafts {timings['draft_seconds']:.1f} s, {timings['n_accepted']} tokens of them accepted")
    parts.append(f"{timings['n_tokens'] / seconds:.0f} tokens/s")
    parts.append(f"real-time factor {timings['real_time_factor']:.3f}")
    parts.append(f"memory peak {peak_resident_bytes() / 1e6:.0f} MB, of MLX {peak_mlx_bytes() / 1e6:.0f} MB")
    return "Profile: " + ", ".join(parts) + "."


def prepared(options: argparse.Namespace, settings: Settings) -> tuple[EngineSettings, Options, Outputs | None]:
    """Which engine is asked for, how it decodes, and where the texts are written to; None for standard output. Models
    that are not on this machine are downloaded."""
    silence_model_log()
    if settings.aligner != "off" and hasattr(options, "aligner"):
        find_model(settings.aligner, aligner=True)  # one that is named is downloaded; the default one only used if here
    recognition = replace(engine_settings(replace(settings, settle=True)), settle=False)
    decoding = _options(options)
    if options.draft_model:
        if not decoding.decoding.sampling.is_greedy:
            raise SettingsError(
                "--draft-model needs the best tokens: leave out --temperature and --repetition-penalty."
            )
        find_model(options.draft_model)
        recognition = replace(recognition, draft_model=options.draft_model)
    if str(options.folder) == "-":
        return recognition, decoding, None
    resume = not options.overwrite if options.resume is None else options.resume
    folder = Path(options.folder)
    formats, limits = tuple(options.format), limits_of(options)
    outputs = Outputs(folder, formats, options.overwrite, resume, limits, options.timestamps)
    return recognition, decoding, outputs


def _options(options: argparse.Namespace) -> Options:
    names = ("temperature", "top_k", "top_p", "repetition_penalty", "seed")
    given: dict[str, Any] = {name: value for name in names if (value := getattr(options, name)) is not None}
    decoding = DecodingOptions(
        sampling=Sampling(**given), max_tokens=options.max_tokens, repair=options.repair_repetitions
    )
    return Options(decoding=decoding) if options.batch is None else Options(options.batch, decoding)
