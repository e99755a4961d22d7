"""What holds for the network holds for both arithmetics: MLX's, and NumPy's where there is only a processor."""

from collections.abc import Iterator

import pytest

from tests.model import small_models


@pytest.fixture(scope="module", params=["mlx", "cpu"])
def arithmetic(request: pytest.FixtureRequest) -> Iterator[None]:
    """By which small models and the networks of the fixtures compute in a module's tests."""
    small_models.on_cpu = request.param == "cpu"
    yield
    small_models.on_cpu = False
