"""Settling: a second pass over the whole sound of closed utterances, when no step is due.

Live text is decided word by word, with about a second of sound after each. The second pass hears the whole utterance.
Exports use the live text, with the words of the second pass where the two differ and the model was surer the second
time. The utterances just before go into the same prompt, up to 16 s. The live text is the draft, so a pass costs little
more than its prefill.

In unbroken speech an utterance is closed between two words without a pause. Its sound cannot be cut there, so it is
settled together with the utterances that follow, up to the next pause: they are a group. The sound of a long group is
cut where it is quietest, and the settled text is shared out along the words that it has in common with the live text.
"""

import difflib
import math
import unicodedata
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from livecap.model.generate import GeneratedToken
from livecap.stream.config import StreamConfig, samples_in
from livecap.stream.recent_sound import RecentSound
from livecap.stream.recogniser import Recogniser
from livecap.stream.token_text import TokenText
from livecap.stream.word_times import Span
from livecap.transcript import SAMPLE_RATE, Word

MOST_WAITING = 12
"""The most closed utterances that may wait, of at most 36 s each."""
LEAST_PIECE_SAMPLES, MOST_PIECE_SAMPLES = 8 * SAMPLE_RATE, 28 * SAMPLE_RATE
"""The length of the pieces of a group that does not fit into one prompt."""
LEAST_GAIN = 0.8
"""Words replace live ones if their mean margin is higher by more than this, alone and with the word on either side. A
word that both passes have gains as much on average, since the margin of a live word is the lowest of several steps."""
LONE_MARGIN = 1.25
"""The mean margin at which the model is sure of words that only one of the two texts has."""
MOST_RATIO, SPARE_LETTERS = 2, 4
"""The same sound holds at most so many times as many letters in one text as in the other, and so many more."""
FRAME_SAMPLES, QUIET_FRAMES = SAMPLE_RATE // 50, 5
"""A piece is cut in the middle of the quietest 100 ms."""


@dataclass(frozen=True, slots=True)
class ClosedUtterance:
    """The live text of a closed utterance, and the sound it was spoken in."""

    index: int
    start_sample: int
    end_sample: int
    joints: tuple[int, ...]
    """Numbers of ids after which a prompt began without text."""
    header: tuple[int, ...]
    """`language X<asr_text>` of the prompt that it was decoded in."""
    ids: tuple[int, ...]
    margins: tuple[float, ...]
    """The margin of each of `ids`, the lowest of all steps that had it."""
    words: tuple[Word, ...]
    voiced: tuple[Span, ...]
    """Where there is voice in it."""
    language: str | None


@dataclass(frozen=True, slots=True)
class Settled:
    """An utterance after its second pass."""

    utterance: ClosedUtterance
    ids: tuple[int, ...]
    """Its text."""
    joints: tuple[int, ...]
    """As in `ClosedUtterance`."""
    header: tuple[int, ...]
    """`language X<asr_text>` of its text."""
    starts: NDArray[np.int64] | None
    """[len(ids) + 1]: where each token starts, and what follows the text. None where the recogniser cannot tell."""
    sound: NDArray[np.float32]
    """[n] samples of the whole utterance."""


