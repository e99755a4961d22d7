"""The library: its documented examples run, and streaming and arrays give the text of the program."""

import asyncio
import gc
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import livecap
from livecap.engine import Engine as LoadedEngine
from livecap.engine import EngineSettings
from livecap.eval.alignment import edit_distance
from livecap.eval.wer import normalise
from livecap.model.checkpoint.load import LoadedModel
from livecap.shipped import demo_recording, reference_text

ROOT = Path(__file__).parents[1]
ALIGNER = str(ROOT / "tests" / "model" / "data" / "aligner")
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def samples() -> NDArray[np.float32]:
    """The first 12 s of the demo's recording: [n] float32 at 16 kHz."""
    return soundfile.read(demo_recording(), dtype="float32", stop=12 * 16_000)[0]


@pytest.fixture(scope="module")
def engine() -> Any:
    with livecap.load("tiny") as engine:
        yield engine


@pytest.fixture
def model(engine: livecap.Engine) -> livecap.Model:
    """The same; `Model` was its name."""
    return engine


def wrong_words(text: str) -> float:
    """Share of the recording's first words that `text` has wrong."""
    heard = normalise(text)
    return edit_distance(normalise(reference_text(demo_recording()))[: len(heard)], heard) / len(heard)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_documented_examples_run(
    example: str,
    samples: NDArray[np.float32],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("livecap.engine.ALIGNER", ALIGNER)  # a small one, where the released one would be downloaded
    samples = samples[: 6 * 16_000]
    soundfile.write("talk.wav", samples, 16_000)
    blocks = np.array_split(samples, 20)
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
        assert stream.stable + stream.partial == stream.text
        before = stream.stable
    text = stream.finish()
    assert text.startswith(before) and stream.partial == "" and stream.finish() == text
    assert wrong_words(text) <= 0.2


def test_no_sound_in_a_block_changes_nothing(model: livecap.Model, samples: NDArray[np.float32]) -> None:
    sound, nothing = samples[: 3 * 16_000], samples[:0]
    whole, stream = model.stream(), model.stream()
    whole.feed(sound)
    assert stream.feed(nothing) == [] and stream.text == ""
    stream.feed(sound)
    assert stream.feed(nothing) == []
    assert stream.finish() == whole.finish() != ""
    assert model.stream().finish() == ""


@pytest.mark.parametrize("kind", ["16 bit", "unsigned", "stereo", "other rate", "float64"])
def test_arrays_of_every_kind_give_the_same_text(model: livecap.Model, samples: NDArray[np.float32], kind: str) -> None:
    sound, rate = samples[: 6 * 16_000], 16_000
    expected = model.transcribe(sound).text
    given: dict[str, tuple[NDArray[Any], int]] = {
        "16 bit": ((sound * 32767).astype(np.int16), rate),
        "unsigned": ((sound * 32767 + 32768).astype(np.uint16), rate),
        "stereo": (np.stack([sound, sound], axis=1), rate),
        "other rate": (np.repeat(sound, 3), 3 * rate),
        "float64": (sound.astype(np.float64), rate),
    }
    array, rate = given[kind]
    result = model.transcribe(array, rate)
    assert result.duration_seconds == pytest.approx(6, abs=0.01)
    assert edit_distance(normalise(expected), normalise(result.text)) <= (1 if kind == "other rate" else 0)


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros((2, 3, 4)),
        np.array(["a"]),
        np.array([np.nan, 0.0]),
        np.array([1 + 2j]),
        np.zeros((9, 0)),
        [[0.0], [0.0, 1.0]],
        (48_000, np.zeros(9)),
        (np.zeros(9), 48_000.5),
    ],
    ids=range(8),
)
def test_what_is_not_sound_is_refused_in_a_sentence(model: livecap.Model, sound: Any) -> None:
    with pytest.raises(livecap.AudioError, match="array"):
        model.transcribe(sound)
    [found] = model.transcribe_many([sound], return_errors=True)
    assert isinstance(found, livecap.AudioError)
    with pytest.raises(livecap.AudioError, match="array"):
        model.stream().feed(sound)


