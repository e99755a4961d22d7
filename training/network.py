"""Qwen3-ASR in PyTorch, with the official names, for training only. livecap runs `livecap/model/`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

AUDIO = {
    "d_model": 224, "encoder_layers": 14, "encoder_attention_heads": 7, "encoder_ffn_dim": 768,
    "downsample_hidden_size": 32, "output_dim": 256, "num_mel_bins": 128, "n_window": 50, "n_window_infer": 800,
}  # fmt: skip
TEXT = {
    "hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
    "intermediate_size": 512, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
}  # fmt: skip
CTC_SLOTS = 4
CHARACTERS = " abcdefghijklmnopqrstuvwxyz'"
"""Class 0 is the blank; character i is class i + 1."""


def n_tokens(frames: int) -> int:
    """The number of audio embeddings for this many mel frames."""
    full, rest = divmod(frames, 100)
    for _ in range(3):
        rest = (rest + 1) // 2
    return 13 * full + rest


def sinusoids(length: int, width: int) -> Tensor:
    scale = math.log(10000) / (width // 2 - 1)
    angles = torch.arange(length)[:, None] * torch.exp(-scale * torch.arange(width // 2))[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class EncoderAttention(nn.Module):
    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        B, L, D = x.shape
        q, k, v = (p(x).view(B, L, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        # Written out, because on a CPU it is faster than PyTorch's kernel at these lengths.
        scores = q @ k.mT * q.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -1e4)
        out = scores.softmax(-1).to(v.dtype) @ v
        return self.out_proj(out.transpose(1, 2).reshape(B, L, D))


class EncoderLayer(nn.Module):
    def __init__(self, a: dict) -> None:
        super().__init__()
        d = a["d_model"]
        self.self_attn = EncoderAttention(d, a["encoder_attention_heads"])
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.fc1, self.fc2 = nn.Linear(d, a["encoder_ffn_dim"]), nn.Linear(a["encoder_ffn_dim"], d)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), mask)
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class AudioTower(nn.Module):
    def __init__(self, a: dict) -> None:
        super().__init__()
        c, d = a["downsample_hidden_size"], a["d_model"]
        self.conv2d1 = nn.Conv2d(1, c, 3, 2, 1)
        self.conv2d2 = nn.Conv2d(c, c, 3, 2, 1)
        self.conv2d3 = nn.Conv2d(c, c, 3, 2, 1)
        self.conv_out = nn.Linear(c * 16, d, bias=False)
        self.layers = nn.ModuleList(EncoderLayer(a) for _ in range(a["encoder_layers"]))
        self.ln_post = nn.LayerNorm(d)
        self.proj1, self.proj2 = nn.Linear(d, d), nn.Linear(d, a["output_dim"])
        self.register_buffer("positions", sinusoids(13, d), persistent=False)
        self.window_chunks = a["n_window_infer"] // 100

    def forward(self, mel: Tensor, frames: list[int]) -> tuple[Tensor, Tensor]:
        """mel [B, 128, T] with T a multiple of 100, zero beyond each row's frames.

        Returns (embeddings [B, tokens, output_dim], features of the last layer [B, tokens, d_model]).
        """
        B, _, T = mel.shape
        n_chunks = T // 100
        chunks = mel.view(B, 128, n_chunks, 100).permute(0, 2, 1, 3).reshape(-1, 1, 128, 100)
        used = torch.tensor([c * 100 < frames[b] for b in range(B) for c in range(n_chunks)], device=mel.device)
        x = chunks[used].to(memory_format=torch.channels_last)
        x = F.gelu(self.conv2d1(x))
        x = F.gelu(self.conv2d2(x))
        x = F.gelu(self.conv2d3(x))
        x = self.conv_out(x.permute(0, 3, 1, 2).flatten(2)) + self.positions
        tokens = x.new_zeros(B * n_chunks, 13, x.shape[-1])
        tokens[used] = x
        n_windows = -(-n_chunks // self.window_chunks)
        span = min(n_chunks, self.window_chunks)
        pad = n_windows * span - n_chunks
        tokens = tokens.view(B, n_chunks * 13, -1)
        if pad:
            tokens = F.pad(tokens, (0, 0, 0, pad * 13))
        x = tokens.reshape(B * n_windows, span * 13, -1)
        counts = torch.tensor([n_tokens(f) for f in frames], device=mel.device)
        place = torch.arange(n_windows * span * 13, device=mel.device).view(n_windows, -1)
        valid = (place[None] < counts[:, None, None]).view(B * n_windows, -1)
        valid[:, 0] = True
        mask = None if bool(valid.all()) else valid[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        features = self.ln_post(x)
        out = self.proj2(F.gelu(self.proj1(features)))
        return out.reshape(B, n_windows * span * 13, -1), features.reshape(B, n_windows * span * 13, -1)


class RMSNorm(nn.Module):
    def __init__(self, d: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(d)), eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Attention(nn.Module):
    def __init__(self, t: dict) -> None:
        super().__init__()
        h, d = t["hidden_size"], t["head_dim"]
        self.n_q, self.n_kv, self.d = t["num_attention_heads"], t["num_key_value_heads"], d
        self.q_proj = nn.Linear(h, self.n_q * d, bias=False)
        self.k_proj = nn.Linear(h, self.n_kv * d, bias=False)
        self.v_proj = nn.Linear(h, self.n_kv * d, bias=False)
        self.o_proj = nn.Linear(self.n_q * d, h, bias=False)
        self.q_norm, self.k_norm = RMSNorm(d, t["rms_norm_eps"]), RMSNorm(d, t["rms_norm_eps"])

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
        B, L, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(B, L, self.n_q, self.d)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(B, L, self.n_kv, self.d)).transpose(1, 2)
        v = self.v_proj(x).view(B, L, self.n_kv, self.d).transpose(1, 2)
        q, k = _rotate(q, rope), _rotate(k, rope)
        repeat = self.n_q // self.n_kv
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        # Written out, because at these lengths it is twice as fast on a CPU as PyTorch's causal kernel, in both passes.
        future = torch.ones(L, L, dtype=torch.bool, device=x.device).triu(1)
        out = (q @ k.mT * self.d**-0.5).masked_fill(future, -1e4).softmax(-1).to(v.dtype) @ v
        return self.o_proj(out.transpose(1, 2).reshape(B, L, -1))


def _rotate(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    a, b = x.chunk(2, -1)
    return x * rope[0] + torch.cat([-b, a], -1) * rope[1]


class MLP(nn.Module):
    def __init__(self, t: dict) -> None:
        super().__init__()
        h, f = t["hidden_size"], t["intermediate_size"]
        self.gate_proj, self.up_proj = nn.Linear(h, f, bias=False), nn.Linear(h, f, bias=False)
        self.down_proj = nn.Linear(f, h, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    def __init__(self, t: dict) -> None:
        super().__init__()
        self.self_attn, self.mlp = Attention(t), MLP(t)
        self.input_layernorm = RMSNorm(t["hidden_size"], t["rms_norm_eps"])
        self.post_attention_layernorm = RMSNorm(t["hidden_size"], t["rms_norm_eps"])

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rope)
        return x + self.mlp(self.post_attention_layernorm(x))


class TextModel(nn.Module):
    def __init__(self, t: dict, vocab: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab, t["hidden_size"])
        self.layers = nn.ModuleList(DecoderLayer(t) for _ in range(t["num_hidden_layers"]))
        self.norm = RMSNorm(t["hidden_size"], t["rms_norm_eps"])
        self.theta, self.d = t["rope_theta"], t["head_dim"]

    def forward(self, x: Tensor) -> Tensor:
        frequency = self.theta ** (-torch.arange(0, self.d, 2, dtype=torch.float64) / self.d)
        angles = (torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequency[None]).repeat(1, 2)
        rope = (angles.cos().float().to(x.device), angles.sin().float().to(x.device))
        for layer in self.layers:
            x = layer(x, rope)
        return self.norm(x)


class Thinker(nn.Module):
    """The whole network, with the output head tied to the embedding table."""

    def __init__(self, vocab: int, audio: dict = AUDIO, text: dict = TEXT) -> None:
        super().__init__()
        self.audio_tower = AudioTower(audio)
        self.model = TextModel(text, vocab)

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.model.embed_tokens.weight.T


class TrainedModel(nn.Module):
    """The network with two additions for training: a character head on the encoder, and a blank among the text tokens.

    With the blank, the decoder's embedding table reads audio embeddings as text tokens (CTC). The audio embeddings then
    become similar to the spoken tokens, and the decoder only has to learn to copy them, which is much easier.
    """

    def __init__(self, vocab: int) -> None:
        super().__init__()
        self.thinker = Thinker(vocab)
        self.ctc = nn.Linear(AUDIO["d_model"], CTC_SLOTS * (len(CHARACTERS) + 1))
        self.blank = nn.Parameter(torch.zeros(TEXT["hidden_size"]))
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02 if isinstance(module, nn.Embedding) else 0.04)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)


def log_mel(waves: Tensor, samples: list[int], filters: Tensor, window: Tensor) -> tuple[Tensor, list[int]]:
    """Waves [B, n], zero after each row's samples, to mel [B, 128, T], T a multiple of 100, and each row's frames.

    Args:
        filters: `mel_filters`, [201, 128] for all rows or [B, 201, 128] for each.
    """
    frames = [n // 160 for n in samples]
    spectrum = torch.stft(waves, 400, 160, window=window, center=True, pad_mode="reflect", return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(-1)[..., :-1]
    mel = torch.log10(torch.clamp(torch.matmul(filters.mT, power), min=1e-10))
    T = -(-max(frames) // 100) * 100
    mel = F.pad(mel, (0, max(0, T - mel.shape[-1])))[..., :T]
    keep = (torch.arange(T)[None] < torch.tensor(frames)[:, None]).to(mel.device)
    loudest = mel.masked_fill(~keep[:, None], -20.0).amax((1, 2), keepdim=True)
    mel = (torch.maximum(mel, loudest - 8) + 4) / 4
    return mel * keep[:, None], frames


def mel_edges() -> np.ndarray:
    """The edges of the 128 mel filters, [130] float64 in Hz: filter i begins at edge i, peaks at edge i + 1 and ends at
    edge i + 2."""
    mel = np.linspace(0, 15 + np.log(8) * 27 / np.log(6.4), 130)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def time_stretched(mel: Tensor, frames: list[int], factor: float) -> tuple[Tensor, list[int]]:
    """Stretch a log-mel spectrogram in time; the pitch stays.

    Args:
        mel: [B, 128, T], 10 ms per frame, zero after each row's frames.
        frames: the frames of each row.
        factor: the new duration divided by the old; above 1 is slower speech.

    Returns:
        The longer or shorter spectrogram [B, 128, T'], T' a multiple of 100, and each row's frames.
    """
    longer = F.interpolate(mel, size=round(mel.shape[-1] * factor), mode="linear")
    counts = [max(1, int(n * factor) - 1) for n in frames]  # without the frame that is interpolated with the padding
    T = -(-max(counts) // 100) * 100
    longer = F.pad(longer, (0, max(0, T - longer.shape[-1])))[..., :T]
    keep = (torch.arange(T)[None] < torch.tensor(counts)[:, None]).to(mel.device)
    return longer * keep[:, None], counts


WARPED_BELOW = 5500.0
"""Hz. What lies above is stretched or pressed into the rest of the band."""


def mel_filters(warp: float = 1.0) -> np.ndarray:
    """The mel filters [201, 128]: triangles from 0 to 8000 Hz, with Slaney's scale and normalisation.

    Args:
        warp: moves all frequencies by this factor, as a shorter (above 1) or longer vocal tract does.
    """
    edges = mel_edges()
    bins = np.linspace(0, 8000, 201)
    rest = (8000 - WARPED_BELOW * warp) / (8000 - WARPED_BELOW)
    bins = np.where(bins <= WARPED_BELOW, bins * warp, 8000 - (8000 - bins) * rest)
    rising = (bins[:, None] - edges[None, :-2]) / np.diff(edges)[None, :-1]
    falling = (edges[None, 2:] - bins[:, None]) / np.diff(edges)[None, 1:]
    out: np.ndarray = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[None]
    return out.astype(np.float32)


def exported(folder: Path, network: TrainedModel) -> dict[str, Tensor]:
    """The weights that `export.py` wrote, in float32, for a network that may be deeper.

    Its additional layers are spread over the depth and add nothing at first, since their last matrices are zero: the
    deeper network begins by saying what the exported one says.
    """
    weights = {
        name.removeprefix("thinker."): value.float() for name, value in load_file(folder / "model.safetensors").items()
    }
    wanted = network.thinker.state_dict()
    for stack, last_matrices in (
        ("audio_tower.layers.", ("self_attn.out_proj", "fc2")),
        ("model.layers.", ("self_attn.o_proj", "mlp.down_proj")),
    ):
        n_old, n_new = (
            1 + max(int(name[len(stack) :].split(".")[0]) for name in names if name.startswith(stack))
            for names in (weights, wanted)
        )
        places = [int((i + 1) * n_new / n_old) - 1 for i in range(n_old)]
        old = {name: weights.pop(name) for name in list(weights) if name.startswith(stack)}
        for name, value in old.items():
            number, _, rest = name[len(stack) :].partition(".")
            weights[f"{stack}{places[int(number)]}.{rest}"] = value
        for name in wanted:
            if name.startswith(stack) and name not in weights:
                is_last = any(f".{part}." in name for part in last_matrices)
                weights[name] = torch.zeros_like(wanted[name]) if is_last else wanted[name].clone()
    return weights