class Settling:
    """The queue of closed utterances and their prompt. Has a recogniser of its own, so that the live KV cache stays."""

    def __init__(self, recogniser: Recogniser, config: StreamConfig) -> None:
        self._recogniser = recogniser
        self._config = config
        self._groups: deque[list[ClosedUtterance]] = deque()
        self._last_goes_on = False
        """The next utterance belongs to the last group."""
        self._skips = False
        """The open group is too long and was dropped."""
        self._results: deque[Settled] = deque()
        self._header: tuple[int, ...] = ()
        self._prefix: list[int] | None = None
        """Settled text in the open prompt; None before the first."""
        self._next_index = 0
        """The utterance that can follow in the open prompt. With a later one, the prompt would also hear the words of
        those between, which keep their live text."""

    @property
    def n_waiting(self) -> int:
        """Closed utterances that `settle` can return; those of a group once the group is complete."""
        complete = list(self._groups)[: len(self._groups) - self._last_goes_on]
        return len(self._results) + sum(len(group) for group in complete)

    def add(self, utterance: ClosedUtterance, goes_on: bool = False) -> None:
        """Add a closed utterance. If too many wait, the oldest group keeps its live text and its sound is released.

        Args:
            goes_on: it ends inside speech, so the next utterance belongs to its group.
        """
        if not self._skips:
            if self._last_goes_on:
                self._groups[-1].append(utterance)
            else:
                self._groups.append([utterance])
            self._last_goes_on = goes_on
            while sum(map(len, self._groups)) > MOST_WAITING:
                self._groups.popleft()
            if not self._groups:
                self._skips, self._last_goes_on = goes_on, False
        elif not goes_on:
            self._skips = False

    def end_group(self) -> None:
        """Speech has paused: the next utterance begins a new group."""
        self._last_goes_on = self._skips = False

    @property
    def needs_from(self) -> int | None:
        """Sound from here on must be kept; None if no utterance waits."""
        if not self._groups:
            return None
        first = self._groups[0]
        start = first[0].start_sample
        return min(start, self._recogniser.end_sample) if self._joins(first) else start

    def settle(self, sound: RecentSound, text: TokenText) -> Settled:
        """The next utterance after its second pass; with its first one, a whole group is decoded."""
        if not self._results:
            group = self._groups.popleft()
            heard = self._decode(group, sound, text)
            self._next_index = group[-1].index + 1
            live = [_live_words(utterance, text) for utterance in group]
            shares, in_other_language = self._shares(live, heard, text)
            for utterance, words in zip(group, shares, strict=True):
                header = self._header if in_other_language else utterance.header
                self._results.append(self._settled(utterance, words, header, sound, text))
        return self._results.popleft()

    def close(self) -> None:
        """Release the recogniser. Decode thread only."""
        self._recogniser.close()

    def _decode(self, group: Sequence[ClosedUtterance], sound: RecentSound, text: TokenText) -> "_Heard | None":
        """What the second pass says about the group's sound; None if the model did not end its text."""
        start, end = group[0].start_sample, group[-1].end_sample
        if len(group) == 1:
            if not self._joins(group):
                self._begin(start, group[0].header)
            said = self._decode_piece(end, group[0].ids, sound)
            return None if said is None else _Heard(_words(said, text), self._header == group[0].header)
        words: list[_SaidWord] = []
        same_language = True
        for low, high in _pieces(start, end, sound):
            inside = [utterance for utterance in group if utterance.start_sample < high]
            self._begin(low, inside[-1].header)
            piece = self._decode_piece(high, _draft(group, (low, high), text), sound)
            self._prefix = None  # the next utterance does not go on in this prompt, which may be full
            if piece is None:
                return None
            starts = self._recogniser.starts_of(self._header, (), [token.id for token in piece], self._pad_samples, low)
            said_here = _words(piece, text, starts)
            for at in {0, len(said_here) - 1} if said_here else ():
                said_here[at] = replace(said_here[at], is_edge=True)
            words += said_here
            same_language = same_language and self._header == inside[-1].header
        return _Heard(words, same_language)

    def _begin(self, sample: int, header: tuple[int, ...]) -> None:
        self._recogniser.begin(sample)
        self._header, self._prefix = header, []

    def _decode_piece(self, end: int, draft: Sequence[int], sound: RecentSound) -> list[GeneratedToken] | None:
        """The tokens that sound up to `end` adds to the open prompt; None if the model did not end its text."""
        assert self._prefix is not None
        heard = self._recogniser.end_sample
        self._recogniser.append(sound.between(heard, max(heard, end)))
        budget = self._config.loops.token_budget(end - heard)
        decoded = self._recogniser.decode(self._header, self._prefix, draft, budget, self._pad_samples)
        self._header = decoded.header
        return decoded.tokens if decoded.complete else None

    @property
    def _pad_samples(self) -> int:
        return samples_in(self._config.utterance.pad_seconds)

    def _shares(
        self, live: Sequence[Sequence["_SaidWord"]], heard: "_Heard | None", text: TokenText
    ) -> "tuple[Sequence[Sequence[_SaidWord]], bool]":
        """The words of each utterance, and whether they are in another language than live. Where one of them would not
        begin with a word, the live text stays.

        Args:
            live: the live words of each utterance.
        """
        if heard is None or not heard.words:
            return live, False
        before, again = [word for words in live for word in words], heard.words
        if not before:
            words = again if _margin(again) >= self._config.commit.doubted_margin else []
        elif heard.same_language:
            words = _surer_words(before, again)
        else:
            is_surer = _margin(again) > _margin(before) + LEAST_GAIN and _may_replace(before, again, [])
            words = again if is_surer else before
        cuts = _shared_out([len(words) for words in live], before, words)
        shares = [list(words[a:b]) for a, b in pairwise(cuts)]
        if not all(text.begins_with_word(_ids(share)) for share in shares):
            return live, False
        return shares, not heard.same_language and words is again

    def _settled(
        self,
        utterance: ClosedUtterance,
        words: Sequence["_SaidWord"],
        header: tuple[int, ...],
        sound: RecentSound,
        text: TokenText,
    ) -> Settled:
        """The utterance with these words as its text, which the next one of the same prompt follows."""
        ids, begin = _ids(words), utterance.start_sample
        if self._prefix is None:
            starts = _starts(words, (begin, utterance.end_sample))
        else:
            pad_samples = self._pad_samples
            starts = self._recogniser.starts_of(self._header, self._prefix, ids, pad_samples, begin) if ids else None
            self._prefix += ids
        places = list(accumulate((len(word.ids) for word in words), initial=0))
        joints = [
            place
            for place, word in zip(places, words, strict=False)
            if place and not text.starts_word(word.ids[0])  # it began a prompt
        ]
        return Settled(utterance, tuple(ids), tuple(joints), header, starts, sound.between(begin, utterance.end_sample))

    def _joins(self, group: Sequence[ClosedUtterance]) -> bool:
        """True if the group continues the open prompt."""
        config, utterance = self._config.prompt, group[0]
        if self._prefix is None or len(group) > 1 or utterance.header != self._header:
            return False
        if utterance.index != self._next_index:
            return False
        silence = utterance.start_sample - self._recogniser.end_sample
        length = utterance.end_sample - self._recogniser.start_sample
        return silence <= samples_in(config.joined_pause_seconds) and length <= samples_in(
            config.settled_prompt_seconds
        )