def test_a_stream_refuses_another_number_of_channels(model: livecap.Model) -> None:
    stream = model.stream()
    stream.feed(np.zeros((100, 2), np.float32))
    with pytest.raises(livecap.LivecapError, match="2 channels"):
        stream.feed(np.zeros(100, np.float32))


@pytest.mark.parametrize("wrong", [{"model": "nothing/like-this-here"[:7]}, {"model": "tiny", "language": "Klingon"}])
def test_unknown_models_and_languages_are_one_sentence(wrong: dict[str, str]) -> None:
    with pytest.raises(livecap.LivecapError):
        livecap.load(**wrong)


# ---- files, many sounds, and what a result says


def test_a_file_has_the_text_of_its_samples(
    engine: livecap.Engine, samples: NDArray[np.float32], tmp_path: Path
) -> None:
    path = tmp_path / "talk.flac"
    soundfile.write(path, samples, 16_000)
    as_array, as_file = engine.transcribe(samples), engine.transcribe(str(path))
    assert as_file == engine.transcribe(path) == engine.transcribe((samples, 16_000))
    assert edit_distance(normalise(as_array.text), normalise(as_file.text)) <= 1
    assert (as_file.language, as_file.finish_reason, as_file.truncated) == ("English", "stop", False)
    assert as_file.duration == as_file.duration_seconds == pytest.approx(12, abs=0.01)
    assert as_file.text == " ".join(segment.text for segment in as_file.segments)
    assert [word.text for word in as_file.words] == as_file.text.split()
    assert all(0 <= w.start_sample <= w.end_sample <= 12 * 16_000 for w in as_file.words)
    assert as_file.timings.n_pieces == len(as_file.segments) and 0 < as_file.timings.real_time_factor


def test_many_sounds_come_in_order_and_errors_where_they_are_wanted(
    engine: livecap.Engine, samples: NDArray[np.float32], tmp_path: Path
) -> None:
    short = samples[: 3 * 16_000]
    expected = [engine.transcribe(sound).text for sound in (short, samples)]
    soundfile.write(tmp_path / "none.wav", samples[:0], 16_000)
    wanted = [short, tmp_path / "missing.wav", samples, np.array([np.nan]), tmp_path / "none.wav", (short, 0)]
    found = list(engine.transcribe_many(wanted, batch=3, return_errors=True))
    assert [found[0].text, found[2].text] == expected  # type: ignore[union-attr]
    for number, said in ((1, "no such file"), (3, "not finite"), (4, "not a single sample"), (5, "not 0.")):
        assert isinstance(found[number], livecap.AudioError) and said in str(found[number])
    with pytest.raises(livecap.AudioError, match="no such file"):
        list(engine.transcribe_many(wanted))
    assert list(engine.transcribe_many([])) == []


def test_a_path_instead_of_a_list_is_one_sound(engine: livecap.Engine, tmp_path: Path) -> None:
    missing = tmp_path / "missing.wav"
    for sounds in (str(missing), missing):
        [found] = engine.transcribe_many(sounds, return_errors=True)  # type: ignore[arg-type]
        assert str(missing) in str(found)


def test_progress_grows_to_the_whole(engine: livecap.Engine, samples: NDArray[np.float32]) -> None:
    seen: list[livecap.Progress] = []
    text = engine.transcribe(np.tile(samples, 3), batch=1, on_progress=seen.append).text
    shares = [progress.share for progress in seen]
    assert len(shares) > 2 and shares == sorted(shares) and shares[-1] == 1.0
    assert seen[-1].text and seen[-1].text in text


def test_language_and_context_of_one_call_do_not_stay(engine: livecap.Engine, samples: NDArray[np.float32]) -> None:
    usual = engine.transcribe(samples)
    forced = engine.transcribe(samples, language="fr", context="Maria, March, \ud800")
    assert forced.language == "French" and engine.transcribe(samples) == usual


