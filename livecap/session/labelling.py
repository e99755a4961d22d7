"""Labels the speakers of a session that has ended, from its kept sound and the times of its words.

Nothing is transcribed again.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from livecap.archive.amend import Said, amend, finished
from livecap.archive.folder import AUDIO, SINGLE
from livecap.archive.recorded import RecordedSession
from livecap.archive.speakers import Speakers
from livecap.audio_in.recording import Recording
from livecap.audio_in.temporary_sound import TemporarySound
from livecap.errors import AudioError, LogError, SettingsError
from livecap.session.recorded_source import session_sounds
from livecap.speakers.counts import UNKNOWN_NUMBER, Counts
from livecap.speakers.known import Known, alone, counted_turns, known_names, voice_of
from livecap.speakers.turns import Diariser, Turn
from livecap.transcript import SAMPLE_RATE, SpeakerNamed, SpeakersHeard, SpeakersMerged, SpeakerSplit, Voice

READ_SAMPLES = 60 * SAMPLE_RATE
NEAR_SAMPLES = SAMPLE_RATE // 2
"""The times of words are that uncertain: a voice this far from an utterance may belong to it."""


def label(
    folder: Path,
    diariser: Diariser,
    counts: Counts = UNKNOWN_NUMBER,
    track: str | None = None,
    known: Known | None = None,
) -> RecordedSession:
    """Find out who speaks in a session, and add it to its log.

    Names and letters of an earlier labelling go to the voices that speak in the same places.

    Args:
        track: the only track to label; None for all that have sound and text.
        known: remembered voices; speakers who have one get its name.

    Returns:
        the session with its labels.

    Raises:
        LogError: the session is running, was cut off, has no such track, or its sound was not kept.
        SettingsError: the counts are given, and it is not clear for which track.
        AudioError: its sound cannot be read.
    """
    sounds = _sounds(finished(folder), track)
    if counts.are_known and len(sounds) > 1:
        labels = ", ".join(sounds)
        raise SettingsError(f"The session has the tracks {labels}. Say which one the number is for, with --track.")
    heard_on = {each: _turns(path, diariser, counts, known or {}) for each, path in sounds.items()}

    def facts(session: RecordedSession) -> Iterator[Said]:
        utterances = list(session.whole_utterances())
        free = session.voices.next_number
        if counts.are_known:
            yield from (SpeakersMerged(number, number) for number in session.voices.merged)
        for each, (found, names) in heard_on.items():
            spoken = [utterance for utterance in utterances if utterance.track == each]
            voices = voices_of([(each.start_sample, each.end_sample) for each in spoken], found)
            before = [earlier.voices if (earlier := session.heard_in(utterance)) else () for utterance in spoken]
            both = list(zip(voices, before, strict=True))
            numbers = numbers_of(both, session.voices, keep_merged=not counts.are_known, free=free)
            free = max([free, *(number + 1 for number in numbers.values())])
            for utterance, heard in zip(spoken, voices, strict=True):
                numbered = tuple(replace(voice, speaker=numbers[voice.speaker]) for voice in heard)
                yield SpeakersHeard(each, utterance.utterance, numbered, settled=True)
            named = {numbers[who]: name for who, name in names.items() if who in numbers}
            yield from (SpeakerNamed(number, name, remembered=True) for number, name in named.items())
            for number in sorted(set(numbers.values()) - named.keys()):
                if session.voices.remembered_name(number) in named.values():  # an earlier labelling gave it to this one
                    yield SpeakerNamed(number, "", remembered=True)

    return amend(folder, facts)


def voice_in(session: RecordedSession, diariser: Diariser, speaker: int) -> NDArray[np.float32] | None:
    """The voice of a speaker of a labelled session, as a unit vector; None if there is too little of it.

    Args:
        speaker: its number, after all merges.

    Raises:
        LogError: the sound of the session was not kept.
        AudioError: it cannot be read.
    """
    voices: dict[str, list[Turn]] = {}
    for utterance in session.whole_utterances():
        if heard := session.heard_in(utterance):
            found = (Turn(v.start_sample, v.end_sample, session.voices.one(v.speaker)) for v in heard.voices)
            voices.setdefault(utterance.track, []).extend(found)
    own = {track: sum(t.end - t.start for t in turns if t.speaker == speaker) for track, turns in voices.items()}
    track = max(own, key=lambda each: own[each])
    recording = Recording(_sounds(session, track)[track])
    try:
        with TemporarySound(recording.blocks(READ_SAMPLES)) as sound:
            return voice_of(diariser, sound, alone(voices[track], speaker))
    finally:
        recording.close()


def split_speaker(folder: Path, diariser: Diariser, speaker: int) -> RecordedSession:
    """Find two voices in what one speaker says, because a person heard two. The one who speaks longer keeps name and
    letter.

    Args:
        speaker: its number, after all merges.

    Raises:
        LogError: only one voice is found in it, or what `label` raises.
    """
    session = finished(folder)
    voices = session.voices
    name = voices.label(speaker)
    spans: dict[str, list[tuple[int, int]]] = {}
    for utterance in session.whole_utterances():
        if heard := session.heard_in(utterance):
            own = [v for v in heard.voices if voices.one(v.speaker) == speaker]
            spans.setdefault(utterance.track, []).extend((v.start_sample, v.end_sample) for v in own)
    track, stretches = max(spans.items(), key=lambda item: sum(end - start for start, end in item[1]))
    recording = Recording(_sounds(session, track)[track])
    try:
        blocks = (block for start, end in stretches for block in _stretch(recording, start, end))
        with TemporarySound(blocks) as sound:
            found = diariser.turns(sound, speakers=2)
    finally:
        recording.close()
    lengths: Counter[int] = Counter()
    for turn in found:
        lengths[turn.speaker] += turn.end - turn.start
    if len(lengths) < 2:
        raise LogError(f"Only one voice was found in what {name} says; nothing was changed.")
    longer = lengths.most_common(1)[0][0]
    turns = _Ordered([part for turn in found for part in _in_session(turn, stretches)])

    def facts(session: RecordedSession) -> Iterator[Said]:
        new = session.voices.next_number
        yield SpeakerSplit(speaker, new)
        for utterance in session.whole_utterances():
            heard = session.heard_in(utterance)
            if heard is None or utterance.track != track:
                continue
            parts: list[Voice] = []
            for voice in heard.voices:
                is_own = session.voices.one(voice.speaker) == speaker
                inside = turns.within(voice.start_sample, voice.end_sample) if is_own else []
                parts += [
                    Voice(turn.start, turn.end, speaker if turn.speaker == longer else new) for turn in inside
                ] or [voice]
            if tuple(parts) != heard.voices:
                yield SpeakersHeard(track, utterance.utterance, tuple(parts), heard.settled)

    return amend(folder, facts)


def voices_of(spans: Sequence[tuple[int, int]], turns: Sequence[Turn]) -> list[tuple[Voice, ...]]:
    """The voices in each utterance of one track, given as [start, end): the turns in it, or else the nearest one."""
    ordered = _Ordered(turns)
    found = []
    for start, stop in spans:
        end = max(stop, start + 1)
        inside = ordered.within(start, end) or ordered.within(max(0, start - NEAR_SAMPLES), end + NEAR_SAMPLES)
        if not inside and turns:
            inside = [min(turns, key=lambda turn: max(turn.start - end, start - turn.end))]
        found.append(tuple(turn.voice for turn in inside))
    return found


class _Ordered:
    """Turns by their start, to find those within a stretch quickly."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = sorted(turns, key=lambda turn: turn.start)
        self._ends = list(accumulate((turn.end for turn in self._turns), max))
        """For each turn, where it and all before it have ended."""

    def within(self, start: int, end: int) -> list[Turn]:
        """The parts of turns within [start, end)."""
        first = bisect_right(self._ends, start)
        last = bisect_left(self._turns, end, key=lambda turn: turn.start)
        return [
            Turn(max(turn.start, start), min(turn.end, end), turn.speaker)
            for turn in self._turns[first:last]
            if turn.end > start
        ]


