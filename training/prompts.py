"""The prompt around sound and the expected answer, as token ids."""

from __future__ import annotations

import random

from tokenizers import Tokenizer


class Prompts:
    """Token ids of the prompt around sound, and of the answer to it."""

    def __init__(self, vocabulary: Tokenizer) -> None:
        self.vocabulary = vocabulary
        ids = {t: vocabulary.token_to_id(t) for t in ("<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_end|>")}
        encode = lambda text: vocabulary.encode(text, add_special_tokens=False).ids  # noqa: E731
        self.end = ids["<|im_end|>"]
        self._open = [ids["<|im_start|>"], *encode("system\n")]
        self._middle = [self.end, *encode("\n"), ids["<|im_start|>"], *encode("user\n"), ids["<|audio_start|>"]]
        self.after = [ids["<|audio_end|>"], self.end, *encode("\n"), ids["<|im_start|>"], *encode("assistant\n")]
        self._n_text = vocabulary.token_to_id("<|endoftext|>")  # the first of the added tokens
        self._asr = vocabulary.token_to_id("<asr_text>")
        self.encode = encode

    def before(self, context: str = "") -> list[int]:
        """Token ids from the start of the prompt to the sound; `context` is the system text."""
        return [*self._open, *self.encode(context), *self._middle]

    def answer_start(self, language: str = "English") -> list[int]:
        """Token ids at the start of every answer: `language English<asr_text>`."""
        return [*self.encode(f"language {language}"), self._asr]

    def answer(self, text: str) -> list[int]:
        """Token ids of the expected answer: language, text, end. An empty text has the language None."""
        return [*self.answer_start("English" if text else "None"), *self.encode(text), self.end]

    def with_mistakes(self, answer: list[int], share: float) -> list[int]:
        """An answer in which this share of the text's tokens are random ones."""
        start = answer.index(self._asr) + 1
        text = [random.randrange(self._n_text) if random.random() < share else token for token in answer[start:-1]]
        return [*answer[:start], *text, *answer[-1:]]