def test_names_that_the_model_cannot_take_are_told_for_each_call_that_gives_them(samples: NDArray[np.float32]) -> None:
    notices: list[str] = []
    names = ", ".join(f"Kowalski{n}" for n in range(80))
    with livecap.load("tiny", on_notice=notices.append) as engine:
        assert notices == []
        engine.transcribe(samples[:8000], context=names)
        assert len(notices) == 1 and "Names and terms to expect" in notices[0]
        engine.stream(context=names).close()
        assert len(notices) == 2
    with livecap.load("tiny", context=names, on_notice=notices.append) as engine:
        engine.transcribe(samples[:8000])
        engine.transcribe(samples[:8000], context="Maria")
        assert len(notices) == 3, "those of the engine are told when it is loaded"


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"top_k": -1},
        {"repetition_penalty": 0},
        {"language": "Elvish"},
        {"language": 5},
        {"context": 5},
        {"max_tokens": 0},
        {"batch": 0},
        {"speakers": 0},
        {"speakers": (3, 2)},
        {"speakers": "two"},
    ],
    ids=str,
)
def test_wrong_options_are_one_sentence(engine: livecap.Engine, wrong: dict[str, Any]) -> None:
    with pytest.raises(livecap.SettingsError):
        engine.transcribe(np.zeros(16_000), **wrong)


def test_segments_say_who_speaks(engine: livecap.Engine) -> None:
    turns = ROOT / "recordings" / "turns.flac"
    sound, rate = soundfile.read(turns, 15 * 16_000, dtype="float32")
    said, plain = engine.transcribe(sound, rate, speakers=True), engine.transcribe(sound, rate)
    truth = json.loads(turns.with_suffix(".words.json").read_text())
    assert said.text == plain.text and said.speakers == ("A", "B") and plain.speakers == ()
    for segment in said.segments:
        middle = (segment.start_seconds + segment.end_seconds) / 2
        assert (
            segment.speaker == min(truth, key=lambda word: abs((word["start"] + word["end"]) / 2 - middle))["speaker"]
        )
    one, _ = engine.transcribe_many([(sound, rate), sound[:16_000]], speakers=1)
    assert one.speakers == () and one.text == plain.text


def test_a_seed_draws_the_same_text_again(engine: livecap.Engine, samples: NDArray[np.float32]) -> None:
    texts = [engine.transcribe(samples, language="English", temperature=1.5, seed=seed).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_several_threads_get_the_texts_of_one(engine: livecap.Engine, samples: NDArray[np.float32]) -> None:
    sounds = [samples[n * 16_000 : (n + 4) * 16_000] for n in range(0, 8, 2)]
    expected = [engine.transcribe(sound).text for sound in sounds]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda sound: engine.transcribe(sound).text, sounds)) == expected


def test_a_stream_and_files_may_take_turns(engine: livecap.Engine, samples: NDArray[np.float32]) -> None:
    alone = stream_text(engine, samples)
    stream, expected = engine.stream(), engine.transcribe(samples[: 4 * 16_000]).text
    for block in np.array_split(samples, 6):
        stream.feed(block)
        assert engine.transcribe(samples[: 4 * 16_000], language="en").text == expected
    assert stream.finish() == alone


def stream_text(engine: livecap.Engine, samples: NDArray[np.float32]) -> str:
    with engine.stream() as stream:
        for block in np.array_split(samples, 6):
            stream.feed(block)
        return stream.finish()


def test_updates_are_returned_and_told(engine: livecap.Engine, samples: NDArray[np.float32]) -> None:
    told: list[livecap.TranscriptUpdate] = []
    with engine.stream(on_update=told.append) as stream:
        fed = [update for block in np.array_split(samples, 20) for update in stream.feed(block)]
        assert fed == told and any(update.stable for update in fed)
        text = stream.finish()
    assert " ".join(update.stable.strip() for update in told if update.final) == text
    with pytest.raises(livecap.AudioError, match="finished"):
        stream.feed(samples)


def test_the_type_of_numbers_can_be_chosen() -> None:
    with livecap.load("tiny", dtype="float16") as engine:
        assert engine.info.dtype == "float16"
    with pytest.raises(livecap.SettingsError, match="no data type 'fp8'.*float16"):
        livecap.load("tiny", dtype="fp8")


