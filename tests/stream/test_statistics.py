"""The statistics of the stream count what its recogniser was asked, and note where prompts rolled."""

from collections.abc import Sequence

import pytest

from benchmarks.costs import repeated
from livecap.eval.modes import parse_mode
from livecap.eval.reference import read_reference
from livecap.eval.timeline import play
from livecap.model.checkpoint.load import load
from livecap.shipped import demo_recording
from livecap.stream.recogniser import Decoded, ModelRecogniser
from livecap.stream.transcriber import StreamingTranscriber


class Noted(ModelRecogniser):
    """Notes what it is asked and answers."""

    def begin(self, start_sample: int) -> None:
        self.begun = [*getattr(self, "begun", []), start_sample]
        super().begin(start_sample)

    def decode(
        self, header: Sequence[int], prefix: Sequence[int], draft: Sequence[int], max_tokens: int, pad_samples: int = 0
    ) -> Decoded:
        decoded = super().decode(header, prefix, draft, max_tokens, pad_samples)
        n_header = len(header) if draft and not prefix else 0
        self.answers = [*getattr(self, "answers", []), (len(draft) + n_header, decoded.n_accepted, decoded.n_passes)]
        return decoded


def test_the_statistics_count_every_decode_and_every_seam() -> None:
    reference = repeated([read_reference(demo_recording().with_stem("continuous"))], 1)
    mode = parse_mode("2")
    loaded = load("tiny")
    recogniser = Noted(loaded, "", None, mode.config)
    transcriber = StreamingTranscriber(recogniser, loaded.tokenizer, mode.config)
    play(transcriber, reference.samples[: 32 * 16_000])
    found = transcriber.statistics
    sums = tuple(map(sum, zip(*recogniser.answers, strict=True)))
    assert (found.n_drafted, found.n_accepted, found.n_passes) == sums
    assert found.n_steps == len(recogniser.answers)
    assert 0 < found.n_accepted <= found.n_drafted
    assert found.passes_saved == pytest.approx(found.n_accepted / (found.n_accepted + found.n_passes))
    assert found.seams == recogniser.begun[1:] and found.seams, "32 s of unbroken speech outgrow one prompt"
