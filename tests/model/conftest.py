"""Rules of the network hold for both implementations: MLX's, and NumPy's for machines without a GPU."""

from collections.abc import Iterator

import pytest

from tests.model import small_models


@pytest.fixture(scope="module", params=["mlx", "numpy"])
def arithmetic(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs a module's tests once with each implementation of small models and of the parity networks."""
    small_models.by_numpy = request.param == "numpy"
    yield
    small_models.by_numpy = False
