"""The prompt: the text and the audio embeddings that the model continues.

    <|im_start|>system\\n{context}<|im_end|>\\n
    <|im_start|>user\\n<|audio_start|>{audio embeddings}<|audio_end|><|im_end|>\\n
    <|im_start|>assistant\\n[language English<asr_text>]{prefix}

A prompt is a list of keys: an int is a token id, anything else names an audio embedding. The cache compares keys, and
embeddings are only made for positions that it does not hold. The context comes from the user and is encoded as plain
text, so that it cannot contain control tokens.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby

from livecap.model.backend import mx
from livecap.model.network import Network
from livecap.model.text.tokenizer import Tokenizer
from livecap.text.languages import normalize_language


@dataclass(frozen=True)
class Prompt:
    """The keys of all positions, and the audio embeddings that some of them name."""

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
        """The prompt for the sound of these embeddings.

        Args:
            audio_keys: a name for each audio embedding, not an int. Equal names mean equal embeddings.
            audio_embeddings: [n_audio, hidden].
            context: words to expect, as plain text.
            language: the full name of a forced language, or None.
            prefix_ids: the beginning of the answer, after the language header if that is forced.

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


def header_language(header: str) -> str:
    """The language in the header of an answer, `language X`; empty if the model named none."""
    if "language none" in header.lower():
        return ""
    for line in header.splitlines():
        line = line.strip()
        if line.lower().startswith("language ") and line[len("language ") :].strip():
            return normalize_language(line[len("language ") :])
    return ""
