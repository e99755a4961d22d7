"""Hypothesis: the token ids that are believed, and the one frontier between those that stay and those that may change.

    ids   [ . . . . . | . . . . . . . . | . . . . . . . . . | . . . . . ]
                      prompt_start      utterance_start     frontier
          their sound  earlier           stable text of      decided anew
          has left     utterances        this utterance      at each step

The prompt repeats ids[prompt_start:frontier]. The model cannot take back what it is told it said, so stable text needs
no repair: it only grows. Nothing here knows sound, time or MLX beyond sample counts.
"""

from collections.abc import Callable, Sequence

from livecap.model.generate import GeneratedToken
from livecap.stream.config import LoopConfig, StreamConfig
from livecap.stream.policy import BelievedToken
from livecap.transcript import SAMPLE_RATE

WordStart = Callable[[int], bool]
"""True where a token may begin a word: text may be cut before it."""

FRONTIER_SEARCH = 16
"""Tokens the frontier backs off to find a word's start. Scripts without spaces have none nearby."""


class Hypothesis:
    """What is believed to have been said since the prompt's window began."""

    def __init__(
        self,
        config: StreamConfig,
        start_sample: int,
        starts_word: WordStart,
        is_whole: Callable[[Sequence[int]], bool],
    ) -> None:
        """
        Args:
            start_sample: where the window's sound begins.
            starts_word: where text may be cut between words.
            is_whole: False for ids that end inside a character.
        """
        self._config = config
        self._starts_word = starts_word
        self._is_whole = is_whole
        self._begin_sample = start_sample
        self._milestones: list[tuple[int, int]] = [(0, start_sample)]
        """(tokens, sample): so many tokens had been said when this sound had been heard. Both grow."""
        self._pauses: list[tuple[int, int]] = []
        """(tokens, sample) of steps that ended in a pause: just so many tokens were said before it."""
        self._tokens: list[BelievedToken] = []
        self._shown: list[int] = []
        """Behind the frontier."""
        self._n_kept = 0
        """For so many steps text is shown that the hypothesis has no more."""
        self.frontier = 0
        self.prompt_start = 0
        self.utterance_start = 0
        self._joints: list[int] = []
        """Places where a prompt began without words."""

    @property
    def ids(self) -> list[int]:
        """All that is believed."""
        return [token.id for token in self._tokens]

    @property
    def prefix(self) -> list[int]:
        """What the next prompt says was said."""
        return self.ids[self.prompt_start : self.frontier]

    @property
    def stable_ids(self) -> list[int]:
        """Of the open utterance."""
        return self.ids[self.utterance_start : self.frontier]

    @property
    def joints(self) -> list[int]:
        """Behind so many ids of the open utterance a prompt began without words."""
        return [place - self.utterance_start for place in self._joints if place > self.utterance_start]

    @property
    def partial_ids(self) -> list[int]:
        """What may still change: the next step's draft."""
        return self.ids[self.frontier :]

    @property
    def shown_ids(self) -> list[int]:
        """What is shown of it: steady text. A word that was shown stays until two steps in a row say otherwise."""
        return self._shown

    def revise(
        self,
        tokens: Sequence[GeneratedToken],
        end_sample: int,
        complete: bool = True,
        at_pause: bool = False,
    ) -> bool:
        """Believe `new_ids` after the prefix, with sound heard up to `end_sample`, and move the frontier.

        Args:
            margins: for each id, how sure the model was of it: see `BelievedToken`.
            complete: the model ended its text; False where its budget did.
            at_pause: nobody speaks at `end_sample`.

        Returns:
            True where the text ran away: more than can have been said. It is cut where it repeats itself, or where
            the sound can hold no more, and nothing is committed by this step.
        """
        before = self.frontier
        first = before == self.utterance_start and not self._shown
        most = len(self._tokens) - before + self._room(end_sample)
        if not complete:
            tokens = tokens[:most]
        known = self._tokens[before:]
        agreed = _n_common([token.id for token in known], [token.id for token in tokens])
        for believed, token in zip(known[:agreed], tokens[:agreed], strict=True):
            believed.margin = min(believed.margin, token.margin)
        self._pauses = [pause for pause in self._pauses if pause[0] <= before + agreed]
        new = tokens[agreed:]
        self._tokens[before + agreed :] = [BelievedToken(token.id, end_sample, token.margin) for token in new]
        # People say a word twenty times, too; but not in half a second.
        loop = None if complete and len(tokens) <= most else loop_start(self.ids, self._config.loops)
        runaway = not complete or loop is not None
        if loop is not None:
            del self._tokens[max(loop, self.frontier) :]
        self._note_milestone(end_sample)
        if at_pause and not runaway:
            self._pauses.append((len(self._tokens), end_sample))
        if not runaway:
            stable = self._config.commit.stable(
                self._tokens, self.frontier, self._begin_sample, end_sample, self._starts_word
            )
            self.frontier = self._cut_before(stable, self.frontier)
        self._show(before, end_sample, at_pause, first)
        assert self.frontier >= before, "stable text shrank"
        return runaway

    def _show(self, frontier_before: int, end_sample: int, at_pause: bool, first: bool) -> None:
        """What is shown from now on."""
        ids, frontier, policy = self.ids, self.frontier, self._config.commit
        n_shown = policy.shown(self._tokens, frontier, end_sample, self._starts_word, at_pause, first)
        steady = ids[frontier : max(frontier, n_shown)]
        moved = frontier - frontier_before
        kept = self._shown[moved:] if self._shown[:moved] == ids[frontier_before:frontier][: len(self._shown)] else []
        place = frontier + _n_common(ids[frontier:], kept)
        confirmed = place < len(ids) and self._tokens[place].since_sample < end_sample
        if at_pause or steady[: len(kept)] == kept or confirmed or self._n_kept >= policy.kept_steps:
            self._shown, self._n_kept = steady, 0
        else:
            self._shown, self._n_kept = kept, self._n_kept + 1

    def _room(self, end_sample: int) -> int:
        """Tokens that can have been said in the sound that is new to a step."""
        seconds = (end_sample - self._milestones[-1][1]) / SAMPLE_RATE
        return round(self._config.loops.tokens_per_second * max(seconds, 0)) + self._config.loops.min_loop_tokens // 2

    def forget_partial(self) -> None:
        """Nothing behind the frontier is believed any more."""
        del self._tokens[self.frontier :]

    def believe_all(self, voiced_samples: int) -> None:
        """Make all tokens stable: the utterance has ended, with this much voiced sound in it.

        Text that was probably invented, in sound with hardly any voice, is forgotten instead.
        """
        if not self.stable_ids and not self._config.commit.is_believable(self._tokens[self.frontier :], voiced_samples):
            del self._tokens[self.frontier :]
        self.frontier = len(self._tokens)
        self._shown, self._n_kept = [], 0

    def close_utterance(self) -> None:
        """The stable ids are an utterance's whole text; what follows belongs to the next one."""
        self.utterance_start = self.frontier

    def begin_utterance(self, sample: int) -> None:
        """Speech begins again after a pause."""
        self._begin_sample = sample

    def stable_pauses(self) -> list[tuple[int, int]]:
        """(tokens, sample), in order: pauses of the prompt before which just so many ids were said, all of them stable.

        A pause counts as long as the text around it is believed as it was when the pause was heard.
        """
        known = []
        for n, sample in self._pauses:
            if not self.prompt_start < n <= self.frontier or self._tokens[n - 1].since_sample > sample:
                continue
            if n == len(self._tokens) or self._tokens[n].since_sample > sample:
                known.append((n, sample))
        return known

    def forget(self, before_sample: int) -> None:
        """Sound before `before_sample` leaves the prompt, and the text that was spoken in it, as far as is known."""
        spoken = min(self._tokens_by(before_sample), self.frontier)
        self.prompt_start = self._cut_before(spoken, self.prompt_start)
        self._go_on()

    def forget_tokens(self, n_tokens: int) -> None:
        """The first ids leave the prompt with their sound: so many as `stable_pauses` says."""
        assert self.prompt_start <= n_tokens <= self.frontier
        self.prompt_start = n_tokens
        self._go_on()

    def sample_at_frontier(self) -> int:
        """About where in the sound the frontier is: all that was said before is stable."""
        reached = [sample for n, sample in self._milestones if n == self.frontier]
        return reached[-1] if reached else _interpolate(self.frontier, self._milestones)

    def heard_by(self, n_tokens: int) -> int:
        """The sound that had been heard when the open utterance's first `n_tokens` stable ids were first believed."""
        wanted = self.utterance_start + n_tokens
        return next((sample for n, sample in self._milestones if n >= wanted), self._milestones[-1][1])

    def _note_milestone(self, end_sample: int) -> None:
        """A length has two milestones: first believed, last believed. A shorter one takes longer ones back."""
        points, n = self._milestones, len(self._tokens)
        while len(points) > 1 and points[-1][0] > n:
            points.pop()
        if len(points) > 1 and points[-1][0] == points[-2][0] == n:
            points.pop()
        points.append((n, end_sample))

    def _tokens_by(self, sample: int) -> int:
        """About how many tokens were said before `sample`."""
        return _interpolate(sample, [(at, n) for n, at in self._milestones])

    def _cut_before(self, n: int, lowest: int) -> int:
        """The last place in [lowest, n] where text may be cut: between words, or at least between characters."""
        for place in range(n, max(n - FRONTIER_SEARCH, lowest - 1), -1):
            if place == len(self._tokens) or self._starts_word(self._tokens[place].id):
                return place
        while n > lowest and not self._is_whole(self.ids[lowest:n]):
            n -= 1
        return max(n, lowest)

    def _go_on(self) -> None:
        """In another prompt: the model begins its text anew where there is none to go on with."""
        if self.prompt_start == self.frontier:
            self._joints.append(self.frontier)
        self._shed()

    def _shed(self) -> None:
        """Drop ids that neither the prompt nor the open utterance needs, so that an hour of speech stays small."""
        n = min(self.prompt_start, self.utterance_start)
        if n == 0:
            return
        del self._tokens[:n]
        self.frontier -= n
        self.prompt_start -= n
        self.utterance_start -= n
        self._joints = [place - n for place in self._joints if place > n]
        self._pauses = [(tokens - n, sample) for tokens, sample in self._pauses if tokens > n]
        milestones = [(tokens - n, sample) for tokens, sample in self._milestones]
        first = max(i for i, (tokens, _) in enumerate(milestones) if i == 0 or tokens <= 0)
        self._milestones = milestones[first:]


def loop_start(ids: Sequence[int], config: LoopConfig) -> int | None:
    """Where the second of many repetitions at the end of `ids` begins, or None where the end is no loop."""
    n = len(ids)
    for period in range(1, config.max_loop_period + 1):
        length = period
        while length < n and ids[n - 1 - length] == ids[n - 1 - length + period]:
            length += 1
        if length >= max(config.loop_repeats * period, config.min_loop_tokens):
            return n - length + period
    return None


def _n_common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many of the first ids are the same."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _interpolate(x: int, points: Sequence[tuple[int, int]]) -> int:
    """y at x on the line through (x, y) points that grow; the first or last y beyond them."""
    low = points[0]
    for high in points:
        if high[0] >= x:
            return (
                low[1] if high[0] == low[0] else low[1] + (high[1] - low[1]) * max(x - low[0], 0) // (high[0] - low[0])
            )
        low = high
    return low[1]
