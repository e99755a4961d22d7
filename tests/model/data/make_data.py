"""Makes the small set in this folder from the parity fixtures: python make_data.py PATH_TO_PARITY

The checkpoint, the cases and the expected numbers are copies (case c without what other cases prove). The tokenizer
is made here: byte-level, with the ids that the fixtures' prompts use, and English words for the rest.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np

WORDS = (
    "the of and to in is was that for it with as his on be at by had not are but from or have an they which one "
    "you were all her she there would their we him been has when who will no more if out so up what about into "
    "than them can only other time new some could these two may first then do any like my now over such our man "
    "me even most made after also did many off before must well back through years much where your way down "
    "should because long each just state those people too mr how little good world make very year still see work "
    "life being both between under never day same another know while last might great old off come go"
)
KEPT_OF_C = (
    "wave_int16",
    "audio_embeds",
    "audio_embeds_unwindowed",
    "plain.input_ids",
    "plain.logits_last8",
    "plain.greedy_ids",
    "plain.greedy_top2_margin",
)
KEPT_OF_ALIGNER_C = ("wave_int16", "audio_embeds")
"""And what belongs to its prompts."""
VOCAB_SIZE = 512
N_PLAIN = 480


def byte_symbols() -> list[str]:
    """GPT-2's printable character for each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    symbols = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in symbols]
    symbols.update({byte: chr(256 + n) for n, byte in enumerate(others)})
    return [symbols[byte] for byte in range(256)]


def make_tokenizer(folder: Path, tokens: dict[str, int]) -> None:
    fixed = {
        "system": tokens["system"],
        "user": tokens["user"],
        "assistant": tokens["assistant"],
        "language": tokens["language"],
        "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}English": tokens["english"],
    }
    symbols = byte_symbols()
    vocabulary = {symbols[ord("\n")]: tokens["newline"]}
    taken = {tokens["newline"], *fixed.values()}
    free = [i for i in range(N_PLAIN) if i not in taken]
    for symbol in symbols:
        if symbol not in vocabulary:
            vocabulary[symbol] = free.pop(0)
    merges: list[str] = []

    def add(word: str) -> None:
        for end in range(2, len(word) + 1):
            piece = word[:end]
            if piece not in vocabulary:
                if piece not in fixed and not free:
                    return
                vocabulary[piece] = fixed[piece] if piece in fixed else free.pop(0)
                merges.append(f"{word[: end - 1]} {word[end - 1]}")

    for word in fixed:
        add(word)
    for word in WORDS.split():
        add("\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}" + word)
    names = {
        tokens["endoftext"]: "<|endoftext|>",
        tokens["im_start"]: "<|im_start|>",
        tokens["im_end"]: "<|im_end|>",
        tokens["audio_start"]: "<|audio_start|>",
        tokens["audio_end"]: "<|audio_end|>",
        tokens["audio_pad"]: "<|audio_pad|>",
        tokens["asr_text"]: "<asr_text>",
        tokens["timestamp"]: "<timestamp>",
    }
    not_special = {tokens["asr_text"], tokens["timestamp"]}
    for token_id in range(N_PLAIN, VOCAB_SIZE):
        names.setdefault(token_id, f"<blank{token_id - N_PLAIN}>")
    added = {str(i): {"content": name, "special": i not in not_special} for i, name in sorted(names.items())}
    ordered = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    (folder / "vocab.json").write_text(json.dumps(ordered, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}, indent=1) + "\n")


def main(parity: Path, here: Path) -> None:
    for name in ("asr", "asr_mlx_q4", "aligner"):
        (here / name).mkdir(exist_ok=True)
        for path in (parity / name).iterdir():
            if path.suffix != ".npz" or path.stem in ("a_0p7s", "b_3p3s", "expected", "rope"):
                shutil.copyfile(path, here / name / path.name)
    case = np.load(parity / "asr" / "c_11s.npz")
    np.savez_compressed(here / "asr" / "c_11s.npz", **{key: case[key] for key in KEPT_OF_C})
    case = np.load(parity / "aligner" / "c_11s.npz")
    kept = [key for key in case if key in KEPT_OF_ALIGNER_C or "." in key]
    np.savez_compressed(here / "aligner" / "c_11s.npz", **{key: case[key] for key in kept})
    for name in ("functions.json", "frontend.npz"):
        shutil.copyfile(parity / name, here / name)
    index = json.loads((here / "asr" / "index.json").read_text())
    for name in ("asr", "aligner"):
        make_tokenizer(here / name, index["tokens"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent)
