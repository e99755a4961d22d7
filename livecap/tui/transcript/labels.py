"""Labels: who said the paragraphs of a running session. A label that is shown changes at most once."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from livecap.archive.speakers import Speakers
from livecap.text.safety import printable
from livecap.transcript import SessionEvent, SpeakersHeard, TranscriptUpdate, UtteranceEnded
from livecap.tui.transcript.paragraph import Paragraph

MOST_SAID = 600
"""Utterances whose labels may still change; the voices of older ones are settled."""


@dataclass(slots=True)
class _Said:
    """An utterance and its paragraphs: one, or one for each part in which another speaker speaks."""

    update: TranscriptUpdate
    paragraphs: list[Paragraph]
    has_changed: bool = False
    """A label that was shown has changed, so no other change is shown."""


class Labels:
    """Knows no widget and no page. Used from one thread."""

    def __init__(self) -> None:
        self.speakers = Speakers()
        self._said: OrderedDict[tuple[str, int], _Said] = OrderedDict()

    def said(self, update: TranscriptUpdate, paragraph: Paragraph) -> None:
        """The newest text of an utterance, and its paragraph."""
        known = self._said.setdefault((update.track, update.utterance), _Said(update, [paragraph]))
        known.update = update
        if len(self._said) > MOST_SAID:
            self._said.popitem(last=False)

    def take(self, event: SessionEvent) -> list[Paragraph]:
        """Take a fact about speakers. Returns the paragraphs of the utterance that it is about, in order, of which the
        last ones may be new; empty if none changed. `show` gives all paragraphs their labels."""
        self.speakers.note(event)
        said = self._said.get((event.track, event.utterance)) if isinstance(event, SpeakersHeard) else None
        if said is None or not isinstance(event, SpeakersHeard):
            return []
        if event.settled:
            del self._said[event.track, event.utterance]
        update = said.update
        utterance = UtteranceEnded(
            update.track, update.utterance, update.stable if update.final else update.text,
            update.start_sample, update.end_sample, update.language, update.words,
        )  # fmt: skip
        parts = [
            (part.start_sample, part.text, number)
            for part, number in self.speakers.numbered_parts(utterance, event.voices)
        ]
        shown = [(paragraph.start_sample, paragraph.number) for paragraph in said.paragraphs if paragraph.text.strip()]
        first = shown[0][1] if shown else None
        is_division = len(shown) == 1 and first in [number for _, _, number in parts[:1]]
        if parts and first is not None and not is_division and [(start, number) for start, _, number in parts] != shown:
            if said.has_changed:
                parts = []
            said.has_changed = True
        for paragraph in said.paragraphs:
            paragraph.is_provisional = not event.settled
        if parts:
            self._divide(said, parts, not event.settled)
        return said.paragraphs

    def _divide(self, said: _Said, parts: Sequence[tuple[int, str, int]], is_provisional: bool) -> None:
        """Give the parts of an utterance to its paragraphs; those that are left over become empty and so invisible."""
        one = len(parts) == 1 and len(said.paragraphs) == 1
        for number, (start, text, speaker) in enumerate(parts):
            if number == len(said.paragraphs):
                said.paragraphs.append(Paragraph(said.update.track, start))
            paragraph = said.paragraphs[number]
            paragraph.number, paragraph.is_provisional = speaker, is_provisional
            if not one:  # the text of an open utterance still grows
                paragraph.start_sample, paragraph.stable, paragraph.partial = start, printable(text), ""
                paragraph.form = None
        for paragraph in said.paragraphs[len(parts) :]:
            paragraph.stable = paragraph.partial = ""
            paragraph.form = None

    def show(self, paragraphs: Sequence[Paragraph]) -> list[int]:
        """Give paragraphs the names that count now. Returns the indices of those that changed."""
        shown: dict[str, bool] = {}
        names: dict[int, str] = {}
        changed = []
        for index, paragraph in enumerate(paragraphs):
            if paragraph.number is None:
                continue
            if paragraph.track not in shown:
                shown[paragraph.track] = self.speakers.has_labels(paragraph.track)
            if paragraph.number not in names:
                names[paragraph.number] = self.speakers.label(paragraph.number)
            name = names[paragraph.number] if shown[paragraph.track] else ""
            if name != paragraph.speaker:
                paragraph.speaker, paragraph.form = name, None
                changed.append(index)
        return changed
