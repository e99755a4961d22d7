"""Settling hears a closed utterance again; what was right costs next to nothing."""

from pathlib import Path

import soundfile

from livecap.audio_in.source import AudioBlock
from livecap.model.checkpoint.load import load
from livecap.stream.config import ChunkConfig, PromptConfig, StreamConfig
from livecap.stream.recogniser import Decoded, ModelRecogniser
from livecap.stream.settling import Settling
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE

DICTATION = Path(__file__).parents[2] / "recordings" / "dictation.flac"


class Watched(ModelRecogniser):
    """Keeps what it decoded."""

    def decode(self, *arguments: object, **named: object) -> Decoded:
        decoded = super().decode(*arguments, **named)  # type: ignore[arg-type]
        self.__dict__.setdefault("decodes", []).append(decoded)
        return decoded


def test_live_text_is_a_draft_of_the_settled_text_from_its_language_on() -> None:
    tiny = load("tiny")
    # Every utterance in a prompt of its own.
    config = StreamConfig(ChunkConfig(2, 0.1), prompt=PromptConfig(settled_prompt_seconds=0))
    again = Watched(tiny, "", None, config)
    live = StreamingTranscriber(
        ModelRecogniser(tiny, "", None, config), tiny.tokenizer, config, settling=Settling(again, config)
    )
    sound, _ = soundfile.read(DICTATION, dtype="float32", frames=24 * SAMPLE_RATE)
    for start in range(0, len(sound), 1600):
        live.accept(AudioBlock(start, sound[start : start + 1600]))
        list(live.step() if live.ready else ())
    list(live.flush())
    said = [live.settle().text for _ in range(live.n_unsettled)]
    decodes = again.__dict__["decodes"]
    assert len(said) == len(decodes) >= 4 and all(said)
    n_tokens = sum(len(decoded.ids) + len(decoded.header) for decoded in decodes)
    assert sum(decoded.n_passes for decoded in decodes) < n_tokens / 4
