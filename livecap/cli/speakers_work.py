"""The work of `livecap speakers`."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livecap.archive.amend import amend
from livecap.archive.recorded import RecordedSession
from livecap.archive.speakers import name_of
from livecap.cli.terminal import warn
from livecap.session.labelling import label, sounds_to_hear, split_speaker
from livecap.settings.sources import known_voices_path
from livecap.speakers.counts import Counts
from livecap.speakers.diariser import load_diariser
from livecap.speakers.remembered import RememberedVoices
from livecap.text.printing import say, say_json
from livecap.text.safety import printable
from livecap.text.scripts import shortened
from livecap.text.units import length_of_time
from livecap.transcript import SAMPLE_RATE, SpeakerNamed, SpeakersMerged, speaker_letter


def work(folder: Path, options: argparse.Namespace, counts: Counts, as_json: bool) -> None:
    """Do what was asked, then list the speakers."""
    session = RecordedSession(folder)
    sounds, known = sounds_to_hear(session), session.voices
    spoken = list(session.whole_utterances())
    heard = [utterance for utterance in spoken if utterance.track in sounds]
    is_labelled = all(known.is_settled(utterance.track, utterance.utterance) for utterance in heard)
    is_asked = counts.are_known or options.again or options.track is not None
    edits = options.name or options.merge or options.split
    is_known = known.numbers() or (is_labelled and (heard or not spoken))
    if is_asked or not is_known or not is_labelled and not edits:
        session = _label(folder, counts, options.track)
    for letter in options.split:
        session = _split(folder, session, letter)
    if options.name or options.merge:
        session = amend(folder, lambda session: _said(session, options))
    _report(session, as_json)


def _label(folder: Path, counts: Counts, track: str | None) -> RecordedSession:
    known = known_voices_path()
    return label(folder, load_diariser(), counts, track, RememberedVoices(known).vectors() if known else {})


def _split(folder: Path, session: RecordedSession, wanted: str) -> RecordedSession:
    """Undo a merge of this speaker, or else find two voices in it."""
    number = session.speaker_number(wanted)
    if session.voices.one(number) != number:
        return amend(folder, lambda session: [SpeakersMerged(number, number)])
    return split_speaker(folder, load_diariser(), number)


def _said(session: RecordedSession, options: argparse.Namespace) -> list[SpeakerNamed | SpeakersMerged]:
    """The facts for merges and then for names. Letters and old names are those before all of them."""
    number_of, voices = session.speaker_number, session.voices
    merges = [(number_of(one), number_of(into)) for one, into in options.merge]
    names = [(number_of(one), name_of(name)) for one, name in options.name]
    facts: list[SpeakerNamed | SpeakersMerged] = []
    for speaker, into in merges:
        facts.append(SpeakersMerged(speaker, into))
        voices.note(facts[-1])
    return [*facts, *(SpeakerNamed(voices.one(number), name) for number, name in names)]


@dataclass(slots=True)
class _Speech:
    """The speech of one speaker."""

    track: str
    seconds: float = 0.0
    n_utterances: int = 0
    first_words: str = ""


def _report(session: RecordedSession, as_json: bool) -> None:
    """List the speakers with how long they speak and what they say first."""
    said: dict[int, _Speech] = {}
    for utterance in session.whole_utterances():
        heard = session.heard_in(utterance)
        for part, number in session.voices.numbered_parts(utterance, heard.voices if heard else ()):
            speech = said.setdefault(number, _Speech(utterance.track))
            speech.seconds += (part.end_sample - part.start_sample) / SAMPLE_RATE
            speech.n_utterances += 1
            speech.first_words = speech.first_words or part.text.strip()
    rows = [_row(session, number, said[number]) for number in sorted(said)]
    if as_json:
        say_json({"session": session.name, "speakers": rows}, indent=2)
        return
    if not rows:
        say("No voice was found in what was said.")
    width = max((len(row["label"]) for row in rows), default=0)
    several = len(session.tracks) > 1
    for row in rows:
        track = f"{row['track']:8}  " if several else ""
        named = row["label"] if row["name"] else ""
        words = shortened(row["first_words"], 60)
        say(f"{row['speaker']:2}  {named:{width}}  {track}{length_of_time(row['seconds']):>11}  {words}")
    if len(rows) > 1 and not any(row["name"] for row in rows):
        warn(f"Name them with: livecap speakers {session.name} --name {rows[0]['speaker']}=NAME")


def _row(session: RecordedSession, number: int, speech: _Speech) -> dict[str, Any]:
    letter, label = speaker_letter(number), session.voices.label(number)
    return {
        "speaker": letter,
        "name": "" if label == letter else label,
        "label": label,
        "track": speech.track,
        "seconds": round(speech.seconds, 2),
        "utterances": speech.n_utterances,
        "first_words": shortened(printable(speech.first_words), 100),
    }
