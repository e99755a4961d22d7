"""What the GPU decides: the data type, guesses in a round, memory limits. Descriptions are those of real Macs."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from livecap.engine import Engine, EngineSettings
from livecap.model import chip as chips
from livecap.model.backend import mx
from livecap.model.checkpoint import load as loading
from livecap.model.checkpoint.find import resolve
from livecap.model.checkpoint.weights import read_weights
from livecap.model.chip import Chip, described, set_limits
from tests.model.small_models import small_mlx_model

GB = 1 << 30


def mac(architecture: str, gigabytes: int, resident: int) -> Chip:
    """A Mac with so much memory, of which Metal recommends a part."""
    sizes = {"memory_size": gigabytes * GB, "max_recommended_working_set_size": resident * GB}
    return described({"architecture": architecture, **sizes})


M1, M2_PRO, M3_MAX = mac("applegpu_g13g", 8, 5), mac("applegpu_g14s", 32, 21), mac("applegpu_g15s", 64, 48)
CUDA = described({"architecture": "sm_90", "device_name": "NVIDIA H100", "memory_size": 128 * GB})


@pytest.mark.parametrize(
    ("chip", "stored", "computed"),
    [
        (M1, mx.bfloat16, mx.float16),
        (M2_PRO, mx.bfloat16, mx.float16),
        (M3_MAX, mx.bfloat16, mx.bfloat16),
        (CUDA, mx.bfloat16, mx.bfloat16),
        (M1, mx.float16, mx.float16),
        (M1, mx.float32, mx.float32),
        (Chip(on_cpu=True), mx.bfloat16, mx.float32),
    ],
)
def test_bfloat16_is_replaced_only_where_the_chip_has_no_units_for_it(
    chip: Chip, stored: mx.Dtype, computed: mx.Dtype
) -> None:
    assert chip.dtype_for(stored) == computed


def test_a_model_is_loaded_in_the_type_of_the_chip_and_in_another_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "this_chip", lambda: M1)
    monkeypatch.setattr(chips.mx, "set_wired_limit", lambda n_bytes: None)
    assert loading.load("tiny").dtype == mx.float16, "the file has bfloat16"
    with Engine.load(EngineSettings("tiny", dtype="bfloat16")) as engine:
        assert engine.loaded.dtype == mx.bfloat16
        engine.change(EngineSettings("tiny", dtype="float32"))
        assert engine.loaded.dtype == mx.float32


def test_a_model_whose_numbers_are_too_large_for_float16_runs_in_bfloat16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "large"
    shutil.copytree(resolve("tiny"), folder)
    weights = read_weights(folder)
    matrix = weights["thinker.model.layers.0.mlp.down_proj.weight"]
    weights["thinker.model.layers.0.mlp.down_proj.weight"] = matrix * (6e4 / mx.abs(matrix).max().item())
    assert mx.isfinite(weights["thinker.model.layers.0.mlp.down_proj.weight"].astype(mx.float16)).all().item()
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    monkeypatch.setattr(loading, "this_chip", lambda: M1)
    monkeypatch.setattr(chips.mx, "set_wired_limit", lambda n_bytes: None)
    loaded = loading.load(folder)
    assert loaded.dtype == mx.bfloat16 and loading.TOO_LARGE in loaded.notices
    assert loading.load(folder, dtype=mx.float16).dtype == mx.float16, "on request"


def test_guesses_in_a_round_follow_the_kernels_of_the_chip() -> None:
    rounds = [chip.most_guessed(packed) for chip in (M1, M2_PRO, M3_MAX, CUDA) for packed in (False, True)]
    assert rounds == [8, 2, 8, 2, 4, 4, 8, 8]


def test_a_small_mac_keeps_little_and_the_model_stays_resident(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    wired: list[int] = []
    monkeypatch.setattr(chips.mx, "set_cache_limit", kept.append)
    monkeypatch.setattr(chips.mx, "set_wired_limit", wired.append)
    for chip in (M1, M3_MAX, CUDA):
        set_limits(chip)
    assert kept == [160 << 20, 512 << 20, 512 << 20]
    assert wired == [5 * GB, 48 * GB], "CUDA has no such limit"


def test_a_residual_beyond_float16_is_limited_in_the_encoder() -> None:
    """Each of two layers adds 60,000 to one number of the residual stream; float16 ends at 65,504."""
    model = small_mlx_model()
    spike = mx.array([6e4 if i == 3 else 0.0 for i in range(16)])
    for layer in model.audio_tower.layers:
        layer.fc2.bias = spike
    tokens = mx.random.normal((20, 16))
    exact = np.array(model.encode(tokens))
    model.load_weights([(name, array.astype(mx.float16)) for name, array in model.parameter_arrays().items()])
    half = np.array(model.encode(tokens.astype(mx.float16)).astype(mx.float32))
    assert np.abs(half - exact).max() < 0.02 * np.abs(exact).max()
