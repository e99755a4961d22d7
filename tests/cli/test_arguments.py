"""Flags become settings: every flag sets its own field, wherever it stands, and is checked like the file's value."""

from pathlib import Path

import pytest

from livecap.cli.arguments import effective, sessions_folder
from livecap.cli.main import COMMANDS, parse
from livecap.errors import SettingsError
from livecap.settings.fields import SETTINGS, STORED, Settings, get
from livecap.settings.sources import load_settings

GIVEN = {
    "mic": ([], True),
    "device": (["BlackHole"], "BlackHole"),
    "labels": (["talk"], ("talk",)),
    "stdin": ([], True),
    "rate": (["8000"], 8000),
    "channels": (["2"], 2),
    "replay": (["talk.wav"], Path("talk.wav")),
    "pace": (["max"], None),
    "start_seconds": (["1:30"], 90.0),
    "end_seconds": (["1:02:03.5"], 3723.5),
    "model": (["tiny"], "tiny"),
    "language": (["de"], "de"),
    "context": (["Priya"], "Priya"),
    "context_file": (["terms.txt"], Path("terms.txt")),
    "vad": (["silero"], "silero"),
    "dtype": (["float32"], "float32"),
    "echo": (["off"], "off"),
    "chunk_seconds": (["2"], 2.0),
    "step_cost_seconds": (["0.1"], 0.1),
    "settle": ([], False),
    "aligner": (["off"], "off"),
    "log_dir": (["logs"], Path("logs")),
    "speakers": ([], True),
    "save_audio": ([], True),
    "for_seconds": (["1h30m"], 5400.0),
    "stop_after_silence": (["15m"], 900.0),
    "caption_file": (["captions.txt"], Path("captions.txt")),
    "notes_dir": (["notes"], Path("notes")),
    "remote": (["https://host/v1"], "https://host/v1"),
    "remote_model": (["qwen"], "qwen"),
    "serve": (["0.0.0.0:8765"], "0.0.0.0:8765"),
    "on_line": (["say -v 'Anna'"], "say -v 'Anna'"),
    "on_mark": (["mark"], "mark"),
    "on_end": (["end"], "end"),
}


@pytest.fixture(autouse=True)
def no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("LIVECAP_SETTINGS", str(path))
    return path


def settings(*arguments: str) -> Settings:
    return effective(parse(arguments)[0]).settings


def test_every_flag_is_tried_here() -> None:
    assert GIVEN.keys() == {name for name, setting in SETTINGS.items() if setting.flag}


@pytest.mark.parametrize("name", GIVEN)
def test_a_flag_sets_its_own_field_and_no_other(name: str) -> None:
    flag = SETTINGS[name].flag.partition(" ")[0]
    words, value = GIVEN[name]
    options, _ = parse([flag, *words])
    assert {given for given in vars(options) if given in SETTINGS} == {name}
    assert get(settings(flag, *words), name) == value != SETTINGS[name].default


def test_a_value_is_the_same_from_a_flag_the_environment_and_the_file(no_file: Path) -> None:
    assert settings("--chunk", "auto").chunk_seconds is None
    for text, value in (("0.2", 0.2), ("12", 12.0), ("auto", None)):
        no_file.write_text(f"chunk_seconds = {text!r}" if value is None else f"chunk_seconds = {text}")
        assert load_settings({}).settings.chunk_seconds == value == settings("--chunk", text).chunk_seconds
        environ = {"LIVECAP_SETTINGS": "no-such-file", "LIVECAP_CHUNK_SECONDS": text}
        assert load_settings({}, environ).settings.chunk_seconds == value


