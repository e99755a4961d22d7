"""What counts as text in the answer to a piece of a recording."""

import numpy as np
import pytest

from livecap.engine import Engine, EngineSettings
from livecap.model.generate import GeneratedToken
from livecap.transcribe import decoding
from livecap.transcribe.decoding import PieceDecoder


@pytest.mark.parametrize(
    ("answer", "language", "text"),
    [
        ("language English<asr_text>hello", None, "hello"),
        ("language English", None, ""),
        ("hello there", None, ""),
        ("language English<asr_text>", None, ""),
        ("hello there", "English", "hello there"),
        ("language German<asr_text>hello", "English", "hello"),
    ],
)
def test_only_what_follows_the_header_is_text(answer: str, language: str | None, text: str) -> None:
    with Engine.load(EngineSettings("tiny", language)) as engine:
        tokenizer = engine.tokenizer
        parts = [tokenizer.encode(part) for part in answer.split("<asr_text>")]
        ids = [i for n, part in enumerate(parts) for i in ([tokenizer.asr_text_id] if n else []) + part]
        decoder = PieceDecoder(engine)
        header, tokens = decoder._writer.split([GeneratedToken(i, 1.0) for i in ids])
        assert tokenizer.decode([token.id for token in tokens]) == text
        assert header in ("", answer.partition("<asr_text>")[0])


def test_a_long_context_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ", ".join(f"Kowalski{n}" for n in range(1000))
    with Engine.load(EngineSettings("tiny", context=given)) as engine:
        prompts: list[str] = []

        def build(tokenizer: object, names: object, embeddings: object, context: str, language: object) -> object:
            prompts.append(context)
            raise KeyboardInterrupt

        monkeypatch.setattr(decoding.Prompt, "build", build)
        with pytest.raises(KeyboardInterrupt):
            PieceDecoder(engine)._writer.prompt(np.zeros((3, 8)))  # type: ignore[arg-type]
        assert prompts == [engine.context] and len(engine.tokenizer.encode(engine.context)) <= 32