def test_an_engine_says_what_it_is_and_refuses_work_when_closed(samples: NDArray[np.float32]) -> None:
    engine = livecap.load("tiny")
    info = engine.info
    assert (info.model, info.dtype, info.packing, len(info.languages)) == ("tiny", "float32", "", 30)
    assert (info.folder / "config.json").is_file()
    engine.warm_up()
    engine.close()
    engine.close()
    for call in (lambda: engine.transcribe(samples), engine.warm_up, engine.stream):
        with pytest.raises(livecap.ModelError, match="closed"):
            call()


def test_closing_an_engine_does_not_wait_for_results_that_nobody_asks_for(samples: NDArray[np.float32]) -> None:
    heard: set[int] = set()
    with livecap.load("tiny") as engine:
        sounds = [samples[:32_000]] * 40
        results = engine.transcribe_many(
            sounds, batch=1, word_times=False, on_progress=lambda progress: heard.add(progress.number)
        )
        assert isinstance(next(results), livecap.Transcription)
    assert 0 in heard and len(heard) < 40
    with pytest.raises(livecap.ModelError, match="closed"):
        list(results)


def test_a_callback_may_use_the_engine_and_its_error_reaches_the_caller(
    engine: livecap.Engine, samples: NDArray[np.float32]
) -> None:
    def fail(progress: livecap.Progress) -> None:
        engine.warm_up()
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        engine.transcribe(samples, on_progress=fail)
    assert engine.transcribe(samples).text


def test_a_callback_with_another_language_does_not_change_the_rest(
    engine: livecap.Engine, samples: NDArray[np.float32]
) -> None:
    def other(progress: livecap.Progress) -> None:
        engine.transcribe(samples[:8000], language="German", word_times=False)

    sounds = [samples[:32_000]] * 6  # more than the batches that are cut ahead
    found = engine.transcribe_many(sounds, language="English", batch=1, word_times=False, on_progress=other)
    assert {each.language for each in found if isinstance(each, livecap.Transcription)} == {"English"}


@pytest.mark.parametrize("language", [None, "English"])
def test_a_text_with_just_the_most_tokens_is_not_cut_off(
    engine: livecap.Engine, samples: NDArray[np.float32], language: str | None
) -> None:
    whole = engine.transcribe(samples[:48_000], language=language)
    [segment] = whole.segments
    for fewer, reason in ((0, "stop"), (1, "length")):
        found = engine.transcribe(samples[:48_000], language=language, max_tokens=segment.n_tokens - fewer)
        assert (found.finish_reason, found.truncated) == (reason, reason == "length")
        assert (found.text == whole.text) == (reason == "stop")


def test_progress_knows_the_length_of_a_sound_behind_one_that_cannot_be_read(
    engine: livecap.Engine, samples: NDArray[np.float32]
) -> None:
    told: list[tuple[int, float | None]] = []
    sounds = [np.array(["no sound"]), samples[:16_000], samples[:48_000]]
    list(
        engine.transcribe_many(
            sounds, return_errors=True, on_progress=lambda each: told.append((each.number, each.duration_seconds))
        )
    )
    assert set(told) == {(1, 1.0), (2, 3.0)}


INTERRUPTED = """
import os, signal, threading
import livecap, livecap.api

go, released = threading.Event(), threading.Event()

class Slow:
    settings = None

    @staticmethod
    def load(settings, on_notice):
        os.kill(os.getpid(), signal.SIGINT)
        while not go.wait(5):  # the signal came just before the main thread began to wait, which does not wake it
            os.kill(os.getpid(), signal.SIGINT)
        return Slow()

    def close(self):
        print("closed on", threading.current_thread().name)
        released.set()

livecap.api.LoadedEngine = Slow
try:
    livecap.load("tiny")
except KeyboardInterrupt:
    print("interrupted", go.is_set(), released.is_set())
go.set()
print("released", released.wait(60))
"""


def test_an_interrupt_does_not_wait_for_a_model_that_is_being_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["interrupted False False", "closed on livecap-model", "released True"]
    assert done.returncode == 0, done.stderr


