"""What the model is told, and how its answer is read.

    <|im_start|>system\\n{context}<|im_end|>\\n
    <|im_start|>user\\n<|audio_start|>{audio embeddings}<|audio_end|><|im_end|>\\n
    <|im_start|>assistant\\n[language English<asr_text>]{prefix}

A prompt is a list of keys: an int is a token id, anything else names an audio embedding. The cache compares
keys, and embeddings are made only for what it does not hold. The context comes from outside and is plain text
to the tokenizer: nothing in it becomes a control token.
"""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby

from livecap.model.backend import mx
from livecap.model.network import Network
from livecap.model.text.tokenizer import ASR_TEXT, Tokenizer
from livecap.text.languages import normalize_language


@dataclass(frozen=True)
class Prompt:
    """Keys of all positions, and the audio embeddings that some of them name."""

    keys: tuple[Hashable, ...]
    audio_embeddings: mx.array
    """[n_audio, hidden], in the order of their keys."""

    def __post_init__(self) -> None:
        n_audio = sum(not isinstance(key, int) for key in self.keys)
        assert n_audio == self.audio_embeddings.shape[0], (n_audio, self.audio_embeddings.shape)

    @classmethod
    def build(
        cls,
        tokenizer: Tokenizer,
        audio_keys: Sequence[Hashable],
        audio_embeddings: mx.array,
        context: str = "",
        language: str | None = None,
        prefix_ids: Sequence[int] = (),
    ) -> "Prompt":
        """The prompt for one stretch of sound.

        Args:
            audio_keys: a name for each audio embedding, never an int; equal names mean equal embeddings.
            audio_embeddings: [n_audio, hidden].
            context: words to expect, as plain text.
            language: the full name of a language that is forced, or None.
            prefix_ids: what the answer begins with, after the language header if that is forced.

        Raises:
            ModelError: the tokenizer lacks one of Qwen3-ASR's control tokens.
        """
        assert len(audio_keys) == audio_embeddings.shape[0], "a key for each embedding"
        assert not any(isinstance(key, int) for key in audio_keys), "an int is a token id"
        start, end = tokenizer.token_id("<|im_start|>"), tokenizer.token_id("<|im_end|>")
        line_end = tokenizer.encode("\n")
        before = [start, *tokenizer.encode(f"system\n{context}"), end, *line_end]
        before += [start, *tokenizer.encode("user\n"), tokenizer.token_id("<|audio_start|>")]
        after = [tokenizer.token_id("<|audio_end|>"), end, *line_end, start]
        if language is None:
            after += tokenizer.encode("assistant\n")
        else:
            after += [*tokenizer.encode(f"assistant\nlanguage {language}"), tokenizer.asr_text_id]
        return cls((*before, *audio_keys, *after, *prefix_ids), audio_embeddings)

    def embeddings(self, model: Network, start: int, stop: int) -> mx.array:
        """Embeddings [1, stop - start, hidden] of the positions [start, stop)."""
        n_audio = sum(not isinstance(key, int) for key in self.keys[:start])
        parts: list[mx.array] = []
        for is_token, run in groupby(self.keys[start:stop], key=lambda key: isinstance(key, int)):
            keys = list(run)
            if is_token:
                parts.append(model.embed(mx.array(keys)))
            else:
                parts.append(self.audio_embeddings[n_audio : n_audio + len(keys)])
                n_audio += len(keys)
        return mx.concatenate(parts)[None]


def parse_output(raw: str, forced_language: str | None = None) -> tuple[str, str]:
    """(language, text) of all that the model answered, as the official package reads it.

    The language is empty where none was heard or none was named. Repetitions are repaired, as there.
    """
    raw = repair_repetitions(raw.strip())
    if not raw:
        return "", ""
    if forced_language:
        return forced_language, raw
    header, tag, text = raw.partition(ASR_TEXT)
    if not tag:
        return "", raw
    return header_language(header), text.strip()


def header_language(header: str) -> str:
    """The language in what precedes the text, as the model wrote it; empty where it heard or named none."""
    if "language none" in header.lower():
        return ""
    for line in header.splitlines():
        line = line.strip()
        if line.lower().startswith("language ") and line[len("language ") :].strip():
            return normalize_language(line[len("language ") :])
    return ""


MOST_EQUAL_CHARACTERS = 20
"""A longer run of one character becomes one (official)."""
LONGEST_PATTERN = 20
FEWEST_REPEATS = 20
"""A pattern of up to 20 characters, 20 times or more in a row, becomes one (official)."""
_CHARACTER_RUN = re.compile(rf"(.)\1{{{MOST_EQUAL_CHARACTERS},}}", re.DOTALL)


def repair_repetitions(text: str) -> str:
    """`text` without runaway repetition, exactly as the official package does it.

    It may cut what was really said, such as a long row of digits. The stream never calls it.
    """
    text = _CHARACTER_RUN.sub(r"\1", text)
    repaired = ""
    while len(text) >= 2 * FEWEST_REPEATS:
        place = _first_repetition(text)
        if place is None:
            break
        start, length = place
        stop = start + length * FEWEST_REPEATS
        while text[stop : stop + length] == text[start : start + length]:
            stop += length
        repaired += text[: start + length]
        text = text[stop:]
    return repaired + text


def _first_repetition(text: str) -> tuple[int, int] | None:
    """(start, length) of the first pattern that is repeated often enough; the shortest one there."""
    for start in range(len(text) - 2 * FEWEST_REPEATS + 1):
        for length in range(1, LONGEST_PATTERN + 1):
            pattern = text[start : start + length]
            if text.startswith(pattern * FEWEST_REPEATS, start):
                return start, length
    return None
