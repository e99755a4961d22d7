"""Word error rates of `tiny` on held-out sentences: training voices, unseen voices, noise."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from livecap.bench.wer import edit_distance, normalise
from training.network import Thinker, TrainedModel, log_mel, mel_filters, n_tokens
from training.prompts import Prompts
from training.synth import read_shard
from training.vocabulary import load_vocabulary
from training.voices import Spoken

PAD_SECONDS = 0.5


@torch.no_grad()
def transcribe(network: Thinker, vocabulary: object, waves: list[np.ndarray], most: int = 80) -> list[str]:
    """Greedy text of each wave; all prompts grow together, without a cache."""
    network.eval()
    prompts = Prompts(vocabulary)
    padded = [np.concatenate([w, np.zeros(round(PAD_SECONDS * 16_000), np.float32)]) for w in waves]
    samples = [len(w) for w in padded]
    batch = torch.zeros(len(padded), max(samples))
    for row, wave in zip(batch, padded, strict=True):
        row[: len(wave)] = torch.from_numpy(wave)
    mel, frames = log_mel(batch, samples, torch.tensor(mel_filters()), torch.hann_window(400))
    embeddings, _ = network.audio_tower(mel, frames)
    table = network.model.embed_tokens
    before, after = table(torch.tensor(prompts.before())), table(torch.tensor(prompts.after))
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
            sequences[i] = torch.cat([sequences[i], table(torch.tensor([token]))])
    texts = [vocabulary.decode(ids, skip_special_tokens=False) for ids in said]  # type: ignore[attr-defined]
    return [text.partition("<asr_text>")[2] for text in texts]


def word_errors(
    network: Thinker, vocabulary: object, test: list[Spoken], noise_db: float | None = None
) -> tuple[float, list[str]]:
    """(word error rate, what was heard)."""
    random = np.random.default_rng(3)
    heard: list[str] = []
    for at in range(0, len(test), 20):
        waves = []
        for spoken in test[at : at + 20]:
            wave = spoken.samples.astype(np.float32) / 32768
            if noise_db is not None:
                level = float(np.sqrt(np.mean(wave**2)))
                wave = wave + random.standard_normal(len(wave)).astype(np.float32) * level * 10 ** (-noise_db / 20)
            waves.append(wave)
        heard += transcribe(network, vocabulary, waves)
    n = sum(len(normalise(spoken.text)) for spoken in test)
    wrong = sum(
        edit_distance(normalise(spoken.text), normalise(text)) for spoken, text in zip(test, heard, strict=True)
    )
    return wrong / n, heard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("training/.work"))
    parser.add_argument("--to", type=Path, default=Path("training/results.json"))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    vocabulary = load_vocabulary(options.work / "vocabulary")
    network = TrainedModel(vocabulary.get_vocab_size())
    state = torch.load(options.work / "checkpoint.pt", weights_only=True)
    network.load_state_dict(state["average"])
    results = {
        "parameters": sum(p.numel() for p in network.thinker.parameters()),
        "training_minutes": round(state["spent"] / 60, 1),
        "steps": state["step"],
        "hours_heard": round(state["sound"] / 3600, 1),
        "hours_of_speech": round(len(list((options.work / "shards").glob("*.pickle"))) / 3, 1),
    }
    for voices in ("seen", "unseen"):
        test = read_shard(options.work / f"held_out_{voices}.pickle")
        results[f"sentences_{voices}"] = len(test)
        for name, noise_db in (("clean", None), ("noise_20_db", 20.0), ("noise_10_db", 10.0)):
            results[f"wer_{voices}_{name}"] = round(word_errors(network.thinker, vocabulary, test, noise_db)[0], 4)
    options.to.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