@dataclass(frozen=True, slots=True)
class _SaidWord:
    """A word as ids, with the margin of each."""

    ids: tuple[int, ...]
    margins: tuple[float, ...]
    key: str
    """Without case and punctuation."""
    start: float = math.nan
    """Where it starts, as a sample; NaN if that is not known."""
    stop: float = math.nan
    """Where what follows it starts."""
    is_edge: bool = False
    """It begins or ends a piece of a group: its case and its punctuation are guesses."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """What the second pass says about the sound of a group."""

    words: list[_SaidWord]
    same_language: bool
    """The model named the same language as live."""


def _live_words(utterance: ClosedUtterance, text: TokenText) -> list[_SaidWord]:
    tokens = [GeneratedToken(*token) for token in zip(utterance.ids, utterance.margins, strict=True)]
    return _words(tokens, text, joints=utterance.joints)


def _words(
    tokens: Sequence[GeneratedToken],
    text: TokenText,
    starts: NDArray[np.int64] | None = None,
    joints: Sequence[int] = (),
) -> list[_SaidWord]:
    """The words of a text.

    Args:
        starts: as in `Settled`.
        joints: as in `ClosedUtterance`.
    """
    words: list[_SaidWord] = []
    begin = 0
    for word, end in text.words([token.id for token in tokens], joints):
        key = "".join(c for c in word.casefold() if unicodedata.category(c)[0] != "P") or word
        said = tokens[begin:end]
        edges = (math.nan, math.nan) if starts is None else (float(starts[begin]), float(starts[end]))
        words.append(_SaidWord(tuple(t.id for t in said), tuple(t.margin for t in said), key, *edges))
        begin = end
    return words


def _ids(words: Sequence[_SaidWord]) -> list[int]:
    return [id for word in words for id in word.ids]


def _starts(words: Sequence[_SaidWord], within: Span) -> NDArray[np.int64] | None:
    """As `Settled.starts`; words of unknown time share what lies between their neighbours. None if no time is known."""
    starts = np.array([word.start for word in words])
    known = np.flatnonzero(~np.isnan(starts))
    if not len(known):
        return None
    for after, following in pairwise([-1, *known, len(words)]):
        low = within[0] if after < 0 else words[after].stop
        high = within[1] if following == len(words) else starts[following]
        starts[after + 1 : following] = np.linspace(low, high, following - after)[:-1]
    end = within[1] if math.isnan(words[-1].stop) else words[-1].stop
    places = np.cumsum([0, *(len(word.ids) for word in words)])
    tokens = np.interp(np.arange(places[-1] + 1), places, [*starts, end])
    return np.rint(np.maximum.accumulate(tokens)).astype(np.int64)


def _margin(words: Sequence[_SaidWord]) -> float:
    """The mean margin of the words' tokens; 0 without any."""
    margins = [margin for word in words for margin in word.margins]
    return sum(margins) / len(margins) if margins else 0.0