@pytest.mark.parametrize("text", ["0.19", "12.1", "nan", "inf", "two", ""])
def test_a_value_out_of_range_is_refused_in_the_same_words_everywhere(
    text: str, no_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = f"must be a number of seconds from 0.2 to 12, or auto, not {text!r}"
    with pytest.raises(SystemExit) as left:
        parse(["--chunk", text])
    assert left.value.code == 2 and f"--chunk {said}" in capsys.readouterr().err
    if text:
        with pytest.raises(SettingsError, match=f"LIVECAP_CHUNK_SECONDS: chunk_seconds {said}"):
            load_settings({}, {"LIVECAP_SETTINGS": "no-such-file", "LIVECAP_CHUNK_SECONDS": text})


@pytest.mark.parametrize("value", ["true", "90", "[]", "nan"])
def test_a_value_of_another_type_is_refused_in_the_file(value: str, no_file: Path) -> None:
    switches = {"screen.compact", "screen.caption_partial", "settle", "speakers", "save_audio", "hook_shell"}
    fit = {"hook_seconds", "stop_after_silence", "serve"} if value == "90" else set()
    for name in STORED.keys() - {"keys"} - switches - fit:
        table, _, key = name.rpartition(".")
        no_file.write_text(f"[{table}]\n{key} = {value}" if table else f"{key} = {value}")
        with pytest.raises(SettingsError, match=f"{name} must be"):
            load_settings({})


def test_mic_takes_the_default_input_although_the_file_names_another(no_file: Path) -> None:
    no_file.write_text('device = "Yeti"')
    assert settings().device == "Yeti"
    assert settings("--mic").device is None
    assert settings("--mic", "--device", "BlackHole").device == "BlackHole"


def test_an_option_may_precede_or_follow_its_command() -> None:
    for arguments in (["--log-dir", "x", "sessions", "list", "--json"], ["--json", "sessions", "--log-dir", "x"]):
        now = settings(*arguments)
        assert (now.log_dir, now.output) == (Path("x"), "json")
    assert settings("--log-dir", "x", "sessions", "--log-dir", "y").log_dir == Path("y")


def test_the_folder_of_sessions_means_the_same_to_a_program_in_another_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sessions_folder(settings("--log-dir", "logs")) == tmp_path / "logs"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse([name, "--help"])
    assert not left.value.code and capsys.readouterr().out.startswith(f"usage: livecap {name}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["talk.wav"],
            "livecap: there is no command 'talk.wav'; to transcribe a recording, use livecap transcribe FILE. See",
        ),
        (
            ["trancribe", "talk.wav"],
            "livecap: there is no command 'trancribe'. Did you mean 'transcribe'? See `livecap --help`.",
        ),
        (["--chnk", "2"], "livecap: unrecognized arguments: --chnk. Did you mean --chunk? See `livecap --help`."),
        (["--modle=x"], "livecap: unrecognized arguments: --modle=x. Did you mean --model? See"),
        (["--device"], "livecap: --device needs a value. See `livecap --help`."),
        (["quantize"], "livecap quantize: the following arguments are required: MODEL, -o/--output. See"),
        (["--speakers=yes"], "livecap: --speakers takes no value, and got 'yes'. See `livecap --help`."),
        (["--xyzzy"], "livecap: unrecognized arguments: --xyzzy. See `livecap --help`."),
        (["doctor", "--lisen"], "livecap doctor: unrecognized arguments: --lisen. Did you mean --listen?"),
        (["demo", "--mic"], "livecap demo: unrecognized arguments: --mic. See `livecap demo --help`."),
        (["--plain", "--json"], "livecap: argument --json: not allowed with argument --plain."),
        (["--pace", "0"], "livecap: --pace must be a number from 0.001 to 1000000, or max, not '0'."),
        (["--channels", "65"], "livecap: --channels must be a whole number from 1 to 64, not '65'."),
        (["--step-cost", "0"], "livecap: --step-cost must be a number of seconds above 0, at most 60, not '0'."),
        (
            ["doctor", "--listen", "0"],
            "livecap doctor: --listen must be a number of seconds from 0.5 to 3600, not '0'.",
        ),
        (
            ["--device", "A", "--device", "B"],
            "livecap: --device was given twice. For two tracks: livecap --mic --device NAME. See `livecap --help`.",
        ),
        (["--replay", "a.flac", "--replay", "b.flac"], "livecap: --replay was given twice. Replay one recording"),
        (["--context", "Priya", "--context", "Anne"], "livecap: --context was given twice. Separate names and terms"),
        (
            ["--context", "a", "transcribe", "--context", "b", "x.flac"],
            "livecap transcribe: --context was given twice.",
        ),
        (["--on-end", "a", "--on-end", "b"], "livecap: --on-end was given twice. Give one command"),
        (
            ["export", "last", "-f", "srt", "-f", "txt"],
            "livecap export: -f was given twice. Separate formats with commas",
        ),
        (["eval", "x.flac", "--jobs", "0"], "livecap eval: --jobs must be a whole number, at least 1, not '0'."),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        parse(arguments)
    err = capsys.readouterr().err
    assert left.value.code == 2 and err.count("\n") == 1 and err.startswith(said)


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["transcribe", "a.flac", "-f", "txt", "b.flac", "--quiet", "c.flac"], "files", ["a.flac", "b.flac", "c.flac"]),
        (["transcribe", "a.flac", "-f", "txt", "--", "-b.flac"], "files", ["a.flac", "-b.flac"]),
        (["quantize", "tiny", "-o", "packed", "a.flac"], "recordings", [Path("a.flac")]),
        (["eval", "a.flac", "--mode", "default", "b.flac"], "recordings", [Path("a.flac"), Path("b.flac")]),
        (["search", "budget", "--since", "2w", "harbour"], "query", ["budget", "harbour"]),
        (["sessions", "delete", "a", "--yes", "b"], "session", ["a", "b"]),
        (["models", "remove", "a", "--yes", "b"], "name", ["a", "b"]),
        (["recover", "a", "--keep", "b"], "session", ["a", "b"]),
        (["recover", "--keep"], "session", []),
        (["compare", "a", "--log-dir", "x", "b"], "other", "b"),
        (["compare", "a", "--log-dir", "x"], "other", None),
        (["ctl", "mark", "very", "--session", "last", "good"], "text", ["very", "good"]),
        (["config", "set", "hook_seconds", "-5"], "value", "-5"),
        (["doctor", "--listen", "--json"], "listen", 5.0),
    ],
)
def test_options_may_stand_between_the_other_arguments(arguments: list[str], name: str, value: object) -> None:
    assert getattr(parse(arguments)[0], name) == value


