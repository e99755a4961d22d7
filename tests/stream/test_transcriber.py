"""The policy of the stream, with words whose times are known."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livecap.audio_in.source import AudioBlock
from livecap.model.generate import GeneratedToken
from livecap.stream.config import ChunkConfig, StreamConfig
from livecap.stream.policy import CommitPolicy, Rule
from livecap.stream.recogniser import Decoded
from livecap.stream.settling import Settling
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import TranscriptUpdate, UtteranceSettled
from tests.stream.scripted import (
    HEADER,
    SECOND,
    ScriptedDetector,
    ScriptedRecogniser,
    ScriptedTokenizer,
    Word,
    speech,
)


def run(
    words: Sequence[Word],
    recogniser: ScriptedRecogniser | None = None,
    block_seconds: Sequence[float] = (0.5,),
    **options: Any,
) -> tuple[list[TranscriptUpdate], StreamingTranscriber]:
    """Play the words through a transcriber in blocks of these lengths, over and over."""
    recogniser = recogniser or ScriptedRecogniser(words)
    transcriber = StreamingTranscriber(
        recogniser,
        ScriptedTokenizer(),
        **{"make_detector": lambda: ScriptedDetector(words), **options},
    )
    updates, at, i = [], 0, 0
    total = words[-1].end + SECOND if words else 5 * SECOND
    while at < total:
        n = round(block_seconds[i % len(block_seconds)] * SECOND)
        transcriber.accept(AudioBlock(at, np.zeros(n, np.float32)))
        if transcriber.ready:
            updates += transcriber.step()
        at, i = at + n, i + 1
    updates += transcriber.flush()
    assert transcriber.decoded_samples == at
    return updates, transcriber


def final_text(updates: Sequence[TranscriptUpdate]) -> str:
    return " ".join(update.stable for update in updates if update.final and update.stable)


def all_words(words: Sequence[Word]) -> str:
    return " ".join(f"w{word.token - 100}" for word in words)


def random_pauses(seed: int, n: int) -> list[float]:
    """Mostly fluent speech, some pauses between sentences, few long silences."""
    choice = random.Random(seed)
    return [
        choice.choices([choice.uniform(0, 0.3), choice.uniform(0.7, 1.5), choice.uniform(2, 20)], [40, 3, 1])[0]
        for _ in range(n)
    ]


blocks = st.lists(st.floats(0.1, 25), min_size=1, max_size=6)


@given(st.integers(0, 10**6), st.integers(1, 120), st.integers(0, 4), blocks)
def test_no_word_is_lost_or_doubled(seed: int, n: int, unstable: int, block_seconds: list[float]) -> None:
    words = speech(random_pauses(seed, n))
    recogniser = ScriptedRecogniser(words, unstable, seed)
    updates, _ = run(words, recogniser, block_seconds)
    assert final_text(updates) == all_words(words)


@given(st.integers(0, 10**6), st.integers(1, 120), st.integers(0, 8), blocks)
def test_stable_text_only_grows(seed: int, n: int, unstable: int, block_seconds: list[float]) -> None:
    words = speech(random_pauses(seed, n))
    updates, _ = run(words, ScriptedRecogniser(words, unstable, seed), block_seconds)
    shown: dict[int, str] = {}
    closed: set[int] = set()
    for update in updates:
        assert update.utterance not in closed, "an utterance that ended speaks again"
        assert update.stable.startswith(shown.get(update.utterance, ""))
        shown[update.utterance] = update.stable
        if update.final:
            closed.add(update.utterance)
            assert update.partial == ""
    assert closed == set(shown), "every utterance has a last update"


@given(st.integers(0, 10**6), blocks)
def test_the_prompt_stays_within_its_bound(seed: int, block_seconds: list[float]) -> None:
    words = speech([random.Random(seed).uniform(0, 0.3) for _ in range(150)])
    recogniser = ScriptedRecogniser(words, unstable=3, seed=seed)
    run(words, recogniser, block_seconds)
    assert recogniser.longest_prompt <= 30 * SECOND


@given(st.integers(1, 30), st.floats(20, 60), st.integers(0, 10**6))
def test_no_word_is_lost_if_the_detector_takes_music_for_speech(n: int, music: float, seed: int) -> None:
    random_ = random.Random(seed)
    words = speech([random_.uniform(0, 0.4) for _ in range(n)] + [music] + [0.1] * 30)
    updates, _ = run(words, make_detector=lambda: ScriptedDetector(words, ends=False))
    assert final_text(updates) == all_words(words)


@given(st.floats(0.2, 12), st.integers(0, 10**6))
def test_no_word_is_lost_whatever_the_chunk(chunk_seconds: float, seed: int) -> None:
    random_ = random.Random(seed)
    words = speech([random_.uniform(0, 0.4) for _ in range(150)])
    updates, _ = run(words, ScriptedRecogniser(words, 3, seed), config=StreamConfig(ChunkConfig(chunk_seconds)))
    assert final_text(updates) == all_words(words)


def test_speech_that_never_pauses_is_closed_after_thirty_seconds() -> None:
    words = speech([0.1] * 300)
    updates, _ = run(words)
    lengths = [u.end_sample - u.start_sample for u in updates if u.final]
    assert len(lengths) == 5, "two minutes"
    assert min(lengths[:-1]) >= 25 * SECOND and max(lengths) <= 33 * SECOND


def test_partial_text_stays_on_screen_when_long_speech_is_closed() -> None:
    words = speech([0.1] * 150)
    updates, _ = run(words, ScriptedRecogniser(words))
    closed = [i for i, update in enumerate(updates[:-1]) if update.final]
    assert closed
    for i in closed:
        assert updates[i].stable == updates[i - 1].stable
        partial, following = updates[i - 1].partial.split(), updates[i + 1]
        assert (following.stable + following.partial).split()[: len(partial)] == partial


def test_an_utterance_ends_at_a_pause() -> None:
    words = speech([1, 0.1, 0.1, 1.5, 0.1, 0.1, 5, 0.1])
    updates, _ = run(words)
    assert [u.stable for u in updates if u.final] == ["w0 w1 w2", "w3 w4 w5", "w6 w7"]


def test_a_new_prompt_begins_at_a_pause_once_the_old_one_holds_enough() -> None:
    words = speech([0.1] * 10 + [1.0] + [0.1] * 30 + [1.0] + [0.1] * 5)
    recogniser = ScriptedRecogniser(words)
    run(words, recogniser)
    first = next(p for p in recogniser.prefixes if p and p[-1] >= 110)
    assert first[0] == 100, "the second utterance goes on in the first one's prompt"
    third = [p for p in recogniser.prefixes if not p or p[-1] >= 141]
    assert third[0] == [] and min(p[0] for p in third if p) == 141, "the third begins a prompt of its own"


def test_silence_costs_no_step() -> None:
    _, transcriber = run(speech([120.0]))
    assert transcriber.statistics.n_steps <= 3


def test_a_word_that_the_detector_misses_is_heard_and_silence_beside_it_is_not_decoded() -> None:
    word = Word(100, 6 * SECOND, 7 * SECOND)
    sound = np.random.default_rng(0).standard_normal(12 * SECOND).astype(np.float32) * np.float32(0.001)
    sound[word.start : word.end] *= 30
    recogniser = ScriptedRecogniser([word])
    transcriber = StreamingTranscriber(recogniser, ScriptedTokenizer(), make_detector=lambda: ScriptedDetector([]))
    updates = []
    for at in range(0, len(sound), SECOND // 10):
        transcriber.accept(AudioBlock(at, sound[at : at + SECOND // 10]))
        if transcriber.ready:
            updates += transcriber.step()
    assert final_text(updates) == "w0"
    assert 5 * SECOND < recogniser.start_sample < word.start < word.end < recogniser.end_sample < 8 * SECOND


def test_no_sound_no_text() -> None:
    updates, transcriber = run([])
    assert updates == [] and transcriber.statistics.n_steps == 0


def test_a_token_limit_that_is_reached_is_reported() -> None:
    words = speech([0.1] * 20)
    recogniser = ScriptedRecogniser(words)
    recogniser.runaway = [7000 + i for i in range(500)]
    notices: list[str] = []
    run(words, recogniser, on_notice=notices.append)
    assert notices and "token limit" in notices[0]


def test_lost_sound_leaves_times_correct() -> None:
    words = [Word(100, 8000, 16000), Word(101, 17000, 24000), Word(102, 40 * SECOND, 41 * SECOND)]
    transcriber = StreamingTranscriber(
        ScriptedRecogniser(words),
        ScriptedTokenizer(),
        make_detector=lambda: ScriptedDetector(words),
    )
    updates = []
    for start in (0, 39 * SECOND):
        transcriber.accept(AudioBlock(start, np.zeros(3 * SECOND, np.float32)))
        updates += transcriber.step()
    updates += transcriber.flush()
    assert [u.stable for u in updates if u.final] == ["w0 w1", "w2"]
    assert [u for u in updates if u.final][-1].start_sample > 39 * SECOND


def test_text_before_a_requested_pause_becomes_stable() -> None:
    words = speech([0.5, 0.1, 0.1, 0.1])
    transcriber = StreamingTranscriber(
        ScriptedRecogniser(words),
        ScriptedTokenizer(),
        make_detector=lambda: ScriptedDetector(words),
    )
    transcriber.accept(AudioBlock(0, np.zeros(words[-1].end, np.float32)))
    updates = list(transcriber.flush())
    assert updates[-1].final and updates[-1].stable == all_words(words)


@pytest.mark.parametrize("rollback", [2, 5, 8])
def test_rollback_trades_stability_for_latency(rollback: int) -> None:
    words = speech([0.1] * 60)
    policy = CommitPolicy(Rule.ROLLBACK, rollback_tokens=rollback, hold_display=False)
    updates, _ = run(words, config=StreamConfig(ChunkConfig(2.0), commit=policy))
    partials = [len(u.partial.split()) for u in updates if not u.final][3:-2]
    assert min(partials) == rollback


def test_the_last_words_are_shown_soon_after_speech_and_the_endpoint_needs_no_step() -> None:
    words = speech([0.3] + [0.1] * 5 + [3.0, 0.1])
    updates, transcriber = run(words, block_seconds=(0.05,), config=StreamConfig(ChunkConfig(2.0)))
    shown = next(u for u in updates if u.text == "w0 w1 w2 w3 w4 w5")
    closed = next(u for u in updates if u.final)
    assert not shown.final and shown.end_sample <= words[5].end + 0.25 * SECOND
    assert closed.stable == shown.text and closed.end_sample == shown.end_sample
    assert transcriber.statistics.n_steps == len([u for u in updates if not u.final])


@pytest.mark.parametrize(("cost_seconds", "after_seconds"), [(0.1, (0.2, 0.5)), (0.6, (1.6, 2.1))])
def test_the_first_words_do_not_wait_for_a_long_chunk_unless_steps_are_expensive(
    cost_seconds: float, after_seconds: tuple[float, float]
) -> None:
    words = speech([0.3] + [0.1] * 30 + [3.0] + [0.1] * 30)
    config = StreamConfig(ChunkConfig(2.0, cost_seconds))
    updates, _ = run(words, block_seconds=(0.05,), config=config)
    for utterance, began in ((0, words[0].start), (1, words[31].start)):
        ends = [u.end_sample for u in updates if u.utterance == utterance and u.text and not u.final]
        assert after_seconds[0] <= (ends[0] - began) / SECOND <= after_seconds[1]
        assert min(np.diff(ends[:3])) >= 1.9 * SECOND, "what follows keeps to the chunk"


def test_short_chunks_for_first_words_end_if_no_word_comes() -> None:
    words = speech([0.3] + [0.02] * 40)
    config = StreamConfig(ChunkConfig(2.0, 0.1))
    updates, _ = run(words, ScriptedRecogniser([]), (0.05,), config=config)
    ends = [u.end_sample / SECOND for u in updates if not u.final]
    assert sum(end < 2.5 for end in ends) > 4
    assert min(np.diff([end for end in ends if end >= 2.5][:4])) >= 1.9


def test_speech_that_goes_on_after_a_breath_is_one_utterance() -> None:
    words = speech([0.3, 0.1, 0.1, 0.4, 0.1, 0.1])
    updates, _ = run(words, block_seconds=(0.05,))
    assert [u.stable for u in updates if u.final] == [all_words(words)]


@given(st.integers(0, 10**6), st.sampled_from(Rule), st.sampled_from([0.5, 1.0, 2.0, None]))
def test_no_rule_loses_a_word(seed: int, rule: Rule, chunk_seconds: float | None) -> None:
    words = speech(random_pauses(seed, 80))
    config = StreamConfig(ChunkConfig(chunk_seconds, 0.1), commit=CommitPolicy(rule))
    updates, _ = run(words, ScriptedRecogniser(words, 3, seed), (0.1,), config=config)
    assert final_text(updates) == all_words(words)


def settled(words: Sequence[Word], unstable: int = 0) -> tuple[list[TranscriptUpdate], list[UtteranceSettled]]:
    """A session that calls `settle` whenever no step is due."""
    config = StreamConfig(ChunkConfig(step_cost_seconds=0.1))
    transcriber = StreamingTranscriber(
        ScriptedRecogniser(words, unstable),
        ScriptedTokenizer(),
        config,
        settling=Settling(ScriptedRecogniser(words), config),
        make_detector=lambda: ScriptedDetector(words),
    )
    updates: list[TranscriptUpdate] = []
    results: list[UtteranceSettled] = []
    total = words[-1].end + SECOND
    for at in range(0, total, SECOND // 10):
        transcriber.accept(AudioBlock(at, np.zeros(SECOND // 10, np.float32)))
        if transcriber.ready:
            updates += transcriber.step()
        elif transcriber.n_unsettled:
            results.append(transcriber.settle())
    updates += transcriber.flush()
    while transcriber.n_unsettled:
        results.append(transcriber.settle())
    return updates, results


@given(st.integers(0, 10**6), st.integers(1, 120))
@example(seed=98, n=95)  # speech that ends exactly where its utterance is long enough to be split
def test_every_utterance_is_settled_once_and_no_word_is_lost_or_doubled(seed: int, n: int) -> None:
    words = speech(random_pauses(seed, n))
    updates, results = settled(words, unstable=3)
    assert [r.utterance for r in results] == [u.utterance for u in updates if u.final]
    assert " ".join(r.text for r in results if r.text) == all_words(words)


def test_utterances_that_were_cut_without_a_pause_are_settled_together_as_one() -> None:
    words = speech([1, *[0.1] * 160, 2, 0.1, 0.1])
    updates, results = settled(words)
    closed = [u for u in updates if u.final]
    assert len(closed) == 4 and closed[0].end_sample == closed[1].start_sample, "64 s without a pause are three"
    assert [(r.utterance, r.text) for r in results] == [(u.utterance, u.stable) for u in closed]
    assert [(r.start_sample, r.end_sample) for r in results] == [(u.start_sample, u.end_sample) for u in closed]


@pytest.mark.parametrize("chunk_seconds", [None, 2.0])
@pytest.mark.parametrize("seed", range(6))
def test_long_speech_is_cut_between_the_words_beside_a_short_pause(chunk_seconds: float | None, seed: int) -> None:
    choice = random.Random(seed)
    words = speech([choice.choices([choice.uniform(0, 0.1), choice.uniform(0.25, 0.4)], [5, 1])[0] for _ in range(120)])
    updates, _ = run(words, None, [0.1], config=StreamConfig(ChunkConfig(chunk_seconds)))
    first, second = [update for update in updates if update.final][:2]
    spoken = {f"w{word.token - 100}": word for word in words}
    assert 20 * SECOND <= first.end_sample < 30 * SECOND
    assert spoken[first.stable.split()[-1]].end <= first.end_sample <= spoken[second.stable.split()[0]].start


class Begun(ScriptedRecogniser):
    """Keeps where its prompts began."""

    def __init__(self, words: Sequence[Word]) -> None:
        super().__init__(words)
        self.begun: list[int] = []

    def begin(self, start_sample: int) -> None:
        self.begun.append(start_sample)
        super().begin(start_sample)


def test_the_second_pass_of_a_long_group_never_begins_or_ends_inside_its_words() -> None:
    words = speech([1, *[0.1] * 160])
    again = Begun(words)
    sound = np.zeros(words[-1].end + SECOND, np.float32)
    for word in words:
        sound[word.start : word.end] = 0.1
    config = StreamConfig(ChunkConfig(2.0))
    live = StreamingTranscriber(
        ScriptedRecogniser(words),
        ScriptedTokenizer(),
        config,
        settling=Settling(again, config),
        make_detector=lambda: ScriptedDetector(words),
    )
    for at in range(0, len(sound), SECOND // 10):
        live.accept(AudioBlock(at, sound[at : at + SECOND // 10]))
        list(live.step() if live.ready else ())
    list(live.flush())
    assert " ".join(live.settle().text for _ in range(live.n_unsettled)) == all_words(words)
    assert len(again.begun) >= 3 and again.longest_prompt <= 30 * SECOND
    assert not any(word.start < sample < word.end for sample in again.begun for word in words)


@given(st.integers(0, 10**6), st.integers(1, 120))
def test_words_have_times_in_order_within_their_utterance_and_near_the_truth(seed: int, n: int) -> None:
    words = speech(random_pauses(seed, n))
    updates, results = settled(words)
    truth = {f"w{word.token - 100}": word for word in words}
    for items in ([u for u in updates if u.final], results):
        placed = [word for item in items for word in item.words]
        assert [word.text for word in placed] == all_words(words).split()
        edges = [sample for word in placed for sample in (word.start_sample, word.end_sample)]
        assert edges == sorted(edges)
        far = [abs(word.end_sample - truth[word.text].end) for word in placed]
        assert max(far) <= 1.5 * SECOND and sum(far) / len(far) <= 0.4 * SECOND


class Undecided(ScriptedRecogniser):
    """Names another language in each of its first answers."""

    def __init__(self, words: Sequence[Word], n_guesses: int) -> None:
        super().__init__(words)
        self._n_guesses = n_guesses

    def decode(self, *arguments: Any, **named: Any) -> Decoded:
        decoded = super().decode(*arguments, **named)
        self._n_guesses -= 1
        return replace(decoded, header=(4 + self._n_guesses, 2, 3)) if self._n_guesses >= 0 else decoded


def test_a_language_counts_once_two_steps_have_text_in_it() -> None:
    words = speech([0.1] * 20)
    updates, _ = run(words, Undecided(words, n_guesses=5), (0.1,), config=StreamConfig(ChunkConfig(0.5)))
    assert all(not update.stable for update in updates[:5]), "each guess takes back the text of the one before"
    assert {update.language for update in updates} == {None, "English"}
    assert final_text(updates) == all_words(words)


class Misled(ScriptedRecogniser):
    """Returns the rest of a word first if the prefix ends in w2."""

    def decode(self, header: Sequence[int], prefix: Sequence[int], *rest: Any) -> Decoded:
        decoded = super().decode(header, prefix, *rest)
        if prefix and prefix[-1] == 102:
            return replace(decoded, tokens=[GeneratedToken(99, 9.0), *decoded.tokens])
        return decoded


class SaysNoMore(ScriptedRecogniser):
    """Ends its text after w5 where the prompt has that as text before."""

    def decode(self, header: Sequence[int], prefix: Sequence[int], *rest: Any) -> Decoded:
        decoded = super().decode(header, prefix, *rest)
        return replace(decoded, tokens=[]) if 105 in prefix else decoded


def test_an_utterance_that_the_model_leaves_out_is_heard_without_the_text_before_it() -> None:
    words = speech([0.5, *[0.1] * 5, 2.0, *[0.1] * 9])
    updates, _ = run(words, SaysNoMore(words), block_seconds=[0.2])
    assert final_text(updates) == all_words(words)
    seventh = next(update for update in updates if "w6" in (update.stable + update.partial).split())
    assert seventh.end_sample < words[6].start + 2 * SECOND


class WithHalfAWord(ScriptedTokenizer):
    """Token 99 is "ir", the rest of a word."""

    def decode(self, ids: Sequence[int]) -> str:
        return "".join("ir" if token == 99 else ScriptedTokenizer.decode(self, [token]) for token in ids)

    decode_whole_characters = decode


def test_an_utterance_never_begins_with_the_rest_of_a_word() -> None:
    words = speech([0.3, 0.1, 0.1, 1.2, 0.1, 0.1])
    transcriber = StreamingTranscriber(
        Misled(words),
        WithHalfAWord(),
        StreamConfig(ChunkConfig(0.5)),
        make_detector=lambda: ScriptedDetector(words),
    )
    updates: list[TranscriptUpdate] = []
    for at in range(0, words[-1].end + SECOND, SECOND // 10):
        transcriber.accept(AudioBlock(at, np.zeros(SECOND // 10, np.float32)))
        if transcriber.ready:
            updates += transcriber.step()
    updates += transcriber.flush()
    assert [u.stable for u in updates if u.final] == ["w0 w1 w2", "w3 w4 w5"]


class SecondPass(ScriptedRecogniser):
    """Says something else, with this margin."""

    def __init__(self, words: Sequence[Word], ids: Sequence[int], margin: float) -> None:
        super().__init__(words)
        self._said = [GeneratedToken(token, margin) for token in ids]

    def decode(self, header: Sequence[int], *rest: Any) -> Decoded:
        return Decoded(self._said, tuple(header), True)


class WithFullStop(ScriptedTokenizer):
    """Token 98 is a full stop."""

    def decode(self, ids: Sequence[int]) -> str:
        return "".join("." if token == 98 else ScriptedTokenizer.decode(self, [token]) for token in ids)

    decode_whole_characters = decode


class LateFullStops(ScriptedRecogniser):
    """Ends a sentence after every second word, but only once it has heard two more words."""

    def decode(self, header: Sequence[int], prefix: Sequence[int], *rest: Any) -> Decoded:
        spoken = [token for token in prefix if token >= 100]
        decoded = super().decode(header, spoken, *rest)
        said = [*prefix[-1:], *decoded.ids]
        ids: list[int] = []
        for i, token in enumerate(said):
            ids += [token] if i or not prefix else []
            if token >= 100 and token % 2 and len(said) > i + 2 and not (prefix and i == 0 and said[1] == 98):
                ids.append(98)
        return replace(decoded, tokens=[GeneratedToken(token, 9.0) for token in ids])


def test_no_utterance_begins_with_the_punctuation_of_the_one_before() -> None:
    words = speech([0.3, *[0.1] * 250])
    updates: list[TranscriptUpdate] = []
    live = StreamingTranscriber(
        LateFullStops(words),
        WithFullStop(),
        StreamConfig(ChunkConfig(0.5)),
        make_detector=lambda: ScriptedDetector(words),
    )
    for at in range(0, words[-1].end + SECOND, SECOND // 10):
        live.accept(AudioBlock(at, np.zeros(SECOND // 10, np.float32)))
        updates += live.step() if live.ready else ()
    updates += live.flush()
    texts = [u.stable for u in updates if u.final]
    assert len(texts) >= 3 and not any(text.startswith(".") for text in texts)
    assert " ".join(texts).replace(".", "") == all_words(words) and " ".join(texts).count(".") >= 120


@pytest.mark.parametrize(
    ("ids", "margin", "text"),
    [
        ([190], 10.0, "w90"),  # live text has a margin of 9
        ([190], 8.5, "w0 w1 w2"),
        ([98, 190], 20.0, "w0 w1 w2"),
        ([], 9.5, "w0 w1 w2"),
    ],
)
def test_settled_text_replaces_live_text_only_if_the_model_is_surer_of_it_and_it_begins_with_a_word(
    ids: list[int], margin: float, text: str
) -> None:
    words = speech([0.3, 0.1, 0.1])
    settling = Settling(SecondPass(words, ids, margin), StreamConfig())
    tokenizer, detector = WithFullStop(), ScriptedDetector(words)
    live = StreamingTranscriber(ScriptedRecogniser(words), tokenizer, settling=settling, make_detector=lambda: detector)
    live.accept(AudioBlock(0, np.zeros(4 * SECOND, np.float32)))
    list(live.flush())
    assert live.settle().text == text


def loud_at(words: Sequence[Word], n_samples: int) -> np.ndarray:
    """[n_samples] of quiet noise, louder where the words are."""
    sound = (np.random.default_rng(0).standard_normal(n_samples) * 0.001).astype(np.float32)
    for word in words:
        sound[word.start : word.end] *= 30
    return sound


def heard(transcriber: StreamingTranscriber, sound: np.ndarray, block: int) -> list[TranscriptUpdate]:
    """All updates for this sound, to the end."""
    updates: list[TranscriptUpdate] = []
    for at in range(0, len(sound), block):
        transcriber.accept(AudioBlock(at, sound[at : at + block]))
        if transcriber.ready:
            updates += transcriber.step()
    return [*updates, *transcriber.flush()]


class NeedsContext(ScriptedRecogniser):
    """Recognises a word once 0.3 s follow it."""

    def decode(self, header: Any, prefix: Sequence[int], draft: Any, budget: int, pad_samples: int = 0) -> Decoded:
        until = self.end_sample + pad_samples - 3 * SECOND // 10
        ids = [w.token for w in self._words if self.start_sample <= w.start and w.end <= min(until, self.end_sample)]
        return Decoded([GeneratedToken(n, 9.0) for n in ids if not prefix or n > prefix[-1]], HEADER, True)


@pytest.mark.parametrize("first", [0.7, 0.8, 0.9])
def test_the_last_word_that_the_detector_missed_is_heard_where_listening_ends_with_a_step(first: float) -> None:
    words = [word for word in speech([first, *[0.1] * 8], word_seconds=0.3) if word.end <= 4 * SECOND]
    config = StreamConfig(ChunkConfig(None, 1.0))
    deaf = StreamingTranscriber(
        NeedsContext(words), ScriptedTokenizer(), config, make_detector=lambda: ScriptedDetector([])
    )
    assert final_text(heard(deaf, loud_at(words, 4 * SECOND), 2 * SECOND)) == all_words(words)


class MisledByMusic(ScriptedRecogniser):
    """Unsure of music after 4 s, and misled by w2 before it, so that it writes the rest of a word first."""

    def decode(self, header: Any, prefix: Sequence[int], draft: Any, budget: int, pad_samples: int = 0) -> Decoded:
        ids = [w.token for w in self._words if self.start_sample <= w.start and w.end <= self.end_sample]
        tokens = [GeneratedToken(n, 9.0) for n in ids if not prefix or n > prefix[-1]]
        if self.end_sample > 4 * SECOND:
            rest = [GeneratedToken(99, 0.5)] if prefix and prefix[-1] == 102 else []
            tokens = [*rest, *tokens, *(GeneratedToken(190 + i, 0.5) for i in range(4))]
        return Decoded(tokens, HEADER, True)


def test_text_that_is_given_up_leaves_none_of_the_utterance_before_in_its_place() -> None:
    words = speech([0.3, 0.1, 0.1, 1.2])
    sound = loud_at(words, 9 * SECOND)
    sound[words[-1].end : 7 * SECOND] *= 20  # music
    transcriber = StreamingTranscriber(
        MisledByMusic(words),
        WithHalfAWord(),
        StreamConfig(ChunkConfig(None, 0.05)),
        make_detector=lambda: ScriptedDetector(words),
    )
    finals = [update.stable for update in heard(transcriber, sound, 800) if update.final]
    assert finals == ["w0 w1 w2", "w3"]


GERMAN = (4, 2, 3)


class TwoLanguages(ScriptedTokenizer):
    def decode(self, ids: Sequence[int]) -> str:
        names = {HEADER: "language English<asr_text>", GERMAN: "language German<asr_text>"}
        return names.get(tuple(ids)) or super().decode(ids)


class GermanLater(ScriptedRecogniser):
    """What begins after 10 s is German."""

    def decode(self, header: Any, prefix: Sequence[int], *rest: Any) -> Decoded:
        named = tuple(header) if prefix else GERMAN if self.start_sample > 10 * SECOND else HEADER
        return replace(super().decode(HEADER, prefix, *rest), header=named)


def test_an_utterance_of_one_word_has_its_own_language() -> None:
    words = [Word(100 + i, start * SECOND, start * SECOND + 6400) for i, start in enumerate((1, 20, 30))]
    transcriber = StreamingTranscriber(
        GermanLater(words),
        TwoLanguages(),
        StreamConfig(ChunkConfig(None, 0.05)),
        make_detector=lambda: ScriptedDetector(words),
    )
    updates = heard(transcriber, loud_at(words, 33 * SECOND), 800)
    assert [update.language for update in updates if update.final] == ["English", "German", "German"]


def test_text_that_the_second_pass_takes_in_another_language_has_that_language() -> None:
    class Again(ScriptedRecogniser):
        def decode(self, *arguments: Any) -> Decoded:
            said = [GeneratedToken(190 + n, 10.5) for n in range(10)]
            return Decoded(said, GERMAN, True)

    words = speech([0.3, *[0.1] * 9])
    config, aligned = StreamConfig(ChunkConfig(None, 0.05)), []
    transcriber = StreamingTranscriber(
        ScriptedRecogniser(words),
        TwoLanguages(),
        config,
        settling=Settling(Again(words), config),
        align=lambda sound, text, language: (aligned.append(language), ())[1],
        make_detector=lambda: ScriptedDetector(words),
    )
    heard(transcriber, loud_at(words, words[-1].end + SECOND), 800)
    settled = transcriber.settle()
    assert settled.text.startswith("w90") and settled.language == "German" and aligned == ["German"]
