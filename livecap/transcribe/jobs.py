"""Transcribes recordings into files: skips what is finished, goes on where a run was stopped, overwrites nothing."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from livecap.archive.folder import EVENTS
from livecap.archive.reader import LAST_SECOND, LogReader
from livecap.archive.recorded import RecordedSession, Utterance
from livecap.engine import Engine, EngineSettings
from livecap.errors import AudioError, LogError
from livecap.export.cues import USUAL_LIMITS, CueLimits
from livecap.export.formats import FileExists, export_pieces
from livecap.files import hidden_beside, make_folder, replace_file
from livecap.model.checkpoint.load import resolve
from livecap.speakers.counts import Counts
from livecap.transcribe.document import TranscribedDocument
from livecap.transcribe.drafts import KnownText, written_before
from livecap.transcribe.found import Found, Looks
from livecap.transcribe.ledger import PART, Ledger, Part, key_of, key_with
from livecap.transcribe.recordings import Hooks, Options, Progress, transcribe_file
from livecap.transcribe.result import Transcription
from livecap.transcribe.speakers import SpeakerLabels, check_tracks
from livecap.transcribe.units import Decodes
from livecap.transcribe.weights import weights_digest
from livecap.transcript import SessionStarted


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where texts are written, and in which formats."""

    folder: Path
    formats: tuple[str, ...] = ("txt",)
    overwrite: bool = False
    """Replace files that exist."""
    resume: bool = True
    """Skip recordings that are finished, and go on with those that a run left unfinished."""
    limits: CueLimits = USUAL_LIMITS
    """Limits of subtitles."""
    word_times: bool = False
    """Give each word its own times, in the formats that have a place for them."""
    renew: bool = False
    """Replace those that livecap wrote for an earlier state of the recording and that nobody has changed since."""

    @property
    def layout(self) -> dict[str, Any]:
        """What decides the look of the texts, where it is not as usual, as JSON values."""
        usual = self.limits == USUAL_LIMITS
        return ({} if usual else {"limits": asdict(self.limits)}) | ({"word_times": True} if self.word_times else {})


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one recording."""

    paths: tuple[Path, ...]
    """The outputs."""
    state: str
    """"written", "finished" (by an earlier run), or "changed" (the same, and somebody has changed an output since)."""
    document: TranscribedDocument | None = None
    """None if nothing was transcribed."""


class Transcriber:
    """Transcribes one recording after the other, with one engine that is loaded when it is first needed."""

    def __init__(
        self,
        settings: EngineSettings,
        options: Options,
        load: Callable[[], Engine | Decodes],
        is_stopped: Callable[[], bool],
        speakers: Counts | None = None,
        labels: SpeakerLabels | None = None,
    ) -> None:
        """
        Args:
            speakers: how many people speak; None leaves speakers unlabelled.
            labels: labels them.
            load: loads the engine with these settings.
            is_stopped: asked before each batch; True ends the work with `Stopped`.
        """
        self._settings, self._options = settings, options
        self._load, self._is_stopped = load, is_stopped
        self._speakers, self._labels = speakers, labels
        self._engine: Engine | Decodes | None = None
        self._deciding = _deciding(settings, options)

    def write(
        self, found: Found, outputs: Outputs, on_progress: Callable[[Progress], None] = lambda progress: None
    ) -> Done:
        """Transcribe a recording into files, unless they are finished.

        Raises:
            LivecapError: the recording cannot be read, an output exists, or cannot be written.
            Stopped: the user stopped; what was decoded so far is kept for the next run.
        """
        paths = [outputs.folder / f"{found.name}.{each}" for each in outputs.formats]
        folder, names = paths[0].parent, [path.name for path in paths]
        looks, key = self._looks(found), self._key(found)
        written = key_with(key, outputs.layout | self._labelling)
        ledger = Ledger(folder)
        states = [ledger.state(written, name) for name in names]
        if outputs.resume and all(states):
            return Done(tuple(paths), "changed" if "changed" in states else "finished")
        may_replace = {
            path: outputs.overwrite or state == "finished" or (outputs.renew and ledger.has_written(path.name))
            for path, state in zip(paths, states, strict=True)
        }
        exist = [path for path in paths if _exists(path) and not may_replace[path]]
        if exist:
            raise FileExists(f"{exist[0]} exists already. Choose another folder with -o, or add --overwrite.")
        part = Part(hidden_beside(folder / Path(found.name).name, PART), key)
        is_finished = False
        try:
            if outputs.resume and all(Ledger(folder).state(written, name) == "finished" for name in names):
                is_finished = True  # another livecap has finished it just now, while its lock was waited for
                return Done(tuple(paths), "finished")
            said = _said(found, paths[0].with_name(f"{Path(found.name).name}.json"))
            document = self._document(found, on_progress, part if outputs.resume else None, said)
            texts = {
                name: list(export_pieces(document, each, outputs.limits, outputs.word_times))
                for name, each in zip(names, outputs.formats, strict=True)
            }
            if self._looks(found) != looks and self._key(found) != key:
                raise AudioError(
                    f"Cannot transcribe {found.path}: it changed meanwhile. Try again when it is complete."
                )
            ledger.add(written, {name: _digest(pieces) for name, pieces in texts.items()})
            for path in paths:
                _write(path, texts[path.name], may_replace[path])
            is_finished = True
        finally:
            part.close(is_finished)
        return Done(tuple(paths), "written", document)

    def document(
        self, found: Found, on_progress: Callable[[Progress], None] = lambda progress: None
    ) -> TranscribedDocument:
        """The text of a recording, which is not written anywhere.

        Raises:
            LivecapError: the recording cannot be read.
            Stopped: the user stopped.
        """
        return self._document(found, on_progress, None, _said(found))

    @property
    def _labelling(self) -> dict[str, Any]:
        """What decides the labels of speakers, as JSON values."""
        if self._speakers is None or self._labels is None:
            return {}
        return {"speakers": asdict(self._speakers), "remembered": self._labels.remembered}

    def change_context(self, context: str) -> None:
        """Expect other names and terms from the next recording on."""
        self._settings = replace(self._settings, context=context)
        self._deciding = _deciding(self._settings, self._options)
        if self._engine is not None:
            self._engine.change(self._settings)

    def close(self) -> None:
        """Release the engine."""
        if self._engine is not None:
            self._engine.close()

    def _key(self, found: Found) -> str:
        with _readable(found):
            return key_of(found.files, self._deciding)

    def _looks(self, found: Found) -> Looks:
        with _readable(found):
            return found.looks

    def _document(
        self,
        found: Found,
        on_progress: Callable[[Progress], None],
        part: Part | None,
        said: Mapping[str, KnownText],
    ) -> TranscribedDocument:
        files = found.files
        if self._speakers is not None:
            check_tracks(files, self._speakers)
        if self._engine is None:
            self._engine = self._load()
            self._engine.change(self._settings)
        engine = self._engine
        tracks: dict[str, Transcription] = {}
        for number, (label, path) in enumerate(files.items()):
            hooks = Hooks(
                on_progress=_of_track(on_progress, number, len(files)),
                on_piece=lambda piece, segment, label=label: (  # type: ignore[misc]
                    part.add(label, piece.start_sample, piece.end_sample, segment) if part else None
                ),
                is_stopped=self._is_stopped,
            )
            known = part.known(label) if part else None
            tracks[label] = transcribe_file(engine, path, self._options, hooks, known, said.get(label))
        if not any(text.duration_seconds for text in tracks.values()):
            raise AudioError(f"Cannot transcribe {found.path}: there is not a single sample in it.")
        if self._speakers is not None and self._labels is not None:
            seconds = max((text.duration_seconds for text in tracks.values()), default=0.0)
            on_progress(Progress(seconds, seconds, "telling the speakers apart …"))
            tracks = self._labels.of_files(tracks, files, self._speakers)
        return TranscribedDocument(
            found.path.stem if not found.is_session else found.path.name,
            found.path.name,
            self._settings.model_name,
            tracks,
            _started(found),
            self._settings.language,
            self._deciding,
        )


@contextmanager
def _readable(found: Found) -> Iterator[None]:
    """What the system says about the files of a recording, in a sentence."""
    try:
        yield
    except FileNotFoundError:
        raise AudioError(f"Cannot transcribe {found.path}: no such file.") from None
    except OSError as error:
        raise AudioError(f"Cannot transcribe {found.path}: {error.strerror or error}.") from None


def _deciding(settings: EngineSettings, options: Options) -> dict[str, Any]:
    """What decides the text of a sound and the times of its words, as JSON values."""
    return {
        "model": str(settings.model),
        "weights": weights_digest(resolve(settings.model)),
        "language": settings.language,
        "context": settings.context,
        "vad": settings.stream.detector.vad.value,
        "aligner": settings.aligner and str(settings.aligner),
        # Probabilities leave text and times as they are: a recording that an older livecap has finished stays finished.
        "decoding": {name: value for name, value in asdict(options.decoding).items() if name != "logprobs" or value},
    }


def _said(found: Found, written: Path | None = None) -> Mapping[str, KnownText]:
    """Track to text that is known of it: that of an earlier run in the JSON `written`, else the text of a session."""
    before = written_before(written) if written else {}
    if before or not found.is_session:
        return before
    tracks: dict[str, list[Utterance]] = {}
    for utterance in RecordedSession(found.path).utterances():
        tracks.setdefault(utterance.track, []).append(utterance)
    return {track: KnownText(utterances) for track, utterances in tracks.items()}


def _started(found: Found) -> SessionStarted | datetime:
    if found.is_session:
        return LogReader(found.path / EVENTS).started
    return datetime.fromtimestamp(min(max(found.path.stat().st_mtime, 0), LAST_SECOND)).astimezone()


def _of_track(on_progress: Callable[[Progress], None], number: int, n_tracks: int) -> Callable[[Progress], None]:
    """Progress of one of several tracks of the same length, as progress of all."""

    def tell(progress: Progress) -> None:
        seconds = progress.duration_seconds
        if n_tracks == 1 or seconds is None:
            on_progress(progress)
        else:
            on_progress(Progress(number * seconds + progress.done_seconds, n_tracks * seconds, progress.text))

    return tell


def _digest(pieces: Sequence[str]) -> str:
    return hashlib.sha256("".join(pieces).encode("utf-8", errors="replace")).hexdigest()


def _write(path: Path, pieces: Sequence[str], may_replace: bool) -> None:
    if not may_replace and _exists(path):
        raise FileExists(f"{path} exists already. Choose another folder with -o, or add --overwrite.")
    try:
        make_folder(path.parent)
        replace_file(path, pieces)
    except OSError as error:
        raise LogError(f"Cannot write {path}: {error.strerror or error}.") from None


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
