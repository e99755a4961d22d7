"""`livecap eval` on data sets: LibriSpeech's folders and manifests, any rate and format, sampled evenly, resumable."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.cli.main import run
from livecap.errors import AudioError
from livecap.eval import corpus_run, provenance
from livecap.eval.corpus import Item, read_corpus, sampled
from livecap.eval.corpus_run import CorpusPlan, counted, measure_corpus, samples_of
from livecap.eval.wer import normalise
from livecap.shipped import demo_recording, reference_text

WORDS = reference_text(demo_recording()).split()


def sound(seconds: float, start: float = 0.0) -> np.ndarray:
    samples, _ = soundfile.read(
        demo_recording(), dtype="float32", start=int(start * 16_000), frames=int(seconds * 16_000)
    )
    return samples


@pytest.fixture
def libri(tmp_path: Path) -> Path:
    """Two speakers with two recordings each, in LibriSpeech's layout."""
    for speaker in ("84", "1272"):
        folder = tmp_path / "test-clean" / speaker / "128"
        folder.mkdir(parents=True)
        lines = []
        for n in range(2):
            name = f"{speaker}-128-{n:04}"
            soundfile.write(folder / f"{name}.flac", sound(3 + n), 16_000)
            lines.append(f"{name} {' '.join(WORDS[: 6 + n]).upper()}")
        (folder / f"{speaker}-128.trans.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "test-clean"


def manifest(folder: Path, *entries: object) -> Path:
    path = folder / "all.jsonl"
    path.write_text("\n".join(entry if isinstance(entry, str) else json.dumps(entry) for entry in entries))
    return path


def test_librispeechs_layout_is_read(libri: Path) -> None:
    items = read_corpus(libri)
    assert [(item.name, item.speaker) for item in items] == [
        ("1272-128-0000", "1272"),
        ("1272-128-0001", "1272"),
        ("84-128-0000", "84"),
        ("84-128-0001", "84"),
    ]
    assert {item.language for item in items} == {"English"}
    assert items[0].text == " ".join(WORDS[:6]).upper() and items[0].path.is_file()
    assert len(read_corpus(libri / "84")) == 2


@pytest.mark.parametrize(
    ("entry", "language", "speaker"),
    [
        ({"sound": "a.wav", "text": "hello"}, "", "a"),
        ({"audio_filepath": "a.wav", "text": "hello", "lang": "de", "speaker_id": 7}, "German", "7"),
        ({"audio": "a.wav", "transcript": "hello", "locale": "cmn_hans_cn"}, "Chinese", "a"),
        ({"path": "a.wav", "sentence": "hello", "locale": "pt-BR", "client_id": "x"}, "Portuguese", "x"),
        ({"file": "a.wav", "reference": "hello", "language": "Korean"}, "Korean", "a"),
    ],
)
def test_a_manifest_of_any_project_is_read(tmp_path: Path, entry: dict, language: str, speaker: str) -> None:
    soundfile.write(tmp_path / "a.wav", sound(1), 16_000)
    [item] = read_corpus(manifest(tmp_path, entry, ""))
    assert (item.text, item.language, item.speaker) == ("hello", language, speaker)


def test_values_of_a_manifest_that_look_like_none_are_told_from_none(tmp_path: Path) -> None:
    """Two recordings of speaker 0 are one speaker; null is no offset; a text may hold an end of line of Unicode."""
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", sound(1), 16_000)
    entries = [{"sound": f"{name}.wav", "text": "hello", "speaker": 0, "offset": None} for name in ("a", "b")]
    text = "one\u2028two\x85three"
    lines = [*entries, json.dumps({"sound": "a.wav", "text": text}, ensure_ascii=False)]
    items = read_corpus(manifest(tmp_path, *lines))
    assert [(item.text, item.speaker) for item in items] == [("hello", "0"), ("hello", "0"), (text, "a")]
    assert [(item.start_seconds, item.seconds) for item in items] == [(0.0, None)] * 3


def test_a_part_of_a_file_is_a_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(5), 16_000)
    entries = [{"sound": "a.wav", "text": "x", "offset": n, "duration": 2} for n in (0, 3)]
    first, second = read_corpus(manifest(tmp_path, *entries))
    assert first.name != second.name
    exact = sound(5)
    assert np.abs(samples_of(second) - exact[48_000:80_000]).max() < 1e-3
    with pytest.raises(AudioError, match="it has no sound at 9 s"):
        samples_of(Item("a", tmp_path / "a.wav", "", "", "", 9.0))


