"""Export of the trained network as a checkpoint in the official layout, BF16."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from training.network import AUDIO, TEXT, TrainedModel, exported
from training.vocabulary import ADDED, SIZE, copy_vocabulary, load_vocabulary

LANGUAGES = """Chinese English Cantonese Arabic German French Spanish Portuguese Indonesian Italian Korean Russian
Thai Vietnamese Japanese Turkish Hindi Malay Dutch Swedish Danish Finnish Polish Czech Filipino
Persian Greek Romanian Hungarian Macedonian""".split()

MAX_CONTEXT_TOKENS = 32
"""Names and terms in longer lists mislead it: it was trained with three words (`python -m benchmarks.context`)."""


def export(work: Path, folder: Path, others: list[tuple[Path, float]]) -> None:
    """Write the averaged weights of the last training checkpoint, the vocabulary and all configuration files.

    Args:
        others: folders of exported weights to average with, each with its share; the checkpoint has the rest. Weights
            that training started from make the average better in noise and in the voices they knew. Their networks may
            have fewer layers.
    """
    vocabulary = load_vocabulary(work / "vocabulary")
    network = TrainedModel(vocabulary.get_vocab_size())
    state = torch.load(work / "checkpoint.pt", map_location="cpu", weights_only=True)
    network.load_state_dict(state["average"])
    folder.mkdir(parents=True, exist_ok=True)
    share = 1 - sum(share for _, share in others)
    weights = {f"thinker.{name}": value * share for name, value in network.thinker.state_dict().items()}
    for other, share in others:
        for name, value in exported(other, network).items():
            weights[f"thinker.{name}"] += value * share
    rounded = {name: value.to(torch.bfloat16).contiguous() for name, value in weights.items()}
    save_file(rounded, folder / "model.safetensors", metadata={"format": "pt"})
    copy_vocabulary(work / "vocabulary", folder)
    for name, content in configurations().items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")


def configurations() -> dict[str, object]:
    """The content of each configuration file, by its name."""
    ids = {token: SIZE + i for i, token in enumerate(ADDED)}
    end = [ids["<|endoftext|>"], ids["<|im_end|>"]]
    audio = {
        **AUDIO, "model_type": "qwen3_asr_audio_encoder", "activation_function": "gelu", "conv_chunksize": 500,
        "max_source_positions": 1500, "scale_embedding": False, "dropout": 0, "attention_dropout": 0,
        "activation_dropout": 0, "num_hidden_layers": AUDIO["encoder_layers"],
    }  # fmt: skip
    text = {
        **TEXT, "model_type": "qwen3", "vocab_size": SIZE + len(ADDED), "hidden_act": "silu", "attention_bias": False,
        "tie_word_embeddings": True, "max_position_embeddings": 65536,
        "rope_scaling": {
            "interleaved": True, "mrope_interleaved": True, "mrope_section": [12, 10, 10],
            "rope_type": "default", "type": "default",
        },
    }  # fmt: skip
    thinker = {
        "model_type": "qwen3_asr_thinker", "audio_config": audio, "text_config": text, "dtype": "bfloat16",
        "audio_start_token_id": ids["<|audio_start|>"], "audio_end_token_id": ids["<|audio_end|>"],
        "audio_token_id": ids["<|audio_pad|>"], "initializer_range": 0.02, "tie_word_embeddings": True,
    }  # fmt: skip
    return {
        "config.json": {
            "architectures": ["Qwen3ASRForConditionalGeneration"],
            "model_type": "qwen3_asr",
            "support_languages": LANGUAGES,
            "thinker_config": thinker,
            "max_context_tokens": MAX_CONTEXT_TOKENS,
            "transformers_version": "4.57.6",
        },
        "generation_config.json": {"do_sample": False, "eos_token_id": end, "pad_token_id": end[0]},
        "preprocessor_config.json": {
            "chunk_length": 30, "dither": 0.0, "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 128,
            "hop_length": 160, "n_fft": 400, "n_samples": 480000, "nb_max_frames": 3000, "padding_side": "right",
            "padding_value": 0.0, "processor_class": "Qwen3ASRProcessor", "return_attention_mask": True,
            "sampling_rate": 16000,
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("training/.work"))
    parser.add_argument("--to", type=Path, default=Path("livecap/tiny"))
    parser.add_argument(
        "--average", nargs=2, action="append", default=[], metavar=("FOLDER", "SHARE"),
        help="average with the weights of an exported folder, which get this share, such as 0.25; can be repeated",
    )  # fmt: skip
    options = parser.parse_args()
    export(options.work, options.to, [(Path(folder), float(share)) for folder, share in options.average])


if __name__ == "__main__":
    main()
