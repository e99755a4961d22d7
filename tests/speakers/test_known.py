"""The voice of a speaker is taken from where nobody else speaks."""

from hypothesis import given
from hypothesis import strategies as st

from livecap.speakers.known import alone
from livecap.speakers.turns import Turn

TURNS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9), st.integers(0, 2)), max_size=9).map(
    lambda many: [Turn(start, start + length, speaker) for start, length, speaker in many]
)


@given(TURNS)
def test_a_speaker_is_alone_where_no_turn_of_another_is(turns: list[Turn]) -> None:
    own, others = (
        {sample for turn in turns if (turn.speaker == 0) is mine for sample in range(turn.start, turn.end)}
        for mine in (True, False)
    )
    found = {sample for turn in alone(turns, 0) for sample in range(turn.start, turn.end)}
    assert found == (own - others or own)
