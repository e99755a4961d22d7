"""Labels the speakers of transcribed sound: segments end where the speaker changes, and words are never cut."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path

from livecap.archive.speakers import speakers_of, split
from livecap.audio_in.recording import Recording
from livecap.audio_in.temporary_sound import TemporarySound
from livecap.errors import SettingsError
from livecap.speakers.counts import UNKNOWN_NUMBER, Counts
from livecap.speakers.known import Known, counted_turns, known_names
from livecap.speakers.turns import Diariser, Sound, Turn
from livecap.transcribe.recordings import BLOCK_SAMPLES
from livecap.transcribe.result import Segment, Transcription
from livecap.transcript import speaker_letter


class SpeakerLabels:
    """Labels sounds. Used from one thread; the networks are loaded when they are first needed."""

    def __init__(self, load: Callable[[], Diariser], remembered: Known | None = None) -> None:
        """
        Args:
            remembered: voices that get their names in every recording.
        """
        self._load, self._remembered = load, remembered or {}
        self._diariser: Diariser | None = None

    @property
    def remembered(self) -> dict[str, str]:
        """The names of the remembered voices, each with a digest of its voice: a name may get another one."""
        return {name: sha256(voice.tobytes()).hexdigest() for name, voice in sorted(self._remembered.items())}

    @property
    def diariser(self) -> Diariser:
        """The diariser that tells voices apart."""
        if self._diariser is None:
            self._diariser = self._load()
        return self._diariser

    def of_files(
        self, texts: Mapping[str, Transcription], files: Mapping[str, Path], counts: Counts
    ) -> dict[str, Transcription]:
        """The texts of the tracks of one recording, with speakers. Each track has speakers of its own, and a track in
        which one person speaks has no labels, unless it is the only one.

        Raises:
            AudioError: a file cannot be read.
            SettingsError: see `check_tracks`.
        """
        check_tracks(files, counts)
        labelled: dict[str, Transcription] = {}
        n_before = 0
        for track, path in files.items():
            recording = Recording(path)
            try:
                with TemporarySound(recording.blocks(BLOCK_SAMPLES)) as sound:
                    labelled[track] = self.of_sound(texts[track], sound, counts, first=n_before)
            finally:
                recording.close()
            n_before += len(labelled[track].speakers)
        return labelled

    def of_sound(
        self,
        text: Transcription,
        sound: Sound,
        counts: Counts = UNKNOWN_NUMBER,
        known: Known | None = None,
        first: int = 0,
    ) -> Transcription:
        """The text of a sound with speakers. One voice alone has no label, unless it is known.

        Args:
            known: voices that get their names, instead of the remembered ones; the others get letters.
            first: number of the first letter.
        """
        turns = counted_turns(self.diariser, sound, counts) if text.segments else []
        names = known_names(self.diariser, sound, turns, self._remembered if known is None else known)
        return labelled(text, turns, names, first)


def check_tracks(tracks: Collection[str], counts: Counts) -> None:
    """Refuse a number of speakers for several tracks; for callers that decode them first.

    Raises:
        SettingsError: the number of speakers is given, and there are several tracks.
    """
    if counts.are_known and len(tracks) > 1:
        raise SettingsError(
            f"The number of speakers can be given only for a single track, and there are {len(tracks)}: "
            f"{', '.join(tracks)}. Leave the number out."
        )


def labelled(text: Transcription, turns: list[Turn], names: Mapping[int, str], first: int = 0) -> Transcription:
    """The text with the speakers of these turns.

    Args:
        names: of speakers that have one.
        first: number of the first letter.
    """
    parts = list(_parts(text, turns))
    spoken = list(dict.fromkeys(number for _, number in parts))
    if len(spoken) < 2 and not names:
        return text
    taken = set(names.values())  # a name may be a letter
    free = (letter for letter in map(speaker_letter, count(first)) if letter not in taken)
    letters = dict(zip((number for number in spoken if number not in names), free, strict=False))
    labels = {**letters, **names}
    return replace(text, segments=tuple(replace(segment, speaker=labels[number]) for segment, number in parts))


def _parts(text: Transcription, turns: list[Turn]) -> Iterator[tuple[Segment, int]]:
    """The segments, in parts where the speaker changes, each with its speaker."""
    voices = [turn.voice for turn in turns]
    for segment in text.segments if turns else ():
        spans = [(each.start_sample, each.end_sample) for each in segment.words or (segment,)]
        for part, some, number in split(segment.text, segment.words, speakers_of(spans, voices)):
            begins = not some or some[0] is segment.words[0]
            ends = not some or some[-1] is segment.words[-1]
            start = segment.start_sample if begins else some[0].start_sample
            end = segment.end_sample if ends else some[-1].end_sample
            yield replace(segment, text=part, words=some, start_sample=start, end_sample=max(start, end)), number