def test_an_argument_too_many_is_not_said_to_be_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("b.flac").touch()
    with pytest.raises(SystemExit):
        parse(["align", "a.flac", "words", "b.flac"])
    assert capsys.readouterr().err.startswith("livecap align: unrecognized arguments: b.flac. See")


@pytest.mark.parametrize("command", [["export", "last"], ["transcribe", "a.flac"], ["align", "a.flac", "words"]])
def test_a_format_that_is_named_twice_is_written_once(command: list[str]) -> None:
    assert parse([*command, "-f", "srt,tsv,srt"])[0].format == ["srt", "tsv"]


def test_a_file_whose_name_begins_with_a_dash_is_told_from_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-talk.wav").touch()
    with pytest.raises(SystemExit):
        parse(["transcribe", "-talk.wav"])
    said = "unrecognized arguments: -talk.wav. For the file of that name, write ./-talk.wav. See"
    assert said in capsys.readouterr().err
    assert parse(["transcribe", "./-talk.wav"])[0].files == ["./-talk.wav"]
    assert parse(["transcribe", "--", "-talk.wav"])[0].files == ["-talk.wav"]
    assert parse(["--plain", "transcribe", "-f", "srt", "--", "-talk.wav"])[0].files == ["-talk.wav"]
    assert parse(["transcribe", "--"])[0].files == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "budget", "--session"),
        ("search", "budget", "--label"),
        ("search", "budget", "--speaker"),
        ("search", "budget", "--language"),
        ("ctl", "stop", "--session"),
        ("speakers", "last", "--track"),
        ("transcribe", "talk.wav", "--draft-model"),
        ("transcribe", "talk.wav", "--ray"),
    ],
)
@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_refused_and_does_not_mean_any(
    arguments: tuple[str, ...], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([*arguments, name])
    assert ended.value.code == 2
    assert f"{arguments[-1]} must be a name, not {name!r}" in capsys.readouterr().err
