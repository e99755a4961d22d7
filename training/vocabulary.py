"""A small byte-level BPE in the official file layout."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from training.sentences import training_sentences

SIZE = 1200
FILES = ("vocab.json", "merges.txt", "tokenizer_config.json")
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PLAIN = ["<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"]
PLAIN += ["<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>"]
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ADDED += [f"<|{what}_{side}|>" for what in ("object_ref", "box", "quad", "vision") for side in ("start", "end")]
ADDED += ["<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", *PLAIN, "<|audio_start|>", "<|audio_end|>"]
ADDED += ["<tts_pad>", "<tts_text_bos>", "<tts_text_eod>", "<tts_text_bos_single>", "<non_speech>", "<|audio_pad|>"]
ADDED += [f"<blank{i}>" for i in range(1, 28)] + ["<asr_text>"]
"""The 62 added tokens of the released tokenizer, in its order."""
NOT_SPECIAL = {*PLAIN, "<non_speech>", "<asr_text>"}


def train_vocabulary(corpus: Path, folder: Path, work: Path) -> None:
    """Train the vocabulary; write FILES."""
    tokenizer = _empty(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[], show_progress=False
    )
    lines = list(itertools.islice(training_sentences(corpus, 5, work), 40_000))
    lines += ["system", "user", "assistant", "language English", "language None"] * 400
    tokenizer.train_from_iterator(lines, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.model.save(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    assert sorted(vocabulary.values()) == list(range(SIZE)), "ids have holes"
    added = {
        str(SIZE + i): {
            "content": token, "lstrip": False, "normalized": False, "rstrip": False,
            "single_word": False, "special": token not in NOT_SPECIAL,
        }
        for i, token in enumerate(ADDED)
    }  # fmt: skip
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n")


def copy_vocabulary(folder: Path, to: Path) -> None:
    """Copy FILES: weights are worth something only with the vocabulary that they were trained with."""
    to.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(folder / name, to / name)


def load_vocabulary(folder: Path) -> Tokenizer:
    """The tokenizer, with the added tokens at the ids after the vocabulary."""
    tokenizer = _empty(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=t not in NOT_SPECIAL) for t in ADDED])
    assert tokenizer.token_to_id("<asr_text>") == SIZE + len(ADDED) - 1
    return tokenizer


def _empty(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