def _surer_words(live: Sequence[_SaidWord], again: Sequence[_SaidWord]) -> list[_SaidWord]:
    """The live words, except where the second pass has others and the model is surer of those.

    Equal words are taken from the second pass, which knows best how they are punctuated.
    """
    words: list[_SaidWord] = []
    for kind, a, b, c, d in _differences(live, again):
        if kind == "equal":
            for old, new in zip(live[a:b], again[c:d], strict=True):
                words.append(replace(old, start=new.start, stop=new.stop) if new.is_edge else new)
        else:
            is_surer = _margin(again[max(0, c - 1) : d + 1]) > _margin(live[max(0, a - 1) : b + 1]) + LEAST_GAIN
            takes = is_surer and _may_replace(live[a:b], again[c:d], [*live[max(0, a - 1) : a], *live[b : b + 1]])
            words += again[c:d] if takes else live[a:b]
    return words


def _may_replace(live: Sequence[_SaidWord], again: Sequence[_SaidWord], beside: Sequence[_SaidWord]) -> bool:
    """Whether the second pass, which is surer around these words, is surer of them too and has lost or invented none.

    Missing words have no margin. So their neighbours, of which the model is sure, do not tell whether a word was said.
    A model that repeats a word is sure of it each time, so how often it was said is left to live text.

    Args:
        beside: the live words before and after them.
    """
    n_live, n_again = (sum(len(word.key) for word in words) for words in (live, again))
    if not again or n_live > MOST_RATIO * n_again + SPARE_LETTERS:
        return _margin(live) < LONE_MARGIN
    if not live:
        return _margin(again) >= LONE_MARGIN and not any(all(word.key == near.key for word in again) for near in beside)
    return n_again <= MOST_RATIO * n_live + SPARE_LETTERS and _margin(again) > _margin(live) + LEAST_GAIN


def _differences(one: Sequence[_SaidWord], other: Sequence[_SaidWord]) -> Sequence[tuple[str, int, int, int, int]]:
    """As `difflib.SequenceMatcher.get_opcodes`."""
    keys = [word.key for word in one], [word.key for word in other]
    return difflib.SequenceMatcher(None, *keys, autojunk=False).get_opcodes()


def _pieces(start: int, end: int, sound: RecentSound) -> list[Span]:
    """[start, end) of sound in pieces that fit into a prompt, cut where it is quietest."""
    pieces: list[Span] = []
    while end - start > MOST_PIECE_SAMPLES:
        low, high = start + LEAST_PIECE_SAMPLES, min(start + MOST_PIECE_SAMPLES, end - LEAST_PIECE_SAMPLES // 2)
        n = (high - low) // FRAME_SAMPLES
        frames = sound.between(low, low + n * FRAME_SAMPLES).reshape(n, FRAME_SAMPLES)
        power = np.convolve(np.square(frames).mean(axis=1), np.ones(QUIET_FRAMES), mode="valid")
        cut = low + (int(power.argmin()) * 2 + QUIET_FRAMES) * FRAME_SAMPLES // 2
        pieces.append((start, cut))
        start = cut
    return [*pieces, (start, end)]


def _draft(group: Sequence[ClosedUtterance], within: Span, text: TokenText) -> list[int]:
    """The live ids of the words in this sound."""
    ids: list[int] = []
    for utterance in group:
        begin = 0
        ends = [end for _, end in text.words(utterance.ids, utterance.joints)]
        for end, word in zip(ends, utterance.words, strict=True):
            if within[0] <= (word.start_sample + word.end_sample) // 2 < within[1]:
                ids += utterance.ids[begin:end]
            begin = end
    return ids


def _shared_out(n_words: Sequence[int], live: Sequence[_SaidWord], words: Sequence[_SaidWord]) -> list[int]:
    """Where the text of each utterance begins in `words`, and where the last one ends.

    The text changes hands at the same word as live, or beside the nearest one that both texts have.

    Args:
        n_words: how many of the `live` words each utterance has.
    """
    places = [(0, 0)]
    for kind, a, b, c, _ in _differences(live, words):
        if kind == "equal":
            places += [(a + i, c + i) for i in range(b - a + 1)]
    places.append((len(live), len(words)))
    cuts, spoken = [0], 0
    for n in n_words[:-1]:
        spoken += n
        # The last common place up to here, and as many words further on as live.
        a, c = max(place for place in places if place[0] <= spoken)
        most = min(place[1] for place in places if place[0] >= spoken)
        cuts.append(min(c + spoken - a, most))
    return [*cuts, len(words)]
