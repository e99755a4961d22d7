"""Evaluation during training: greedy text and its word error rate, without a KV cache."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from livecap.eval.alignment import edit_distance
from livecap.eval.wer import normalise
from training.network import Thinker, log_mel, mel_filters, n_tokens
from training.prompts import Prompts
from training.voices import Spoken

PAD_SECONDS = 0.5


@torch.no_grad()
def transcribe(network: Thinker, vocabulary: object, waves: list[np.ndarray], most: int = 80) -> list[str]:
    """The greedy text of each wave, decoded as one batch without a KV cache."""
    network.eval()
    prompts = Prompts(vocabulary)
    padded = [np.concatenate([w, np.zeros(round(PAD_SECONDS * 16_000), np.float32)]) for w in waves]
    samples = [len(w) for w in padded]
    batch = torch.zeros(len(padded), max(samples))
    for row, wave in zip(batch, padded, strict=True):
        row[: len(wave)] = torch.from_numpy(wave)
    table = network.model.embed_tokens
    device = table.weight.device
    filters, window = torch.tensor(mel_filters(), device=device), torch.hann_window(400, device=device)
    mel, frames = log_mel(batch.to(device), samples, filters, window)
    embeddings, _ = network.audio_tower(mel, frames)
    before, after = (table(torch.tensor(ids, device=device)) for ids in (prompts.before(), prompts.after))
    sequences: list[Tensor] = [
        torch.cat([before, embeddings[i, : n_tokens(frames[i])], after]) for i in range(len(padded))
    ]
    said: list[list[int]] = [[] for _ in padded]
    open_rows = list(range(len(padded)))
    for _ in range(most):
        if not open_rows:
            break
        length = max(len(sequences[i]) for i in open_rows)
        x = torch.stack(
            [torch.nn.functional.pad(sequences[i], (0, 0, 0, length - len(sequences[i]))) for i in open_rows]
        )
        hidden = network.model(x)
        ends = torch.tensor([len(sequences[i]) - 1 for i in open_rows])
        tokens = network.logits(hidden[torch.arange(len(open_rows)), ends]).argmax(-1).tolist()
        for i, token in zip(list(open_rows), tokens, strict=True):
            if token == prompts.end:
                open_rows.remove(i)
                continue
            said[i].append(token)
            sequences[i] = torch.cat([sequences[i], table(torch.tensor([token], device=device))])
    texts = [vocabulary.decode(ids, skip_special_tokens=False) for ids in said]  # type: ignore[attr-defined]
    return [text.partition("<asr_text>")[2] for text in texts]


def word_errors(network: Thinker, vocabulary: object, test: list[Spoken]) -> tuple[float, list[str]]:
    """The word error rate, and the decoded texts."""
    heard: list[str] = []
    for at in range(0, len(test), 20):
        waves = [spoken.samples.astype(np.float32) / 32768 for spoken in test[at : at + 20]]
        heard += transcribe(network, vocabulary, waves)
    wrong = sum(edit_distance(normalise(s.text), normalise(text)) for s, text in zip(test, heard, strict=True))
    return wrong / sum(len(normalise(spoken.text)) for spoken in test), heard
