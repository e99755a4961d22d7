"""Dropped objects are freed, also in an app that runs all day."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from livecap.tui.app import THOROUGH_EVERY, Tidying


class Screen:
    """A cycle of references, like widgets and their parents."""

    def __init__(self) -> None:
        self.child = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_objects_dropped_after_a_freeze_are_freed_by_a_full_collection() -> None:
    tidy, screen = Tidying(), Screen()
    known = weakref.ref(screen)
    tidy()
    del screen
    for _ in range(THOROUGH_EVERY - 2):
        tidy()
    assert known() is not None, "frozen until then"
    tidy()
    assert known() is None