@pytest.mark.parametrize(("suffix", "rate", "channels"), [("wav", 44_100, 2), ("ogg", 48_000, 1), ("mp3", 22_050, 1)])
def test_any_rate_and_format_is_heard(tmp_path: Path, suffix: str, rate: int, channels: int) -> None:
    exact = sound(4)
    times = np.arange(4 * rate) / rate
    there = np.interp(times, np.arange(len(exact)) / 16_000, exact)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.repeat(there[:, None], channels, axis=1), rate)
    samples = samples_of(Item("a", path, "", "", ""))
    assert samples.dtype == np.float32 and abs(len(samples) - 64_000) < 3000
    n = min(len(samples), 64_000)
    power = lambda x: np.sqrt(np.mean(x[:n] ** 2))  # noqa: E731
    assert 0.8 < power(samples) / power(exact) < 1.2


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["{"], "line 1 is not JSON"),
        (["[1]"], "line 1 is not a JSON object"),
        ([{"text": "x"}], "line 1 has no recording and text"),
        ([{"sound": "a.wav"}], "line 1 has no recording and text"),
        ([{"sound": "a.wav", "text": "x"}, {"sound": "a.wav", "text": " - "}], "line 2 has a text without words"),
        ([{"sound": "missing.wav", "text": "x"}], "names missing.wav, which is not there"),
        ([{"sound": "a.wav", "text": "x", "language": "Klingon"}], 'line 1: No language named "Klingon"'),
        ([{"sound": "a.wav", "text": "x", "offset": "late"}], "that is not a number of seconds"),
        ([], "it names no recordings"),
    ],
)
def test_a_damaged_manifest_is_one_line(tmp_path: Path, lines: list, says: str, capsys) -> None:
    soundfile.write(tmp_path / "a.wav", sound(1), 16_000)
    assert run(["eval", str(manifest(tmp_path, *lines))]) == 1
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1


def test_a_folder_without_texts_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"no \*.trans.txt of LibriSpeech's layout in it"):
        read_corpus(tmp_path)
    (tmp_path / "1-2.trans.txt").write_text("1-2-0000 HELLO\n")
    with pytest.raises(AudioError, match="names 1-2-0000, which is not beside it"):
        read_corpus(tmp_path)
    soundfile.write(tmp_path / "1-2-0000.flac", sound(1), 16_000)
    (tmp_path / "1-2.trans.txt").write_text("1-2-0000\n")
    with pytest.raises(AudioError, match="line 1 has a text without words. Correct the line, or remove it"):
        read_corpus(tmp_path)


# ---- samples


def items(counts: dict[tuple[str, str], int]) -> list[Item]:
    return [
        Item(f"{language}-{speaker}-{n}", Path("x"), "", language, speaker)
        for (language, speaker), many in counts.items()
        for n in range(many)
    ]


def test_samples_are_even_over_speakers_and_languages() -> None:
    everything = items({("English", "a"): 100, ("English", "b"): 3, ("English", "c"): 40, ("German", "d"): 50})
    chosen = sampled(everything, 12)
    assert Counter(item.language for item in chosen) == {"English": 6, "German": 6}
    english = Counter(item.speaker for item in chosen if item.language == "English")
    assert english == {"a": 2, "b": 2, "c": 2}
    assert sampled(everything, 12) == chosen != sampled(everything, 12, seed=2)
    assert len({item.name for item in sampled(everything, 193)}) == 193
    assert sampled(everything, None) == sampled(everything, 500) == everything
    assert len({item.speaker for item in sampled(items({("", str(n)): 5 for n in range(40)}), 25)}) == 25


# ---- rates


def test_languages_without_spaces_are_counted_in_characters() -> None:
    assert counted("Chinese", "我们 去,北京。", "我们去南京") == [5, 1]
    assert counted("Japanese", "東京", "東 京") == [2, 0]
    assert counted("English", "we go north", "We go, south!") == [3, 1]
    assert counted("Korean", "안녕 하세요", "안녕 하세여") == [2, 1]


def test_marks_are_parts_of_words() -> None:
    assert normalise("हिन्दी में, है") == ["हिन्दी", "में", "है"]
    assert normalise("ที่นี่") == ["ที่นี่"]
    assert counted("Hindi", "हिन्दी में", "हन्दी में") == [2, 1]
    assert normalise("Don't e\N{COMBINING ACUTE ACCENT}tude_x") == ["don't", "étude", "x"]


# ---- the whole command


