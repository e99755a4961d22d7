"""The counting recogniser agrees with the stream's own statistics, and notes where prompts rolled."""

import pytest

from benchmarks.costs import repeated
from livecap.eval.decode_counts import CountedRecogniser
from livecap.eval.modes import parse_mode
from livecap.eval.reference import read_reference
from livecap.eval.timeline import play
from livecap.model.checkpoint.load import load
from livecap.shipped import demo_recording
from livecap.stream.recogniser import ModelRecogniser
from livecap.stream.transcriber import StreamingTranscriber


def test_counts_are_those_of_the_stream() -> None:
    reference = repeated([read_reference(demo_recording().with_stem("continuous"))], 1)
    mode = parse_mode("2")
    loaded = load("tiny")
    recogniser = CountedRecogniser(ModelRecogniser(loaded, "", None, mode.config))
    transcriber = StreamingTranscriber(recogniser, loaded.tokenizer, mode.config)
    play(transcriber, reference.samples[: 32 * 16_000])
    counts, own = recogniser.counts, transcriber.statistics
    assert (counts.n_decodes, counts.n_passes, counts.n_accepted) == (own.n_steps, own.n_passes, own.n_accepted)
    assert 0 < counts.n_accepted <= counts.n_offered
    assert counts.passes_saved == pytest.approx(own.n_accepted / (own.n_accepted + own.n_passes))
    assert len(recogniser.seams) >= 1, "32 s of unbroken speech outgrow one prompt"
