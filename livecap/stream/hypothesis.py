"""Hypothesis: the believed token ids, and the frontier between those that are stable and those that may still change.

    ids   [ . . . . . | . . . . . . . . | . . . . . . . . . | . . . . . ]
                      prompt_start      utterance_start     frontier
          their sound  earlier           stable text of      may change
          has left     utterances        this utterance      in each step

The next prompt repeats ids[prompt_start:frontier] as text that was already said, so the model cannot change it and
stable text only grows. Positions in sound are sample counts of the session.
"""

from collections.abc import Callable, Sequence

from livecap.model.cache import n_common
from livecap.model.generate import GeneratedToken
from livecap.stream.config import LoopConfig, StreamConfig
from livecap.stream.policy import BelievedToken
from livecap.transcript import SAMPLE_RATE

WordStart = Callable[[int], bool]
"""True where a token may begin a word, so that text may be cut before it."""

FRONTIER_SEARCH = 16
"""How many tokens the frontier moves back to find the start of a word. Scripts without spaces may have none nearby."""


class Hypothesis:
    """The text that is believed since the sound of the prompt began."""

    def __init__(
        self,
        config: StreamConfig,
        start_sample: int,
        starts_word: WordStart,
        is_whole: Callable[[Sequence[int]], bool],
    ) -> None:
        """
        Args:
            start_sample: where the sound of the prompt begins.
            starts_word: see `WordStart`.
            is_whole: False for ids that end inside a character.
        """
        self._config = config
        self._starts_word = starts_word
        self._is_whole = is_whole
        self._begin_sample = start_sample
        self._milestones: list[tuple[int, int]] = [(0, start_sample)]
        """(tokens, sample): this many tokens had been said when the sound up to `sample` was decoded. Both increase."""
        self._pauses: list[tuple[int, int]] = []
        """(tokens, sample) of steps that ended in a pause: exactly this many tokens were said before it."""
        self._tokens: list[BelievedToken] = []
        self._shown: list[int] = []
        """Tokens after the frontier that are on the screen."""
        self._n_kept = 0
        """For how many steps the screen has kept text that the hypothesis no longer has."""
        self.frontier = 0
        self.prompt_start = 0
        self.utterance_start = 0
        self._joints: list[int] = []
        """Numbers of tokens after which a prompt began without text."""

    @property
    def ids(self) -> list[int]:
        """All believed ids."""
        return [token.id for token in self._tokens]

    @property
    def tokens(self) -> list[BelievedToken]:
        """A copy of all believed tokens, for `restore`."""
        return list(self._tokens)

    @property
    def prefix(self) -> list[int]:
        """The text that the next prompt gives as already said."""
        return self.ids[self.prompt_start : self.frontier]

    @property
    def stable_ids(self) -> list[int]:
        """The stable ids of the open utterance."""
        return self.ids[self.utterance_start : self.frontier]

    @property
    def joints(self) -> list[int]:
        """Numbers of ids of the open utterance after which a prompt began without text."""
        return [place - self.utterance_start for place in self._joints if place > self.utterance_start]

    @property
    def partial_ids(self) -> list[int]:
        """The ids that may still change. They are the draft of the next step."""
        return self.ids[self.frontier :]

    @property
    def shown_ids(self) -> list[int]:
        """The partial ids to show. A word that was shown stays until two steps in a row disagree with it."""
        return self._shown

    def revise(
        self,
        tokens: Sequence[GeneratedToken],
        end_sample: int,
        complete: bool = True,
        at_pause: bool = False,
    ) -> bool:
        """Believe `tokens` after the prefix, with sound up to `end_sample`, and move the frontier.

        Args:
            complete: the model ended its text; False if the token budget did.
            at_pause: there is silence at `end_sample`.

        Returns:
            True for a runaway: more text than can have been said. It is cut where it repeats itself or exceeds the
            budget, and this step makes nothing stable.
        """
        before = self.frontier
        first = before == self.utterance_start and not self._shown
        most = len(self._tokens) - before + self._most_new_tokens(end_sample)
        if not complete:
            tokens = tokens[:most]
        known = self._tokens[before:]
        agreed = n_common([token.id for token in known], [token.id for token in tokens])
        for believed, token in zip(known[:agreed], tokens[:agreed], strict=True):
            believed.margin = min(believed.margin, token.margin)
        self._pauses = [pause for pause in self._pauses if pause[0] <= before + agreed]
        new = tokens[agreed:]
        self._tokens[before + agreed :] = [BelievedToken(token.id, end_sample, token.margin) for token in new]
        # Repetition alone is not a loop: people may repeat a word many times, but not within half a second.
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
        """Decide which partial ids are shown."""
        ids, frontier, policy = self.ids, self.frontier, self._config.commit
        n_shown = policy.shown(self._tokens, frontier, end_sample, self._starts_word, at_pause, first)
        steady = ids[frontier : max(frontier, n_shown)]
        moved = frontier - frontier_before
        kept = self._shown[moved:] if self._shown[:moved] == ids[frontier_before:frontier][: len(self._shown)] else []
        place = frontier + n_common(ids[frontier:], kept)
        confirmed = place < len(ids) and self._tokens[place].since_sample < end_sample
        if at_pause or steady[: len(kept)] == kept or confirmed or self._n_kept >= policy.kept_steps:
            self._shown, self._n_kept = steady, 0
        else:
            self._shown, self._n_kept = kept, self._n_kept + 1

    def _most_new_tokens(self, end_sample: int) -> int:
        """The number of tokens that can have been said in the sound that is new in this step."""
        seconds = (end_sample - self._milestones[-1][1]) / SAMPLE_RATE
        return round(self._config.loops.tokens_per_second * max(seconds, 0)) + self._config.loops.min_loop_tokens // 2

    def forget_partial(self) -> None:
        """Forget all tokens after the frontier."""
        del self._tokens[self.frontier :]

    def restore(self, tokens: Sequence[BelievedToken]) -> None:
        """Believe the `tokens` of an earlier step again, after the frontier: what was added to them is not speech."""
        self._tokens[self.frontier :] = tokens[self.frontier :]

    def margin_since(self, sample: int) -> float:
        """The mean margin of the utterance's tokens that sound after `sample` brought; 0 without any."""
        margins = [token.margin for token in self._tokens[self.utterance_start :] if token.since_sample > sample]
        return sum(margins) / len(margins) if margins else 0.0

    @property
    def stable_margins(self) -> list[float]:
        """The margin of each of `stable_ids`, the lowest of all steps that had it."""
        return [token.margin for token in self._tokens[self.utterance_start : self.frontier]]

    def believe_all(self, voiced_samples: int) -> None:
        """Make all tokens stable: the utterance has ended, with this much voiced sound in it.

        Text that was probably invented, in sound with hardly any voice, is forgotten instead.
        """
        if not self.stable_ids and not self._config.commit.is_believable(self._tokens[self.frontier :], voiced_samples):
            del self._tokens[self.frontier :]
        self.frontier = len(self._tokens)
        self._shown, self._n_kept = [], 0

    def close_utterance(self, n_ids: int | None = None) -> None:
        """Make the first `n_ids` stable ids, or all, the whole text of the utterance; later ones belong to the next."""
        self.utterance_start += len(self.stable_ids) if n_ids is None else n_ids

    def begin_utterance(self, sample: int) -> None:
        """Note that speech begins again after a pause."""
        self._begin_sample = sample

    def stable_pauses(self) -> list[tuple[int, int]]:
        """(tokens, sample) in order: pauses in the prompt's stable text, and how many ids were said before each.

        A pause counts as long as the text on both sides is still the same as when the pause was decoded.
        """
        known = []
        for n, sample in self._pauses:
            if not self.prompt_start < n <= self.frontier or self._tokens[n - 1].since_sample > sample:
                continue
            if n == len(self._tokens) or self._tokens[n].since_sample > sample:
                known.append((n, sample))
        return known

    def forget(self, before_sample: int) -> None:
        """Drop sound before `before_sample` from the prompt, with the text that was probably spoken in it."""
        spoken = min(self._tokens_by(before_sample), self.frontier)
        self.prompt_start = self._cut_before(spoken, self.prompt_start)
        self._begin_prompt()

    def forget_tokens(self, n_tokens: int) -> None:
        """Drop the first `n_tokens` ids from the prompt, with their sound: a number from `stable_pauses`."""
        assert self.prompt_start <= n_tokens <= self.frontier
        self.prompt_start = n_tokens
        self._begin_prompt()

    def sample_at_frontier(self) -> int:
        """The approximate position of the frontier in the sound: all text of the sound before it is stable."""
        reached = [sample for n, sample in self._milestones if n == self.frontier]
        return reached[-1] if reached else _interpolate(self.frontier, self._milestones)

    def heard_by(self, n_tokens: int) -> int:
        """Where the sound ended when the first `n_tokens` stable ids of the open utterance were first believed."""
        wanted = self.utterance_start + n_tokens
        return next((sample for n, sample in self._milestones if n >= wanted), self._milestones[-1][1])

    def _note_milestone(self, end_sample: int) -> None:
        """Keep two milestones per length, first and last believed. A shorter length removes the longer ones."""
        points, n = self._milestones, len(self._tokens)
        while len(points) > 1 and points[-1][0] > n:
            points.pop()
        if len(points) > 1 and points[-1][0] == points[-2][0] == n:
            points.pop()
        points.append((n, end_sample))

    def _tokens_by(self, sample: int) -> int:
        """The approximate number of tokens that were said before `sample`."""
        return _interpolate(sample, [(at, n) for n, at in self._milestones])

    def _cut_before(self, n: int, lowest: int) -> int:
        """The last place in [lowest, n] where text may be cut: between words, or else between characters."""
        for place in range(n, max(n - FRONTIER_SEARCH, lowest - 1), -1):
            if place == len(self._tokens) or self._starts_word(self._tokens[place].id):
                return place
        while n > lowest and not self._is_whole(self.ids[lowest:n]):
            n -= 1
        return max(n, lowest)

    def _begin_prompt(self) -> None:
        """Continue in a new prompt. Without text to repeat, the model begins a new text at the joint."""
        if self.prompt_start == self.frontier:
            self._joints.append(self.frontier)
        self._delete_unused()

    def _delete_unused(self) -> None:
        """Delete ids that neither the prompt nor the open utterance needs, so that memory use does not grow."""
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
    """Where the second repetition of a loop at the end of `ids` begins, or None if the end is not a loop."""
    n = len(ids)
    for period in range(1, config.max_loop_period + 1):
        length = period
        while length < n and ids[n - 1 - length] == ids[n - 1 - length + period]:
            length += 1
        if length >= max(config.loop_repeats * period, config.min_loop_tokens):
            return n - length + period
    return None


def _interpolate(x: int, points: Sequence[tuple[int, int]]) -> int:
    """y at x on the line through (x, y) points, whose x increase; beyond them, the y of the first or last point."""
    low = points[0]
    for high in points:
        if high[0] >= x:
            return (
                low[1] if high[0] == low[0] else low[1] + (high[1] - low[1]) * max(x - low[0], 0) // (high[0] - low[0])
            )
        low = high
    return low[1]
