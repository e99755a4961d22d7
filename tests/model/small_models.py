"""Small random networks, seeded, for rules that hold for any weights."""

from collections.abc import Generator

from livecap.model.backend import mx
from livecap.model.cache import PromptCache
from livecap.model.config import AudioConfig, ModelConfig, TextConfig
from livecap.model.generate import GeneratedToken, generate_step, verify
from livecap.model.network import Network
from livecap.model.numpy.network import NumpyQwen3ASR
from livecap.model.qwen3_asr import Qwen3ASR
from livecap.model.text.prompt import Prompt

by_numpy = False
"""True if they compute with NumPy; see conftest.py."""

AUDIO = dict(
    num_mel_bins=128,
    d_model=16,
    encoder_layers=2,
    encoder_attention_heads=2,
    encoder_ffn_dim=24,
    output_dim=16,
    downsample_hidden_size=4,
)
TEXT = dict(
    vocab_size=40,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
)


def small_mlx_model(
    seed: int = 0,
    eos: tuple[int, ...] = (38, 39),
    audio: dict[str, int] | None = None,
    **text_changes: object,
) -> Qwen3ASR:
    """A random MLX network with these changes to the sizes above."""
    mx.random.seed(seed)
    config = ModelConfig(AudioConfig(**(AUDIO | (audio or {}))), TextConfig(**(TEXT | text_changes)), eos_token_ids=eos)
    model = Qwen3ASR(config)
    mx.eval(model.parameters())
    return model


def small_model(
    seed: int = 0, eos: tuple[int, ...] = (38, 39), audio: dict[str, int] | None = None, **text_changes: object
) -> Network:
    """The same network in the implementation under test."""
    return in_tested_arithmetic(small_mlx_model(seed, eos, audio, **text_changes))


def in_tested_arithmetic(model: Qwen3ASR) -> Network:
    """`model` in the implementation under test. Uses `model` up if that is NumPy's."""
    if by_numpy:
        return NumpyQwen3ASR(model)
    model.join()
    return model


def greedy(
    model: Network, cache: PromptCache, prompt: Prompt, n: int, ahead: bool = False
) -> Generator[GeneratedToken, None, None]:
    """At most `n` tokens after the prompt."""
    _, token = verify(model, cache, prompt, 0)
    return generate_step(model, cache, token, n, ahead)