def numbers_of(
    voices: Sequence[tuple[Sequence[Voice], Sequence[Voice]]], speakers: Speakers, *, keep_merged: bool, free: int
) -> dict[int, int]:
    """The number in the session of each new speaker: that of the speaker who was heard in the same places before, or a
    free one, in the order in which they are heard.

    Args:
        voices: of each utterance now, with new numbers, and before, with numbers of the session.
        keep_merged: two new speakers may be one of the session that a person merged; otherwise merges are undone.
        free: the first number that is free.
    """
    shared: Counter[tuple[int, int]] = Counter()
    new: dict[int, None] = {}
    for now, before in voices:
        for voice in now:
            new.setdefault(voice.speaker)
            for other in before:
                together = min(voice.end_sample, other.end_sample) - max(voice.start_sample, other.start_sample)
                if together > 0:
                    shared[voice.speaker, other.speaker] += together
    numbers: dict[int, int] = {}
    for (speaker, known), _ in shared.most_common():
        is_taken = known in numbers.values() and not (keep_merged and speakers.is_merged(known))
        if speaker not in numbers and not is_taken:
            numbers[speaker] = known
    for speaker in new:
        if speaker not in numbers:
            numbers[speaker] = free
            free += 1
    return numbers


def _sounds(session: RecordedSession, track: str | None) -> dict[str, Path]:
    """The kept sound of the tracks to label."""
    if track is not None and track not in session.tracks:
        labels = ", ".join(label for label in session.tracks if label) or "only one track without a label"
        raise LogError(f"The session {session.name} has no text on a track {track[:60]!r}. It has {labels}.")
    tracks = session.tracks if track is None else [track]
    kept = sounds_to_hear(session)
    sounds = {each: kept[each] for each in tracks if each in kept}
    if not sounds:
        raise LogError(f"The voices of the session {session.name} cannot be heard again: {_why_silent(session)}")
    return sounds


