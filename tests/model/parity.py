"""The parity fixtures: a small set next to the tests, and the full one if the checkout has it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from livecap.model.backend import mx
from livecap.model.checkpoint.load import load_model, read_config
from livecap.model.checkpoint.quantized import find_quantized
from livecap.model.checkpoint.weights import read_weights
from livecap.model.mel import clamp_and_scale, log_mel_slice, n_mel_frames
from livecap.model.network import Network, convolve_mel, encode_windows
from livecap.model.qwen3_asr import Qwen3ASR, sanitize
from livecap.model.text.prompt import Prompt
from tests.model import small_models

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[3] / "shared"
FULL_SET = SHARED / "parity"
CASES = {DATA: ("a_0p7s", "b_3p3s", "c_11s"), FULL_SET: ("a_0p7s", "b_3p3s", "c_11s", "d_27s")}
PROMPTS = ("plain", "context_forced")

# the largest absolute differences that the fixtures' README allows in float32 on the CPU
MEL = 2e-4
CONV_TOKENS = 5e-5
EMBEDDINGS_FROM_MEL = 1e-5
EMBEDDINGS_FROM_AUDIO = 2e-4
LOGITS_FROM_EMBEDDINGS = 3e-4
LOGITS_FROM_AUDIO = 3e-3


def set_params() -> list:
    """The sets as pytest parameters; the full one is skipped if it is missing."""
    missing = pytest.mark.skipif(not FULL_SET.is_dir(), reason="this checkout has no full parity set")
    return [pytest.param(DATA, id="small"), pytest.param(FULL_SET, id="full", marks=missing)]


def case_params() -> list:
    """Every case of every set."""
    return [
        pytest.param(Case(p.values[0], name), id=f"{p.id}-{name}", marks=p.marks)
        for p in set_params()
        for name in CASES[p.values[0]]
    ]


@dataclass(frozen=True)
class Case:
    folder: Path
    name: str

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return _arrays(self.folder / "asr" / f"{self.name}.npz")

    @property
    def samples(self) -> np.ndarray:
        return self.arrays["wave_int16"].astype(np.float32) / 32768.0

    @property
    def prompts(self) -> list[str]:
        return [name for name in PROMPTS if f"{name}.input_ids" in self.arrays]

    def prompt(self, name: str, embeddings: mx.array, audio_token_id: int = 492) -> Prompt:
        return prompt_of_ids(self.arrays[f"{name}.input_ids"].tolist(), embeddings, audio_token_id)

    def logits(self, name: str) -> np.ndarray:
        """The last rows of the official logits, as many as are stored."""
        full, last8 = f"{name}.logits", f"{name}.logits_last8"
        return self.arrays[full] if full in self.arrays else self.arrays[last8]


def prompt_of_ids(ids: list[int], embeddings: mx.array, audio_token_id: int) -> Prompt:
    """A prompt of given token ids, with names for its audio tokens."""
    n_audio = 0
    keys: list = []
    for token_id in ids:
        if token_id == audio_token_id:
            keys.append(("audio", n_audio))
            n_audio += 1
        else:
            keys.append(token_id)
    return Prompt(tuple(keys), embeddings)


@cache
def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def network(folder: Path = DATA, name: str = "asr") -> Network:
    """The network of a fixture, in the implementation under test."""
    return _network(folder / name, small_models.by_numpy)


@cache
def _network(path: Path, by_numpy: bool) -> Network:
    return small_models.in_tested_arithmetic(load_model(path, dtype=mx.float32))


def official_mel(samples: np.ndarray) -> mx.array:
    """Scaled log-mel frames [n_frames, 128] of a whole clip, as the official front end makes them."""
    frames = log_mel_slice(samples, 0, n_mel_frames(len(samples)))
    return clamp_and_scale(frames, frames.max().item())


def encoded(model: Network, mel: mx.array) -> mx.array:
    """Audio embeddings [n_tokens, output_dim] of a whole clip's scaled mel."""
    return encode_windows(model, convolve_mel(model, mel))


def farthest(ours: mx.array | np.ndarray, theirs: np.ndarray) -> float:
    """The largest absolute difference. The shapes must be equal."""
    ours = np.array(ours)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max(initial=0))


def bits_of(folder: Path) -> set[int]:
    """The numbers of bits to which a checkpoint packs its weights."""
    config = read_config(folder)
    weights = sanitize(read_weights(folder), tied=config.text.tie_word_embeddings)
    return {layer.bits for layer in find_quantized(Qwen3ASR(config), weights).values()}
