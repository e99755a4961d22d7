"""A word gets the speaker whose turns cover most of it."""

from hypothesis import given
from hypothesis import strategies as st

from livecap.speakers.turns import Turn, assign
from livecap.transcript import Word


def words(*spans: tuple[int, int]) -> list[Word]:
    return [Word("a", start, end, "aligned") for start, end in spans]


def test_the_speaker_who_covers_most_of_a_word_gets_it():
    turns = [Turn(0, 100, 0), Turn(100, 200, 1)]
    assert assign(words((0, 50), (60, 130), (80, 180), (150, 200)), turns) == [0, 0, 1, 1]


def test_several_turns_of_one_speaker_count_together():
    turns = [Turn(0, 30, 0), Turn(30, 70, 1), Turn(70, 100, 0)]
    assert assign(words((0, 100)), turns) == [0]


def test_the_speaker_of_the_word_before_goes_on_where_turns_overlap():
    turns = [Turn(0, 200, 1), Turn(90, 400, 0)]
    assert assign(words((0, 80), (100, 180), (210, 300), (100, 180)), turns) == [1, 1, 0, 0]


def test_a_word_beside_all_turns_gets_the_nearest():
    turns = [Turn(100, 200, 0), Turn(300, 400, 1)]
    assert assign(words((0, 50), (210, 240), (270, 290), (500, 500)), turns) == [0, 0, 1, 1]


def test_words_without_turns_are_of_one_speaker():
    assert assign(words((0, 10), (10, 20)), []) == [0, 0]
    assert assign([], [Turn(0, 10, 3)]) == []


TURNS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 30), st.integers(0, 3)),
    min_size=1,
    max_size=8,
).map(lambda many: [Turn(start, start + length, speaker) for start, length, speaker in many])
SPANS = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 20)), max_size=6)


@given(TURNS, SPANS)
def test_the_answer_is_that_of_counting_samples(turns, spans):
    listed = words(*((start, start + length) for start, length in spans))
    for word, speaker in zip(listed, assign(listed, turns), strict=True):

        def score(of: int, word: Word = word) -> tuple[int, int]:
            mine = [turn for turn in turns if turn.speaker == of]
            samples = range(word.start_sample, word.end_sample)
            covered = sum(any(turn.start <= sample < turn.end for turn in mine) for sample in samples)
            return covered, -min(max(0, t.start - word.end_sample, word.start_sample - t.end) for t in mine)

        best = max(score(turn.speaker) for turn in turns)
        covered, distance = score(speaker)
        assert covered == best[0]
        assert covered or distance == best[1]