def _why_silent(session: RecordedSession) -> str:
    """Why there is no sound of a session, and what can be done."""
    started, replayed = session.started, session.started.settings.get("replay")
    if started.live:
        return "its sound was not kept. Next time, start it with --save-audio."
    if isinstance(replayed, str):
        return f"its recording {replayed} is not there any more, or was changed since. Put it back, with its date."
    place = session.folder / AUDIO / f"{SINGLE}.flac"
    return (
        f"its log does not say where its recording {started.source} was, as in older versions. "
        f"Copy it to {place} (or .wav)."
    )


def sounds_to_hear(session: RecordedSession) -> dict[str, Path]:
    """Track to the sound of a session: what was kept, or the recording that was replayed."""
    return session.sounds or _replayed(session)


def _replayed(session: RecordedSession) -> dict[str, Path]:
    """The recording that the session replayed, if it is still there and was not changed since."""
    path = session.started.settings.get("replay")
    if not isinstance(path, str):
        return {}
    recording, tracks = Path(path), session.started.tracks
    try:
        sounds = session_sounds(recording) if recording.is_dir() else {"": recording}
        was_changed = any(each.stat().st_mtime > session.clock.started.timestamp() for each in sounds.values())
    except (OSError, ValueError, AudioError, LogError):
        return {}
    if was_changed:
        return {}
    if all(track in sounds for track in tracks):
        return {track: sounds[track] for track in tracks}
    return dict(zip(tracks, sounds.values(), strict=True)) if len(tracks) == len(sounds) else {}  # renamed by --label


def _turns(path: Path, diariser: Diariser, counts: Counts, known: Known) -> tuple[list[Turn], dict[int, str]]:
    """Who speaks when in a file, and the names of those whose voices are remembered."""
    recording = Recording(path)
    try:
        with TemporarySound(recording.blocks(READ_SAMPLES)) as sound:
            turns = counted_turns(diariser, sound, counts)
            return turns, known_names(diariser, sound, turns, known)
    finally:
        recording.close()


def _stretch(recording: Recording, start: int, end: int) -> Iterator[NDArray[np.float32]]:
    """The sound in [start, end) in blocks."""
    recording.seek(start)
    for at in range(start, end, READ_SAMPLES):
        stop = min(end, at + READ_SAMPLES)
        recording.read_to(stop)
        yield recording.sound(at, stop)
        recording.forget(stop)


def _in_session(turn: Turn, spans: Sequence[tuple[int, int]]) -> Iterator[Turn]:
    """A turn in stretches of sound that were joined, as turns in the session."""
    at = 0
    for start, end in spans:
        first, last = max(turn.start, at), min(turn.end, at + end - start)
        if first < last:
            yield Turn(start + first - at, start + last - at, turn.speaker)
        at += end - start
