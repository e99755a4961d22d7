"""A real `livecap serve` with `tiny`, as the tests of the server have it."""

from tests.serve.conftest import tiny_server

__all__ = ["tiny_server"]
