"""ModelThread: calls in order, and none that waits for a thread that has ended."""

import pytest

from livecap.errors import ModelError
from livecap.model_thread import ModelThread


def test_a_call_after_the_end_is_an_error_and_not_waited_for() -> None:
    thread = ModelThread()
    done: list[str] = []
    assert thread.run(lambda: 1) == 1
    thread.submit(lambda: done.append("call"))
    thread.stop(last=lambda: done.append("last"))
    thread.stop(last=lambda: done.append("again"))
    assert done == ["call", "last"]
    with pytest.raises(ModelError, match="closed"):
        thread.submit(lambda: 2).result(10)
