"""Stability: how much of the displayed text was taken back later."""

from collections.abc import Sequence
from dataclasses import dataclass

from livecap.eval.alignment import align, matches
from livecap.eval.emission import displays, final_texts
from livecap.eval.timeline import Moment, Timeline
from livecap.eval.wer import normalise
from livecap.model.cache import n_common
from livecap.stream.statistics import Counts


@dataclass(frozen=True, slots=True)
class Stability(Counts):
    """Counts of displayed, changed and erased words."""

    n_final_words: int = 0
    """Words of the committed text, after the normaliser."""
    n_final_tokens: int = 0
    """Words of the committed text as written, split at spaces."""
    n_unstable_words: int = 0
    """Words, after the normaliser, that one display shows and the next has changed or dropped."""
    n_erased_tokens: int = 0
    """Words, as written, that must be erased from the end of each display to write the next one."""
    n_revisions: int = 0
    """Updates whose stable text does not continue the previous stable text, or that belong to a closed utterance."""

    @property
    def unstable_ratio(self) -> float:
        """UPWR: unstable partial words over final words."""
        return self.n_unstable_words / max(self.n_final_words, 1)

    @property
    def normalized_erasure(self) -> float:
        """NE: erased over final tokens."""
        return self.n_erased_tokens / max(self.n_final_tokens, 1)


def stability(timeline: Timeline) -> Stability:
    """The counts of one recording."""
    finals = final_texts(timeline.moments)
    screens = displays(timeline)
    closed = {u: normalise(text) for u, text in finals.items()}
    raw = {u: text.split() for u, text in finals.items()}
    unstable = erased = 0
    for before, after in zip(screens, screens[1:], strict=False):
        shown, update = before.moment.update, after.moment.update
        between = range(shown.utterance, update.utterance)
        now = [word for u in between for word in closed.get(u, [])] + list(after.words)
        unstable += _changed(before.words, now)
        written = [word for u in between for word in raw.get(u, [])] + update.text.split()
        tokens = shown.text.split()
        erased += len(tokens) - n_common(tokens, written)
    return Stability(
        n_final_words=sum(map(len, closed.values())),
        n_final_tokens=sum(map(len, raw.values())),
        n_unstable_words=unstable,
        n_erased_tokens=erased,
        n_revisions=revisions(timeline.moments),
    )


def revisions(moments: Sequence[Moment]) -> int:
    """How often an utterance's stable text was not the beginning of its next stable text."""
    stable: dict[int, str] = {}
    closed: set[int] = set()
    n = 0
    for moment in moments:
        update = moment.update
        n += update.utterance in closed or not update.stable.startswith(stable.get(update.utterance, ""))
        stable[update.utterance] = update.stable
        if update.final:
            closed.add(update.utterance)
    return n


def _changed(before: Sequence[str], after: Sequence[str]) -> int:
    """The number of words of `before` that are not in `after`; `after` may be longer."""
    n = n_common(before, after)
    left, right = before[n:], after[n:]
    if not left:
        return 0
    # Deletions and substitutions of shown words; an inserted word was not on the screen and cannot be unstable.
    return len(left) - len(matches(align(right, left, open_end=True), right, left))
