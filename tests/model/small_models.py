"""Small random networks, seeded, for rules that hold whatever the weights are."""

from livecap.model.audio_encoder import AudioEncoder
from livecap.model.backend import mx
from livecap.model.config import AudioConfig, ModelConfig, TextConfig
from livecap.model.qwen3_asr import Qwen3ASR

on_cpu = False
"""Whether they compute by NumPy; see conftest.py."""

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


def small_encoder(seed: int = 0, **changes: int) -> AudioEncoder:
    mx.random.seed(seed)
    encoder = AudioEncoder(AudioConfig(**{**AUDIO, **changes}))
    mx.eval(encoder.parameters())
    if on_cpu:
        encoder.to_cpu()
    return encoder


def small_model(seed: int = 0, eos: tuple[int, ...] = (38, 39), **text_changes: object) -> Qwen3ASR:
    mx.random.seed(seed)
    config = ModelConfig(audio=AudioConfig(**AUDIO), text=TextConfig(**{**TEXT, **text_changes}), eos_token_ids=eos)
    model = Qwen3ASR(config)
    mx.eval(model.parameters())
    if on_cpu:
        model.to_cpu()
    return model
