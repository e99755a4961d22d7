"""Windows become one course of who speaks, and that becomes pieces of one person each."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from livecap.speakers.networks import FRAME_HOP
from livecap.speakers.pieces import Piece, solo_pieces, stretches, with_one
from livecap.speakers.windows import FIRST_EDGE, STEP_FRAMES, WINDOW_FRAMES, joined, sample_of

ORDERS = [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)]


def course(text: str) -> np.ndarray:
    """Who speaks: a character a frame, `a`, `b`, `c`, `A` for a and b together, `.` for nobody."""
    people = {"a": [1, 0, 0], "b": [0, 1, 0], "c": [0, 0, 1], "A": [1, 1, 0], ".": [0, 0, 0]}
    return np.array([people[letter] for letter in text], bool)


def numbered(active: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.arange(3), active.shape)


@given(st.integers(1, 5), st.data())
def test_people_keep_their_chain_however_a_window_numbers_them(n_windows, data):
    n = (n_windows - 1) * STEP_FRAMES + WINDOW_FRAMES
    truth = course("".join("abcA."[i // 40 % 5] for i in range(n)))
    orders = [data.draw(st.sampled_from(ORDERS)) for _ in range(n_windows)]
    heard = [truth[i * STEP_FRAMES : i * STEP_FRAMES + WINDOW_FRAMES][:, order] for i, order in enumerate(orders)]
    active, chains = joined(iter(heard), sample_of(n))
    assert len(active) == n
    person = {int(chain): truth_column for truth_column, chain in enumerate(chains[0][np.argsort(orders[0])])}
    for frame in range(0, n, 7):
        assert {person[int(c)] for c in chains[frame][active[frame]]} == set(np.flatnonzero(truth[frame]).tolist())


def test_someone_new_has_a_new_chain():
    heard = [course("a" * WINDOW_FRAMES), course("." * (WINDOW_FRAMES - 200) + "a" * 200)]
    active, chains = joined(iter(heard), sample_of(STEP_FRAMES + WINDOW_FRAMES))
    assert chains[0][active[0]] != chains[-1][active[-1]]


def test_frames_after_the_end_are_left_out():
    heard = [course("a" * WINDOW_FRAMES)]
    for n_samples, n_frames in ((0, 0), (FIRST_EDGE, 0), (FIRST_EDGE + 1, 1), (FIRST_EDGE + FRAME_HOP + 1, 2)):
        assert len(joined(iter(heard), n_samples)[0]) == n_frames


def test_a_pause_or_another_person_ends_a_piece_and_a_short_pause_does_not():
    active = course("aa.aa...aabbAbb.aa")
    found = solo_pieces(active, numbered(active), pause=2, longest=100)
    assert found == [Piece(0, 5, 0), Piece(8, 10, 0), Piece(10, 12, 1), Piece(13, 15, 1), Piece(16, 18, 0)]


def test_pieces_in_a_stretch_are_joined_and_what_reaches_out_by_little_stays_with_them():
    pieces = [Piece(0, 4, 0), Piece(10, 14, 1), Piece(14, 18, 1), Piece(20, 24, 0)]
    assert with_one(pieces, 10, 17, 2) == ([pieces[0], Piece(10, 18, 1), pieces[3]], 1)
    assert with_one(pieces, 12, 16, 2) == (
        [pieces[0], Piece(10, 12, 1), Piece(12, 16, 1), Piece(16, 18, 1), pieces[3]],
        2,
    )


def test_pieces_with_a_pause_or_another_person_between_them_stay_as_they_are():
    pieces = [Piece(0, 4, 0), Piece(5, 9, 0), Piece(9, 12, 1), Piece(20, 21, 0)]
    for start, end in ((0, 9), (5, 12), (19, 24), (30, 40), (30, 30)):
        assert with_one(pieces, start, end, 2) == (pieces, None)


def test_a_long_piece_is_divided_evenly():
    active = course("a" * 11)
    found = solo_pieces(active, numbered(active), pause=2, longest=4)
    assert [(piece.start, piece.end) for piece in found] == [(0, 3), (3, 7), (7, 11)]


def test_stretches_hold_everything_that_is_said():
    active = course(".aAAb.bc")
    found = stretches(active, numbered(active))
    assert found == [Piece(1, 4, 0), Piece(2, 5, 1), Piece(6, 7, 1), Piece(7, 8, 2)]