def test_the_packing_of_a_model_is_said_also_where_its_name_says_it(tmp_path: Path) -> None:
    folder = tmp_path / "tiny-8bit"
    shutil.copytree(ROOT / "livecap" / "tiny", folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    packed = config | {"quantization": {"bits": 8, "group_size": 64}}
    (folder / "config.json").write_text(json.dumps(packed), encoding="utf-8")
    with livecap.load(folder) as engine:
        assert engine.info.packing == "8 bit"


async def test_a_cancelled_transcription_stops_and_the_engine_goes_on(
    engine: livecap.Engine, samples: NDArray[np.float32]
) -> None:
    began = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(
        engine.transcribe_async(
            np.tile(samples, 40), batch=1, on_progress=lambda progress: loop.call_soon_threadsafe(began.set)
        )
    )
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await engine.transcribe_async(samples)).text == engine.transcribe(samples).text


async def test_many_sounds_stop_soon_where_they_are_cancelled_before_a_result(
    engine: livecap.Engine, samples: NDArray[np.float32]
) -> None:
    """Otherwise a long recording is transcribed to its end, and the event loop waits for it before it closes."""
    began, shares = asyncio.Event(), [0.0]
    loop = asyncio.get_running_loop()

    def note(progress: livecap.Progress) -> None:
        shares.append(progress.share)
        loop.call_soon_threadsafe(began.set)

    async def all_of_it() -> None:
        async for _ in engine.transcribe_many_async([np.tile(samples, 40)], batch=1, on_progress=note):
            pass

    task = asyncio.create_task(all_of_it())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await engine.transcribe_async(samples[:16_000])  # after what runs
    assert 0 < shares[-1] < 0.5


def test_a_closed_or_forgotten_engine_lets_its_model_go(samples: NDArray[np.float32]) -> None:
    """The caller may keep the names of a `with` block, or load one model after the other without closing any."""

    def n_models() -> int:
        gc.collect()
        return sum(isinstance(each, LoadedModel) for each in gc.get_objects())

    before, threads = n_models(), set(threading.enumerate())
    with livecap.load("tiny") as kept, kept.stream() as stream:
        stream.feed(samples[:8000])
        stream.finish()
    results = [livecap.load("tiny").transcribe(samples[:8000])]
    gc.collect()
    for thread in set(threading.enumerate()) - threads:
        thread.join(60)
        assert not thread.is_alive()
    assert n_models() == before
    assert (kept.info.model, stream.text, len(results)) == ("tiny", stream.finish(), 1)


def test_a_stream_may_be_closed_after_its_engine(samples: NDArray[np.float32]) -> None:
    with livecap.load("tiny") as engine:
        stream = engine.stream(rate=48_000)
        stream.feed(samples[:1000])
    for _ in range(2):
        with pytest.raises(livecap.ModelError, match="closed"):
            stream.finish()
    stream.close()
    assert stream.finish() == ""


def test_an_interrupt_or_an_error_of_a_callback_loses_no_text(samples: NDArray[np.float32]) -> None:
    def fail(update: livecap.TranscriptUpdate) -> None:
        raise ZeroDivisionError

    def text_of(on_update: Callable[[livecap.TranscriptUpdate], None], interrupts: bool = False) -> str:
        is_speaking = True

        def run(call: Callable[[], Any]) -> Any:
            result = call()
            if interrupts and is_speaking:
                raise KeyboardInterrupt  # the caller, which waits, has no result
            return result

        stream = livecap.Stream(engine.transcriber(), 16_000, run, on_update)
        for at in range(0, len(samples), 8000):
            with suppress(KeyboardInterrupt, ZeroDivisionError):
                stream.feed(samples[at : at + 8000])
        is_speaking = False
        with suppress(ZeroDivisionError):
            stream.finish()
        return stream.finish()

    with LoadedEngine.load(EngineSettings("tiny", settle=False)) as engine:
        expected = text_of(lambda update: None)
        assert expected.count(".") > 1, "several utterances"
        assert text_of(fail) == expected
        assert text_of(lambda update: None, interrupts=True) == expected


