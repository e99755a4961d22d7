"""The library: its documented examples run, and streaming and arrays give the text of the program."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import livecap
from livecap.eval.alignment import edit_distance
from livecap.eval.wer import normalise
from livecap.shipped import demo_recording, reference_text

ROOT = Path(__file__).parents[1]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def samples() -> NDArray[np.float32]:
    """The first 12 s of the demo's recording: [n] float32 at 16 kHz."""
    return soundfile.read(demo_recording(), dtype="float32", stop=12 * 16_000)[0]


@pytest.fixture(scope="module")
def model() -> Any:
    with livecap.load("tiny") as model:
        yield model


def wrong_words(text: str) -> float:
    """Share of the recording's first words that `text` has wrong."""
    heard = normalise(text)
    return edit_distance(normalise(reference_text(demo_recording()))[: len(heard)], heard) / len(heard)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_documented_examples_run(
    example: str, samples: NDArray[np.float32], capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = np.array_split(samples, 40)
    exec(compile(example, "docs/api.md", "exec"), {"samples": samples, "blocks": blocks})
    assert "thank you for your letter" in capsys.readouterr().out.lower()


@pytest.mark.parametrize("example", EXAMPLES[:2], ids=["array", "stream"])
def test_five_lines_transcribe_an_array_and_five_stream_one(example: str) -> None:
    assert len([line for line in example.splitlines() if line.strip()]) <= 5


def test_importing_the_library_loads_nothing_slow() -> None:
    script = "import sys, livecap; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & {"numpy", "mlx", "textual", "tokenizers", "soundfile", "asyncio"} == set()


def test_stable_text_only_grows_and_the_end_says_it_all(model: livecap.Model, samples: NDArray[np.float32]) -> None:
    stream, before = model.stream(), ""
    for block in np.array_split(samples, 60):
        stream.feed(block)
        assert stream.stable.startswith(before)
        assert stream.text.startswith(stream.stable) and stream.text.endswith(stream.partial)
        before = stream.stable
    text = stream.finish()
    assert text.startswith(before) and stream.partial == ""
    assert wrong_words(text) <= 0.2


@pytest.mark.parametrize("kind", ["16 bit", "stereo", "other rate", "float64"])
def test_arrays_of_every_kind_give_the_same_text(model: livecap.Model, samples: NDArray[np.float32], kind: str) -> None:
    sound, rate = samples[: 6 * 16_000], 16_000
    expected = model.transcribe(sound).text
    given: dict[str, tuple[NDArray[Any], int]] = {
        "16 bit": ((sound * 32767).astype(np.int16), rate),
        "stereo": (np.stack([sound, sound], axis=1), rate),
        "other rate": (np.repeat(sound, 3), 3 * rate),
        "float64": (sound.astype(np.float64), rate),
    }
    array, rate = given[kind]
    result = model.transcribe(array, rate)
    assert result.duration_seconds == pytest.approx(6, abs=0.01)
    assert edit_distance(normalise(expected), normalise(result.text)) <= (1 if kind == "other rate" else 0)


@pytest.mark.parametrize(
    "sound", [np.zeros((2, 3, 4)), np.array(["a"]), np.array([np.nan, 0.0]), np.array([1 + 2j])], ids=range(4)
)
def test_what_is_not_sound_is_refused_in_a_sentence(model: livecap.Model, sound: NDArray[Any]) -> None:
    with pytest.raises(livecap.LivecapError, match="array"):
        model.transcribe(sound)


def test_a_stream_refuses_another_number_of_channels(model: livecap.Model) -> None:
    stream = model.stream()
    stream.feed(np.zeros((100, 2), np.float32))
    with pytest.raises(livecap.LivecapError, match="2 channels"):
        stream.feed(np.zeros(100, np.float32))


@pytest.mark.parametrize("wrong", [{"model": "nothing/like-this-here"[:7]}, {"model": "tiny", "language": "Klingon"}])
def test_unknown_models_and_languages_are_one_sentence(wrong: dict[str, str]) -> None:
    with pytest.raises(livecap.LivecapError):
        livecap.load(**wrong)
