"""The second pass over a closed utterance costs next to nothing where the live text was right."""

from pathlib import Path
from typing import Any

import soundfile

from livecap.audio_in.source import AudioBlock
from livecap.model.checkpoint.load import LoadedModel, load
from livecap.stream.config import ChunkConfig, PromptConfig, StreamConfig
from livecap.stream.recogniser import Decoded, ModelRecogniser
from livecap.stream.settling import Settling
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE

DICTATION = Path(__file__).parents[2] / "recordings" / "dictation.flac"


class Watched(ModelRecogniser):
    """Keeps all that it decoded."""

    def __init__(self, loaded: LoadedModel, config: StreamConfig) -> None:
        super().__init__(loaded, "", None, config)
        self.decodes: list[Decoded] = []

    def decode(self, *arguments: Any, **named: Any) -> Decoded:
        self.decodes.append(super().decode(*arguments, **named))
        return self.decodes[-1]


def test_live_text_is_the_draft_of_the_second_pass_header_included() -> None:
    tiny = load("tiny")
    config = StreamConfig(ChunkConfig(2, 0.1), PromptConfig(settled_prompt_seconds=0))  # a prompt for each utterance
    again = Watched(tiny, config)
    live = StreamingTranscriber(
        ModelRecogniser(tiny, "", None, config), tiny.tokenizer, config, settling=Settling(again, config)
    )
    sound, _ = soundfile.read(DICTATION, dtype="float32", frames=16 * SAMPLE_RATE)
    for start in range(0, len(sound), 1600):
        live.accept(AudioBlock(start, sound[start : start + 1600]))
        list(live.step() if live.ready else ())
    list(live.flush())
    said = [live.settle().text for _ in range(live.n_unsettled)]
    assert len(said) == len(again.decodes) >= 4 and all(said)
    n_tokens = sum(len(decoded.ids) + len(decoded.header) for decoded in again.decodes)
    assert sum(decoded.n_passes for decoded in again.decodes) < n_tokens / 4