CANCELLED = """
import asyncio, threading
import livecap, livecap.api

begun, go, released = threading.Event(), threading.Event(), threading.Event()

class Slow:
    @staticmethod
    def load(settings, on_notice):
        begun.set()
        go.wait()
        return Slow()

    def close(self):
        released.set()

async def main():
    task = asyncio.create_task(livecap.load_async("tiny"))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    await task

livecap.api.LoadedEngine = Slow
try:
    asyncio.run(main())
except asyncio.CancelledError:
    print("cancelled", released.is_set())
go.set()
print("released", released.wait(60))
"""


def test_the_event_loop_does_not_wait_for_a_model_whose_loading_was_cancelled() -> None:
    done = subprocess.run([sys.executable, "-c", CANCELLED], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["cancelled False", "released True"]
    assert done.returncode == 0, done.stderr


NOT_CLOSED = """
engine = livecap.load("tiny")
print(repr(engine.transcribe(numpy.zeros(16000)).text))
"""
DROPPED = """
print(repr(livecap.load("tiny").transcribe(numpy.zeros(16000)).text))
"""
IN_USE = """
engine = livecap.load("tiny")
begun = threading.Event()

def work():
    results = engine.transcribe_many([demo_recording()] * 50, batch=1, on_progress=lambda progress: begun.set())
    print(len(list(results)), "are transcribed")

threading.Thread(target=work, daemon=True).start()
begun.wait()
print("''")
"""
LOAD_CANCELLED = """
load, begun = livecap.api.LoadedEngine.load, threading.Event()

def watched(*given):
    begun.set()
    return load(*given)

async def main():
    task = asyncio.create_task(livecap.load_async("tiny"))
    await asyncio.to_thread(begun.wait)
    task.cancel()

livecap.api.LoadedEngine.load = watched
asyncio.run(main())
print("''")
"""


@pytest.mark.parametrize(
    "script",
    [NOT_CLOSED, DROPPED, IN_USE, LOAD_CANCELLED],
    ids=["not closed", "dropped", "in use", "load cancelled"],
)
def test_a_program_that_does_not_close_its_engine_ends_quietly(script: str) -> None:
    """MLX aborts the process when a thread ends that still has streams."""
    imports = "import asyncio, threading, numpy, livecap, livecap.api\nfrom livecap.shipped import demo_recording\n"
    command = [sys.executable, "-c", imports + script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "''\n", "")


async def test_a_known_text_is_aligned(
    engine: livecap.Engine, samples: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "talk.wav", np.repeat(samples, 3), 48_000)
    with livecap.load("tiny", aligner=ALIGNER) as other:
        words = other.align(samples, "Dear Maria, - thank you.", language="en")
        assert [word.text for word in words] == ["Dear", "Maria, -", "thank", "you."]
        edges = [edge for word in words for edge in (word.start_sample, word.end_sample)]
        assert edges == sorted(edges) and edges[-1] <= len(samples)
        assert len(await other.align_async(tmp_path / "talk.wav", "Dear Maria", language="en")) == 2
        said = other.transcribe(samples)
        assert {word.quality for word in said.words} == {"aligned"}
        assert all(0 <= word.start_sample <= word.end_sample <= len(samples) for word in said.words)
        assert {word.quality for word in other.transcribe(samples, word_times=False).words} == {"step"}
    with livecap.load("tiny") as other:  # without an aligner for recognised words, also after one was needed
        monkeypatch.setattr("livecap.engine.ALIGNER", ALIGNER)
        before = other.transcribe(samples)
        assert len(other.align(samples, "Dear Maria", language="en")) == 2
        assert other.transcribe(samples) == before and {word.quality for word in before.words} == {"attention"}
    with pytest.raises(livecap.LivecapError, match="Say which language"):
        engine.align(samples, "Dear Maria")
    with pytest.raises(livecap.LivecapError, match="does not know Thai"):
        engine.align(samples, "Dear Maria", language="th")
    with pytest.raises(livecap.LivecapError, match="no such file"):
        engine.align(tmp_path / "none.wav", "Dear Maria", language="en")
