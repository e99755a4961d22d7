"""The second pass: what it costs, and how the text of a group of utterances is shared out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from livecap.audio_in.source import AudioBlock
from livecap.model.checkpoint.load import LoadedModel, load
from livecap.model.generate import GeneratedToken
from livecap.stream.config import ChunkConfig, PromptConfig, StreamConfig
from livecap.stream.recent_sound import RecentSound
from livecap.stream.recogniser import Decoded, ModelRecogniser
from livecap.stream.settling import MOST_WAITING, ClosedUtterance, Settling
from livecap.stream.token_text import TokenText
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE, Word
from tests.stream.scripted import HEADER, ScriptedRecogniser, ScriptedTokenizer
from tests.stream.scripted import Word as ScriptedWord

DICTATION = Path(__file__).parents[2] / "recordings" / "dictation.flac"


class Watched(ModelRecogniser):
    """Keeps all that it decoded."""

    def __init__(self, loaded: LoadedModel, config: StreamConfig) -> None:
        super().__init__(loaded, "", None, config)
        self.decodes: list[Decoded] = []

    def decode(self, *arguments: Any, **named: Any) -> Decoded:
        self.decodes.append(super().decode(*arguments, **named))
        return self.decodes[-1]


def test_live_text_is_the_draft_of_the_second_pass_header_included() -> None:
    tiny = load("tiny")
    config = StreamConfig(ChunkConfig(2, 0.1), PromptConfig(settled_prompt_seconds=0))  # a prompt for each utterance
    again = Watched(tiny, config)
    live = StreamingTranscriber(
        ModelRecogniser(tiny, "", None, config), tiny.tokenizer, config, settling=Settling(again, config)
    )
    sound, _ = soundfile.read(DICTATION, dtype="float32", frames=16 * SAMPLE_RATE)
    for start in range(0, len(sound), 1600):
        live.accept(AudioBlock(start, sound[start : start + 1600]))
        list(live.step() if live.ready else ())
    list(live.flush())
    said = [live.settle().text for _ in range(live.n_unsettled)]
    assert len(said) == len(again.decodes) >= 4 and all(said)
    n_tokens = sum(len(decoded.ids) + len(decoded.header) for decoded in again.decodes)
    assert sum(decoded.n_passes for decoded in again.decodes) < n_tokens / 4


def closed(index: int, words: list[str], margin: float = 5.0) -> ClosedUtterance:
    """An utterance of one second with these words, one token each."""
    ids = tuple(100 + int(word[1:]) for word in words)
    start = index * SAMPLE_RATE
    placed = tuple(Word(word, start, start + 1, "step") for word in words)
    margins = (margin,) * len(ids)
    return ClosedUtterance(index, start, start + SAMPLE_RATE, (), HEADER, ids, margins, placed, (), "English")


class Says(ScriptedRecogniser):
    """Says these tokens, whatever it hears."""

    def __init__(self, tokens: list[GeneratedToken], header: tuple[int, ...] = HEADER) -> None:
        super().__init__([])
        self._tokens, self._header = tokens, header

    def decode(self, *arguments: Any, **named: Any) -> Decoded:
        return Decoded(self._tokens, self._header, True)


def settled_ids(
    live: list[str], tokens: list[GeneratedToken], header: tuple[int, ...] = HEADER, margin: float = 5.0
) -> list[int]:
    settling, sound = Settling(Says(tokens, header), StreamConfig()), RecentSound()
    sound.append(0, np.zeros(SAMPLE_RATE, np.float32))
    settling.add(closed(0, live, margin))
    return [id - 100 for id in settling.settle(sound, TokenText(ScriptedTokenizer())).ids]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        ([(0, 9), (7, 9), (2, 9)], [0, 7, 2]),
        ([(0, 5), (7, 4), (2, 5)], [0, 1, 2]),  # no surer of another word
        ([(0, 9), (7, 5.5), (2, 9)], [0, 1, 2]),  # surer of its neighbours only
        ([(0, 5), (7, 6.1), (2, 5)], [0, 1, 2]),  # no surer with its neighbours
        ([(0, 9), (1, 9), (1, 9), (1, 9), (2, 9)], [0, 1, 2]),  # a word that is repeated
        ([(0, 9), (0, 9), (1, 9), (2, 9)], [0, 1, 2]),  # the first one
        ([(0, 5), (2, 5)], [0, 1, 2]),  # no surer that there is none
        ([(0, 9), (2, 9)], [0, 1, 2]),  # live, the model was sure of the word that is missing
        ([(0, 5), (1, 5), (7, 1), (2, 5)], [0, 1, 2]),  # an additional word
        ([(0, 9), (1, 9), (7, 9), (2, 9)], [0, 1, 7, 2]),
        ([(7, 9), (8, 9), (0, 9), (1, 9), (9, 1), (2, 9)], [7, 8, 0, 1, 2]),  # not sure of the last additional word
        ([(6, 1), (0, 1), (1, 9), (2, 9), (7, 20)], [0, 1, 2, 7]),  # each place by itself
    ],
)
def test_words_replace_live_ones_only_where_the_model_is_surer_of_them(
    heard: list[tuple[int, float]], text: list[int]
) -> None:
    tokens = [GeneratedToken(100 + n, margin) for n, margin in heard]
    assert settled_ids(["w0", "w1", "w2"], tokens) == text  # live margins are 5


@pytest.mark.parametrize(
    ("live", "margin", "heard", "text"),
    [
        ([0, 1, 2, 3], 1.0, [(0, 9), (3, 9)], [0, 3]),  # live, the model was not sure of the words between
        ([0, 1, 2, 3], 1.5, [(0, 9), (3, 9)], [0, 1, 2, 3]),
        ([0, 1, 1, 1, 1, 1, 3], 5.0, [(0, 9), (7, 9), (3, 9)], [0, 1, 1, 1, 1, 1, 3]),  # one word instead of five
        ([0, 1, 1, 1, 1, 1, 3], 1.0, [(0, 9), (7, 9), (3, 9)], [0, 7, 3]),
        ([0, 1, 3], 5.0, [(0, 9), *[(7, 9)] * 8, (3, 9)], [0, 1, 3]),  # text that repeats itself
        ([0, 1, 3], 5.0, [(0, 9), (7, 9), (8, 9), (3, 9)], [0, 7, 8, 3]),
    ],
)
def test_the_second_pass_neither_drops_words_that_were_sure_nor_says_more_than_the_sound_holds(
    live: list[int], margin: float, heard: list[tuple[int, float]], text: list[int]
) -> None:
    tokens = [GeneratedToken(100 + n, sure) for n, sure in heard]
    assert settled_ids([f"w{n}" for n in live], tokens, margin=margin) == text


@pytest.mark.parametrize(("margin", "text"), [(4.0, [0, 1, 2]), (6.0, [7, 1, 8])])
def test_text_in_another_language_is_taken_whole_or_not_at_all(margin: float, text: list[int]) -> None:
    tokens = [GeneratedToken(107, margin), GeneratedToken(101, margin), GeneratedToken(108, margin)]
    assert settled_ids(["w0", "w1", "w2"], tokens, header=(4, 5)) == text


@pytest.mark.parametrize("heard", [[(50, 5.2)], [(50 + n % 2, 5.2) for n in range(40)], [(50, 9.0)]])
def test_text_in_another_language_neither_drops_sure_words_nor_says_more_than_the_sound_holds(
    heard: list[tuple[int, float]],
) -> None:
    tokens = [GeneratedToken(100 + n, margin) for n, margin in heard]
    assert settled_ids([f"w{n}" for n in range(12)], tokens, header=(4, 5)) == list(range(12))


@pytest.mark.parametrize(("margin", "text"), [(2.0, []), (4.0, [7, 8])])
def test_sound_without_live_text_gets_words_only_where_the_model_is_sure(margin: float, text: list[int]) -> None:
    assert settled_ids([], [GeneratedToken(107, margin), GeneratedToken(108, margin)]) == text


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=2, max_size=4),
    st.lists(st.integers(0, 4), max_size=20),
)
def test_the_settled_words_of_a_group_are_shared_out_in_order_and_none_is_left_empty(
    live: list[list[int]], heard: list[int]
) -> None:
    settling, sound = Settling(Says([GeneratedToken(100 + n, 9.0) for n in heard]), StreamConfig()), RecentSound()
    sound.append(0, np.zeros(5 * SAMPLE_RATE, np.float32))
    for i, numbers in enumerate(live):
        assert settling.n_waiting == 0, "a group is settled once it is complete"
        settling.add(closed(i, [f"w{n}" for n in numbers], 1.0), goes_on=i + 1 < len(live))
    assert settling.n_waiting == len(live)
    texts = [settling.settle(sound, TokenText(ScriptedTokenizer())).ids for _ in live]  # type: ignore[arg-type]
    assert all(texts) and settling.n_waiting == 0
    said = [id - 100 for ids in texts for id in ids]
    if len(heard) <= 4:  # more may be more than the sound holds
        assert said == heard or said == [n for numbers in live for n in numbers]  # where it would leave one empty
    if heard == [n for numbers in live for n in numbers]:
        assert [len(ids) for ids in texts] == [len(numbers) for numbers in live]


def test_a_group_without_end_keeps_its_live_text_and_the_next_one_is_settled() -> None:
    settling = Settling(ScriptedRecogniser([]), StreamConfig())
    for i in range(30):
        settling.add(closed(i, ["w1"]), goes_on=True)
        assert settling.n_waiting == 0
    assert settling.needs_from is None, "its sound is released"
    settling.add(closed(30, ["w1"]))
    assert settling.n_waiting == 0
    settling.add(closed(31, ["w1"]))
    assert settling.n_waiting == 1


@pytest.mark.parametrize("waiting", [range(1, MOST_WAITING + 2), range(2, 4)], ids=["too many wait", "not added"])
def test_no_words_are_heard_of_an_utterance_that_keeps_its_live_text(waiting: range) -> None:
    at = [i * SAMPLE_RATE for i in range(MOST_WAITING + 2)]
    words = [ScriptedWord(100 + i, start + SAMPLE_RATE // 4, start + SAMPLE_RATE // 2) for i, start in enumerate(at)]
    settling, sound = Settling(ScriptedRecogniser(words), StreamConfig()), RecentSound()
    sound.append(0, np.zeros(len(words) * SAMPLE_RATE, np.float32))
    text = TokenText(ScriptedTokenizer())  # type: ignore[arg-type]
    settling.add(closed(0, ["w0"]))
    settled = [settling.settle(sound, text)]
    for i in waiting:
        settling.add(closed(i, [f"w{i}"]))
    assert settling.needs_from == 2 * SAMPLE_RATE
    settled += [settling.settle(sound, text) for _ in range(settling.n_waiting)]
    assert [each.utterance.index for each in settled] == [0, *range(2, waiting.stop)]
    assert [each.ids for each in settled] == [each.utterance.ids for each in settled]


def test_sound_that_was_no_speech_ends_a_group() -> None:
    settling = Settling(ScriptedRecogniser([]), StreamConfig())
    settling.add(closed(0, ["w1"]), goes_on=True)
    settling.end_group()
    assert settling.n_waiting == 1


class Tells(Says):
    """Says when each token starts: 0.1 s after the one before."""

    def starts_of(self, header: Any, prefix: Any, ids: Any, pad_samples: int, after_sample: int) -> Any:
        return after_sample + np.arange(len(ids) + 1) * (SAMPLE_RATE // 10)


def test_the_words_of_a_group_start_where_the_recogniser_says_and_kept_live_words_between_them() -> None:
    tokens = [GeneratedToken(100 + n, margin) for n, margin in [(0, 5), (1, 5), (9, 1), (3, 5), (4, 5), (5, 5)]]
    settling, sound = Settling(Tells(tokens), StreamConfig()), RecentSound()
    sound.append(0, np.zeros(2 * SAMPLE_RATE, np.float32))
    settling.add(closed(0, ["w0", "w1", "w2"]), goes_on=True)
    settling.add(closed(1, ["w3", "w4", "w5"]))
    first, second = (settling.settle(sound, TokenText(ScriptedTokenizer())) for _ in range(2))  # type: ignore[arg-type]
    assert (first.ids, second.ids) == ((100, 101, 102), (103, 104, 105))
    assert [list(settled.starts / SAMPLE_RATE) for settled in (first, second)] == [  # type: ignore[operator]
        [0.0, 0.1, 0.2, 1.0],
        [0.3, 0.4, 0.5, 0.6],
    ]
