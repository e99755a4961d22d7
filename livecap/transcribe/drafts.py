"""Drafts: text that a piece probably has, so that the model only checks it. They change the time, not the text, in half
precision except at ties.

A draft comes from a smaller model, or from text of the same recording that is known: a live transcript, or the JSON of
an earlier run. Checking a draft takes one pass for all of its tokens, and one more for each place where it is wrong.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from livecap.archive.recorded import Utterance
from livecap.export.cues import units_of
from livecap.files import open_regular
from livecap.model.text.tokenizer import Tokenizer
from livecap.transcript import UtteranceEnded, UtteranceSettled, from_record, knows


@dataclass(frozen=True, slots=True)
class Draft:
    """What the model probably writes for a piece."""

    header: str
    """`language X`."""
    text: str

    def ids(self, tokenizer: Tokenizer, is_forced: bool) -> list[int]:
        """The tokens of the answer.

        Args:
            is_forced: the language is forced, so the answer has no header.
        """
        header = [] if is_forced else [*tokenizer.encode(self.header), tokenizer.asr_text_id]
        return [*header, *tokenizer.encode(self.text)]


class KnownText:
    """Text with times of one track."""

    def __init__(self, utterances: Iterable[Utterance]) -> None:
        units = [
            (unit.start_sample + unit.end_sample, unit.text, utterance.language or "")
            for utterance in utterances
            for unit in units_of(utterance)
        ]
        units.sort(key=lambda unit: unit[0])
        self._middles = [doubled / 2 for doubled, _, _ in units]
        self._units = units

    def between(self, start_sample: int, end_sample: int) -> Draft | None:
        """The draft for a piece; None if no text is known there, or not its language."""
        some = self._units[bisect_left(self._middles, start_sample) : bisect_left(self._middles, end_sample)]
        if not some or not some[0][2]:
            return None
        return Draft(f"language {some[0][2]}", "".join(text for _, text, _ in some).strip())


def written_before(path: Path) -> dict[str, KnownText]:
    """Track to the text in a JSON file of `livecap transcribe` or `livecap export`; empty if there is no such file."""
    try:
        with open_regular(path) as file:
            document = json.loads(file.read())
        facts = document.get("facts") if isinstance(document, dict) else None
        facts = facts if isinstance(facts, list) else []  # the file may be of another program
        found = [from_record(fact) for fact in facts if isinstance(fact, dict) and knows(fact)]
    except (OSError, ValueError, RecursionError):
        return {}  # a draft only saves time
    tracks: dict[str, list[Utterance]] = {}
    for fact in found:
        if isinstance(fact, UtteranceEnded | UtteranceSettled):
            tracks.setdefault(fact.track, []).append(fact)
    return {track: KnownText(utterances) for track, utterances in tracks.items()}
