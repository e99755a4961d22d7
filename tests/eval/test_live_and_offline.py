"""Live text compared with offline text, on the project's recordings."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.audio_in.vad import DetectorConfig
from livecap.eval.evaluation import Plan, evaluate
from livecap.eval.offline import MOST_SAMPLES, cut_at_pauses

RECORDINGS = sorted((Path(__file__).parents[2] / "recordings").glob("*.flac"))
QUICK = ("dictation", "turns")


@pytest.mark.parametrize("mode", ["default", "2"])
def test_live_text_is_at_most_two_points_worse_than_offline_text(mode: str) -> None:
    paths = [path for path in RECORDINGS if os.environ.get("LIVECAP_PROVE") or path.stem in QUICK]
    figures, _ = evaluate(Plan("tiny", (mode,), step_cost=0.1), paths)
    [column] = figures["all"]
    assert column["wer"]["stable"] <= column["wer"]["offline"] + 0.02
    by_recording = {row["recording"]: row["wer"] for row in figures["recordings"]}
    assert len(by_recording) == len(paths)
    for name, wer in by_recording.items() if mode == "2" else ():
        n = n_words(name)  # 50 to 100 in the shortest recordings
        share = max(wer["offline"], 1 / n)
        chance = 2 * (share * (1 - share) / n) ** 0.5  # two standard errors
        assert wer["stable"] <= wer["offline"] + 0.02 + chance, name


def n_words(name: str) -> int:
    [path] = [path for path in RECORDINGS if path.stem == name]
    return len(path.with_suffix(".txt").read_text(encoding="utf-8").split())


@settings(max_examples=10)
@given(st.integers(0, 2**31), st.floats(1, 100))
def test_offline_pieces_cover_the_sound_and_fit_into_a_prompt(seed: int, seconds: float) -> None:
    random = np.random.default_rng(seed)
    n = round(seconds * 16_000)
    loud = np.repeat(random.random(n // 4000 + 1) < 0.8, 4000)[:n]
    pieces = cut_at_pauses((random.standard_normal(n) * 0.1 * loud).astype(np.float32), DetectorConfig())
    assert pieces[0][0] == 0 and pieces[-1][1] == n
    assert all(stop == start for (_, stop), (start, _) in zip(pieces, pieces[1:], strict=False))
    assert all(0 < stop - start <= MOST_SAMPLES for start, stop in pieces)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_every_recording_has_its_text(path: Path) -> None:
    assert path.with_suffix(".txt").read_text(encoding="utf-8").strip()