def test_a_data_set_is_measured_offline_and_live_and_goes_on_after_a_stop(
    libri: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, out = tmp_path / "results.jsonl", tmp_path / "out.json"
    call = ["eval", str(libri), "--step-cost", "0", "--results", str(results), "--out", str(out)]
    measured: list[str] = []
    measure = corpus_run._measure

    def stopping(plan, item):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(item.name)
        return measure(plan, item)

    monkeypatch.setattr(corpus_run, "_measure", stopping)
    monkeypatch.setattr(provenance, "_commit", lambda: "abc1234")
    assert run(call) == 130
    with results.open("a") as file:
        file.write('{"key": "cut off')  # by a kill
    with results.open("a") as file:
        file.write("\n")
    monkeypatch.setattr(corpus_run, "_measure", measure)
    capsys.readouterr()
    assert run(call) == 0
    printed = capsys.readouterr()
    assert "2 of 4 recordings were measured before" in printed.err
    assert len(results.read_text().splitlines()) == 5
    figures = json.loads(out.read_text())
    [english] = figures["languages"]
    assert (english["language"], english["unit"], english["recordings"], english["speakers"]) == (
        "English",
        "words",
        4,
        2,
    )
    assert english["units"] == 2 * (6 + 7) and english["sound_seconds"] == 14
    assert list(english["error_rate"]) == ["offline", "default stable", "default final"]
    for rate in english["error_rate"].values():
        assert 0 <= rate["low"] <= rate["rate"] <= rate["high"] < 1
    assert re.search(r"English +4 +2 +0.2  words +\d+\.\d+% \(", printed.out)
    assert run([*call, "--json"]) == 0  # all was measured before
    again = json.loads(capsys.readouterr().out)
    assert again["all"] == figures["all"] and again["measured_before"] == 4
    assert run(["eval", str(libri), "--results", str(results), "--step-cost", "0", "--require", "recordings >= 5"]) == 1


def test_nothing_is_reused_from_changes_without_a_commit_or_another_processor(
    libri: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []
    counts = {"offline": [1, 0]}

    def measure(plan: CorpusPlan, item: Item) -> dict:
        measured.append(item.name)
        said = {"name": item.name, "language": item.language, "speaker": item.speaker, "sound_seconds": 1.0}
        return said | {"compute_seconds": {}, "reference": item.text, "texts": {}, "counts": counts}

    monkeypatch.setattr(corpus_run, "_measure", measure)
    plan, items = CorpusPlan("tiny", ("default",)), read_corpus(libri)
    for commit, processor, n_new in (
        ("abc1234-dirty", "one", 4),
        ("abc1234-dirty", "one", 4),
        ("abc1234", "one", 4),
        ("abc1234", "one", 0),
        ("abc1234", "other", 4),
        (None, "one", 4),
        (None, "one", 0),
    ):
        monkeypatch.setattr(provenance, "_commit", lambda commit=commit: commit)
        monkeypatch.setattr(provenance, "processor", lambda processor=processor: processor)
        measured.clear()
        measure_corpus(plan, items, tmp_path / "results.jsonl")
        assert len(measured) == n_new, (commit, processor)


def test_samples_and_modes_of_a_manifest(tmp_path: Path, capsys) -> None:
    for name in ("a", "b", "c"):
        soundfile.write(tmp_path / f"{name}.wav", sound(2), 16_000)
    entries = [{"sound": f"{n}.wav", "text": "x y", "language": "en", "speaker": n} for n in "abc"]
    call = [
        "eval",
        str(manifest(tmp_path, *entries)),
        "--samples",
        "2",
        "--no-offline",
        "--chunk",
        "1",
        "--tell-language",
    ]
    assert run([*call, "--json", "--results", str(tmp_path / "r.jsonl")]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["all"]["recordings"] == figures["all"]["speakers"] == 2 and figures["language_told"]
    assert list(figures["all"]["error_rate"]) == ["1 s stable", "1 s final"]


def test_a_rate_over_languages_names_all_that_it_counts(
    tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(plan: object, item: corpus_run.Item) -> dict:
        row = {"recording": item.name, "language": item.language, "speaker": item.speaker, "sound_seconds": 1.0}
        return row | {"counts": {"offline": [4, 1]}, "compute_seconds": {"offline": 0.1}}

    monkeypatch.setattr(corpus_run, "_measure", measured)
    soundfile.write(tmp_path / "a.wav", sound(1), 16_000)
    entries = [{"sound": "a.wav", "text": text, "language": code} for text, code in (("x y", "en"), ("我们", "zh"))]
    assert run(["eval", str(manifest(tmp_path, *entries)), "--results", str(tmp_path / "r.jsonl")]) == 0
    units = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert " characters  " in units["Chinese"] and " words  " in units["English"]
    assert re.search(r" characters and words +25\.00% \(", units["all"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--samples", "3"], "are for data sets"),
        (["--tell-language"], "are for data sets"),
    ],
)
def test_options_of_data_sets_need_one(arguments: list[str], says: str, capsys) -> None:
    assert run(["eval", str(demo_recording()), *arguments]) == 1
    assert says in capsys.readouterr().err


def test_recordings_and_data_sets_do_not_mix(libri: Path, capsys) -> None:
    assert run(["eval", str(libri), str(demo_recording())]) == 1
    assert "measure recordings and data sets one after the other" in capsys.readouterr().err
    assert run(["eval", str(libri), "--plot", "x.svg"]) == 1
    assert "are for recordings with word times" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "language"),
    [("zh-HK", "Cantonese"), ("zh_hk", "Cantonese"), ("zh-TW", "Chinese"), ("cmn_hans_cn", "Chinese"),
     ("pt-BR", "Portuguese"), ("in", "Indonesian"), ("English", "English")],
)  # fmt: skip
def test_a_locale_is_its_language(tmp_path: Path, code: str, language: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000, np.float32), 16_000)
    (tmp_path / "list.jsonl").write_text(json.dumps({"sound": "a.wav", "text": "x", "language": code}) + "\n")
    assert [item.language for item in read_corpus(tmp_path / "list.jsonl")] == [language]


def test_a_list_that_is_not_utf8_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").write_bytes('{"sound": "a.wav", "text": "café"}\n'.encode("latin-1"))
    with pytest.raises(AudioError, match="not text in UTF-8"):
        read_corpus(tmp_path / "list.jsonl")
