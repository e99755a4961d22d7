"""How much of what was shown was taken back."""

from collections.abc import Sequence
from dataclasses import dataclass

from livecap.eval.alignment import align, matches
from livecap.eval.emission import displays, final_texts
from livecap.eval.timeline import Moment, Timeline
from livecap.eval.wer import normalise


@dataclass(frozen=True, slots=True)
class Stability:
    """Counts, so that recordings can be added up."""

    n_final_words: int
    """Of the committed text, after the normaliser."""
    n_final_tokens: int
    """Of the same, split at spaces, as written."""
    n_unstable_words: int
    """Words that one display shows and the next has changed or dropped, after the normaliser."""
    n_erased_tokens: int
    """Words, as written, that would be erased to write each next display at the end of the one before."""
    n_revisions: int
    """Updates in which stable text is not what it was, and longer; or in which a closed utterance speaks again."""

    def __add__(self, other: "Stability") -> "Stability":
        return Stability(
            self.n_final_words + other.n_final_words,
            self.n_final_tokens + other.n_final_tokens,
            self.n_unstable_words + other.n_unstable_words,
            self.n_erased_tokens + other.n_erased_tokens,
            self.n_revisions + other.n_revisions,
        )

    @property
    def unstable_ratio(self) -> float:
        """UPWR: unstable partial words over final words."""
        return self.n_unstable_words / max(self.n_final_words, 1)

    @property
    def normalized_erasure(self) -> float:
        """NE: erased over final tokens."""
        return self.n_erased_tokens / max(self.n_final_tokens, 1)


def stability(timeline: Timeline) -> Stability:
    """Of one recording."""
    finals = final_texts(timeline.moments)
    screens = displays(timeline)
    closed = {u: normalise(text) for u, text in finals.items()}
    raw = {u: text.split() for u, text in finals.items()}
    unstable = erased = 0
    for before, after in zip(screens, screens[1:], strict=False):
        between = range(before.utterance, after.utterance)
        now = [word for u in between for word in closed.get(u, [])] + list(after.words)
        unstable += _changed(before.words, now)
        written = [word for u in between for word in raw.get(u, [])] + after.raw.split()
        tokens = before.raw.split()
        erased += len(tokens) - _n_common(tokens, written)
    return Stability(
        n_final_words=sum(map(len, closed.values())),
        n_final_tokens=sum(map(len, raw.values())),
        n_unstable_words=unstable,
        n_erased_tokens=erased,
        n_revisions=revisions(timeline.moments),
    )


def revisions(moments: Sequence[Moment]) -> int:
    """How often stable text was not the beginning of the next stable text of its utterance."""
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
    """Words of `before` that are not in `after`, which may go on where `before` ends."""
    n = _n_common(before, after)
    left, right = before[n:], after[n:]
    if not left:
        return 0
    # Deletions and substitutions of words that were shown; what is inserted was not there to be unstable.
    return len(left) - len(matches(align(right, left, open_end=True), right, left))


def _n_common(a: Sequence[str], b: Sequence[str]) -> int:
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
