"""A screen that is left open all day keeps nothing that was dropped."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from livecap.tui.app import THOROUGH_EVERY, Tidying


class Screen:
    """Widgets know their parents, and these their children."""

    def __init__(self) -> None:
        self.child = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_dropped_after_a_tidying_is_freed_by_a_thorough_one() -> None:
    tidy, screen = Tidying(), Screen()
    known = weakref.ref(screen)
    tidy()
    del screen
    for _ in range(THOROUGH_EVERY - 2):
        tidy()
    assert known() is not None, "so long it is looked at by no collection"
    tidy()
    assert known() is None
