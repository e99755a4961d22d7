"""Settings come from file, environment and flags, in that order; every mistake is named with a suggestion."""

import os
import subprocess
import sys
import time
import tomllib
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.cli.main import run
from livecap.errors import SettingsError
from livecap.settings.fields import DEFAULT_MODEL, SETTINGS, STORED, Settings, get
from livecap.settings.file import store, toml_value
from livecap.settings.sources import load_settings, parse_value, variable_of
from livecap.settings.values import DURATION


@pytest.fixture
def file(tmp_path):
    return tmp_path / "deeper" / "settings.toml"


def loaded(file, flags=None, **environ):
    return load_settings(flags or {}, {"LIVECAP_SETTINGS": str(file), **environ})


def written(file, text):
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_file_everything_has_its_default(file):
    now = loaded(file)
    assert now.settings == Settings() and now.origins == {} and now.path == file


def test_flags_win_over_the_environment_and_that_over_the_file(file):
    written(file, 'language = "de"\nmodel = "tiny"\ncontext = "from the file"\n[screen]\ntheme = "nord"\n')
    now = loaded(file, {"language": "fr"}, LIVECAP_LANGUAGE="en", LIVECAP_MODEL="1.7b", LIVECAP_SCREEN_THEME="dracula")
    assert (now.settings.language, now.settings.model, now.settings.context) == ("fr", "1.7b", "from the file")
    assert now.settings.screen.theme == "dracula"
    assert now.origins == {
        "language": "a flag",
        "model": "LIVECAP_MODEL",
        "context": "the settings file",
        "screen.theme": "LIVECAP_SCREEN_THEME",
    }


def test_a_flag_can_take_a_setting_back(file):
    assert loaded(written(file, 'device = "Yeti"\n'), {"device": None}).settings.device is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('langage = "en"', "there is no setting 'langage'. Did you mean 'language'?"),
        ('[screen]\nthem = "nord"', "there is no setting 'screen.them'. Did you mean 'screen.theme'?"),
        ('theme = "nord"', "there is no setting 'theme'. Did you mean 'screen.theme'?"),
        ("caption_lines = 2", "there is no setting 'caption_lines'. Did you mean 'screen.caption_lines'?"),
        ("[screen]\ntimes = 'minute'", "screen.times must be minutes, seconds, elapsed or hidden, not 'minute'."),
        ("[screen]\ncompact = 1", "screen.compact must be true or false, not 1."),
        ("[screen]\ncaption_lines = 90", "screen.caption_lines must be a whole number from 1 to 8, not 90."),
        ("chunk_seconds = 'two'", "chunk_seconds must be a number of seconds from 0.2 to 12, or auto, not 'two'."),
        ("model = 3", "model must be text in UTF-8, not 3."),
        ("keys = 'space'", "keys must be a table of names and keys"),
        ("screen = 1", "there is no setting 'screen'"),
        ("language = ", "is not valid TOML"),
        (f"chunk_seconds = 1{'0' * 5000}", "is not valid TOML: a number has too many digits. Fix it"),
    ],
)
def test_an_invalid_setting_is_named_with_the_file(file, text, sentence):
    with pytest.raises(SettingsError) as trouble:
        loaded(written(file, text))
    assert sentence in str(trouble.value) and str(file) in str(trouble.value)
    assert "\n" not in str(trouble.value)


def test_a_misspelt_variable_is_named_and_unrelated_ones_are_ignored(file):
    with pytest.raises(SettingsError, match="LIVECAP_LANGAGE. Did you mean LIVECAP_LANGUAGE?"):
        loaded(file, LIVECAP_LANGAGE="en")
    assert loaded(file, LIVECAP_PROVE="1", LIVECAP_LANGUAGE="").settings == Settings()


@pytest.mark.parametrize(
    ("variable", "meant"),
    [("LIVECAP_CHUNK", "CHUNK_SECONDS"), ("LIVECAP_THEME", "SCREEN_THEME"), ("LIVECAP_NO_SETTLE", "SETTLE")],
)
def test_the_name_of_a_flag_or_without_its_table_is_no_variable_but_near_one(file, variable, meant):
    with pytest.raises(SettingsError, match=f"{variable}. Did you mean LIVECAP_{meant}?"):
        loaded(file, **{variable: "1"})


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("0", False), ("ON", True)])
def test_the_environment_is_typed(file, text, value):
    now = loaded(file, LIVECAP_SCREEN_COMPACT=text, LIVECAP_CHUNK_SECONDS="3", LIVECAP_LOG_DIR="~/notes")
    assert now.settings.screen.compact is value and now.settings.chunk_seconds == 3.0
    assert now.settings.log_dir == Path("~/notes").expanduser()


@pytest.mark.parametrize(
    "variable", ["LIVECAP_SCREEN_COMPACT", "LIVECAP_CHUNK_SECONDS", "LIVECAP_SCREEN_CAPTION_LINES"]
)
def test_an_invalid_variable_is_named(file, variable):
    with pytest.raises(SettingsError, match=f"{variable}: .* not 'perhaps'"):
        loaded(file, **{variable: "perhaps"})


def test_every_setting_has_a_phrase_a_variable_and_a_true_default():
    assert STORED.keys() >= {"device", "model", "language", "screen.theme", "keys"}
    for name, setting in SETTINGS.items():
        assert setting.name == name and setting.about and not setting.about.endswith("."), name
        assert variable_of(name).isupper()
        assert get(Settings(), name) == setting.default
    assert STORED["model"].default == DEFAULT_MODEL


def test_storing_keeps_comments_and_what_else_is_there(file):
    written(
        file,
        '# mine\nlanguage = "de"  # at home\n\n[keys]\npause = "p"\n\n'
        '# see [screen]\n[screen]\n# colours\ntheme = "nord"\n',
    )
    store(
        file, {"language": "en", "screen.theme": "dracula", "screen.compact": True, "model": "tiny", "keys.mark": "k"}
    )
    assert file.read_text(encoding="utf-8") == (
        '# mine\nlanguage = "en"  # at home\nmodel = "tiny"\n\n[keys]\npause = "p"\nmark = "k"\n\n'
        '# see [screen]\n[screen]\n# colours\ntheme = "dracula"\ncompact = true\n'
    )
    store(file, {"language": None, "screen.theme": None})
    now = loaded(file)
    assert (
        now.settings.language is None
        and now.settings.screen.compact
        and now.settings.keys == {"pause": "p", "mark": "k"}
    )


@pytest.mark.parametrize(
    "text",
    [
        'screen = {theme = "nord"}\n',
        'screen.theme = "nord"\n',
        "[screen]\n'theme' = 'nord' # mine",
        '[keys]\npause = "p"\n\n[screen]\n"theme" = """nord"""\n',
    ],
)
def test_a_setting_is_changed_however_the_file_writes_it(file, text):
    store(written(file, text), {"screen.theme": "dracula", "screen.compact": True})
    now = loaded(file).settings
    assert (now.screen.theme, now.screen.compact) == ("dracula", True)
    assert ("# mine" in text) == ("# mine" in file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text", ["", '[keys]\npause = "p"\n', '[keys]\nsession.play = "f6"\n', '[keys.session]\nplay = "f6"\n']
)
def test_the_name_of_a_command_may_have_a_dot(file, text):
    store(written(file, text), {"keys.session.play": "p,f5", "keys.sessions.open": "o"})
    keys = loaded(file).settings.keys
    assert keys["session.play"] == "p,f5" and keys["sessions.open"] == "o" and keys.get("pause", "p") == "p"
    store(file, {"keys.sessions.open": None})
    assert "sessions.open" not in loaded(file).settings.keys


def test_byte_order_mark_and_line_ends_stay(file):
    text = '\ufeff# mine\r\nlanguage = "de"\r\n\r\n# colours\r\n[screen]\r\n'.encode()
    written(file, "").write_bytes(text)
    assert loaded(file).settings.language == "de"
    store(file, {"language": "en", "model": "tiny", "screen.theme": "nord", "keys.mark": "k"})
    assert file.read_bytes().decode() == (
        '\ufeff# mine\r\nlanguage = "en"\r\nmodel = "tiny"\r\n\r\n# colours\r\n[screen]\r\ntheme = "nord"\r\n'
        '\r\n[keys]\r\nmark = "k"\r\n'
    )
    assert loaded(file).settings.screen.theme == "nord"


def test_what_cannot_be_changed_safely_is_left_alone(file):
    text = '[screen]\ntheme = "nord"\n[keys]\nmark = """\n# looks like a comment\n[screen]\n"""\n'
    with pytest.raises(SettingsError, match="by hand"):
        store(written(file, text), {"screen.theme": "dracula"})
    assert file.read_text(encoding="utf-8") == text


def test_the_file_is_private_and_only_a_lock_is_left_beside_it(file):
    before = os.umask(0)
    try:
        store(file, {"model": "tiny"})
        file.chmod(0o644)
        store(file, {"model": "0.6b"})
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()} == {
        "settings.toml": 0o600,
        ".settings.toml.lock": 0o600,
    }


def test_four_processes_that_write_at_once_lose_nothing(file):
    script = (
        "import sys; from pathlib import Path; from livecap.settings.file import store\n"
        "path, who = Path(sys.argv[1]), sys.argv[2]\n"
        "sys.stdin.readline()\n"
        "for i in range(15): store(path, {f'keys.{who}{i}': 'x'})\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(file), who], stdin=subprocess.PIPE, text=True)
        for who in "abcd"
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.close()
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert loaded(file).settings.keys == {f"{who}{i}": "x" for who in "abcd" for i in range(15)}


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "occupied").write_text("")
    with pytest.raises(SettingsError, match="Cannot"):
        store(tmp_path / "occupied" / "settings.toml", {"model": "tiny"})


def test_a_device_is_never_replaced_by_a_file():
    with pytest.raises(SettingsError, match="is not a file"):
        store(Path(os.devnull), {"model": "tiny"})
    assert Path(os.devnull).is_char_device()


def test_a_link_to_the_file_stays_a_link(file, tmp_path):
    written(file, 'model = "tiny"\n')
    link = tmp_path / "linked.toml"
    link.symlink_to(file)
    store(link, {"language": "en"})
    assert link.is_symlink() and 'language = "en"' in file.read_text(encoding="utf-8")


@given(st.text(), st.text())
def test_any_text_is_stored_as_it_is(tmp_path_factory, context, device):
    file = tmp_path_factory.mktemp("s") / "settings.toml"
    if any("\ud800" <= character <= "\udfff" for character in context + device):
        return
    store(file, {"context": context, "device": device, "screen.compact": True})
    now = loaded(file)
    assert (now.settings.context, now.settings.device) == (context, device)


@given(
    st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.floats(-1e6, 1e6), st.text(st.characters(codec="utf-8")))
)
def test_values_are_written_as_toml_reads_them(value):
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value


def test_a_typed_value_is_checked():
    assert parse_value("chunk_seconds", "4", "here") == 4.0
    with pytest.raises(SettingsError, match="from 0.2 to 12"):
        parse_value("chunk_seconds", "90", "here")


def test_replacing_a_screen_setting_needs_no_other():
    settings = Settings()
    assert replace(settings.screen, compact=True).theme == settings.screen.theme


HUGE = "9" * 400
ABSURD = {
    "nested arrays": "context = " + "[" * 100_000,
    "nested tables": "x = " + "{a = " * 100_000,
    "5000 digits": f"chunk_seconds = 1{'0' * 5000}",
    "400 digits": f"chunk_seconds = {HUGE}",
    "huge in hexadecimal": f"chunk_seconds = 0x{'f' * 9000}",
    "huge in a list": f"chunk_seconds = [0x{'f' * 9000}]",
    "huge for a whole number": f"[screen]\ncaption_lines = {HUGE}",
    "not a number": "chunk_seconds = nan",
    "infinite": "chunk_seconds = inf",
    "dotted key": "a" + ".a" * 60_000 + " = 1",
    "dotted key, quoted": '"a"' + " . 'a'" * 20_000 + " = 1",
    "dotted table": "[a" + ".a" * 60_000 + "]",
    "dotted key in a table": "x = {a" + ".a" * 60_000 + " = 1}",
    "long name": "a" * 60_000 + " = 1",
    "many names": "\n".join(f"a{n} = 1" for n in range(20_000)),
    "zero byte in a path": 'log_dir = "a\\u0000b"',
    "unknown home folder": 'log_dir = "~nosuchuser/x"',
    "empty path": 'log_dir = ""',
    "long text": f'[screen]\ntimes = "{"x" * 200_000}"',
    "date": "chunk_seconds = 2026-03-01",
    "too large": "# " + "x" * (1 << 18),
    "zero bytes": "\0" * 1000,
}


@pytest.mark.parametrize("name", ABSURD)
def test_an_absurd_file_is_one_short_line_soon(file, name):
    written(file, ABSURD[name])
    began = time.thread_time()
    for act in (loaded, lambda path: store(path, {"model": "tiny"})):
        try:
            act(file)
        except SettingsError as error:
            assert str(file) in str(error) and "\n" not in str(error) and len(str(error)) < 1000
        else:
            assert act is not loaded, "livecap changes a file that it could not use"
    assert time.thread_time() - began < 10
    with pytest.raises(SettingsError):
        loaded(file)


def test_an_absurd_file_takes_little_memory(file):
    tracemalloc.start()
    for name in ("dotted key", "dotted table", "nested arrays", "many names"):
        with pytest.raises(SettingsError):
            loaded(written(file, ABSURD[name]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_long_texts_with_many_dots_are_no_deep_keys(file):
    text = "e.g. this. " * 3000 + "www.example.org." * 30 + "'a'." * 40
    store(written(file, f"# {text}\n"), {"context": text})
    assert loaded(file).settings.context == text
    written(file, f'context = """{text}\n"""\nmodel = "{text}"')
    assert loaded(file).settings.model == text


def test_a_loop_of_links_is_an_error_and_stays(tmp_path):
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.symlink_to(other)
    other.symlink_to(one)
    with pytest.raises(SettingsError, match="Too many levels of symbolic links"):
        store(one, {"language": "en"})
    assert one.is_symlink() and other.is_symlink()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_not_a_regular_file_is_not_opened(file, make):
    file.parent.mkdir()
    make(file)
    with pytest.raises(SettingsError, match="not a"):
        loaded(file)
    with pytest.raises(SettingsError, match="not a file"):
        store(file, {"model": "tiny"})


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_in_another_encoding_is_named_as_such(file, encoding):
    file.parent.mkdir()
    file.write_bytes('context = "Zoë"\n'.encode(encoding))
    with pytest.raises(SettingsError, match="not text in UTF-8"):
        loaded(file)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--start", "1e308"),
        ("--start", "1:1e308"),
        ("--end", "9" * 5000),
        ("--start", "nan"),
        ("--pace", "1e-300"),
        ("--pace", "1e300"),
        ("--chunk", "9" * 5000),
        ("--rate", "9" * 5000),
        ("--log-dir", ""),
        ("--context", "a\udcff"),
        ("--device", "a\udcff"),
        ("--model", "a\udcff"),
        ("--log-dir", "~nosuchuser/x"),
        ("--log-dir", "a\0b"),
    ],
)
def test_an_absurd_flag_is_one_short_line(flag, value, capsys):
    sound = ["--stdin"] if flag == "--rate" else ["--replay", "talk.wav"]
    with pytest.raises(SystemExit) as left:
        run([*sound, flag, value])
    shown = capsys.readouterr().err
    assert left.value.code == 2 and shown.count("\n") == 1 and flag in shown and len(shown) < 300


def test_auto_and_max_can_be_written_wherever_a_flag_takes_them(file):
    assert loaded(file, LIVECAP_CHUNK_SECONDS="auto").settings.chunk_seconds is None
    assert loaded(written(file, 'chunk_seconds = "auto"')).settings.chunk_seconds is None
    now = loaded(written(file, "chunk_seconds = 2"), LIVECAP_CHUNK_SECONDS="auto")
    assert now.settings.chunk_seconds is None and now.origins["chunk_seconds"] == "LIVECAP_CHUNK_SECONDS"
    assert parse_value("chunk_seconds", "auto", "here") is None


@pytest.mark.parametrize(
    ("variable", "what_to_do"),
    [
        ("LIVECAP_KEYS", "livecap config set keys."),
        ("LIVECAP_KEYS_PAUSE", "livecap config set keys."),
        ("LIVECAP_PACE", "--pace"),
        ("LIVECAP_MIC", "--mic"),
        ("LIVECAP_REPLAY", "--replay"),
        ("LIVECAP_LABELS", "--label"),
        ("LIVECAP_LABEL", "--label"),
        ("LIVECAP_START", "--start"),
        ("LIVECAP_OUTPUT", "--plain, --json"),
        ("LIVECAP_PLAIN", "--plain, --json"),
        ("LIVECAP_INLINE", "--plain, --json or --inline"),
    ],
)
def test_a_variable_that_is_not_read_says_what_to_use(file, variable, what_to_do):
    with pytest.raises(SettingsError, match=f"^{variable}: .*{what_to_do}"):
        loaded(file, **{variable: "1"})


def test_a_settings_file_without_a_current_folder_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    os.chdir("gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SettingsError, match=r"Cannot write settings.toml: No such file"):
        store(Path("settings.toml"), {"language": "en"})


def test_text_that_is_not_utf_8_is_not_stored(file):
    with pytest.raises(SettingsError, match="UTF-8"):
        parse_value("context", "a\udcff", "livecap config set")
    with pytest.raises(SettingsError, match="UTF-8"):
        store(file, {"log_dir": Path("a\udcff")})
    assert not file.exists()


def test_a_value_with_which_the_file_could_not_be_read_is_refused(file):
    store(file, {"model": "tiny", "context": "Zoë " * 30_000})
    before = file.read_bytes()
    with pytest.raises(SettingsError, match="larger than 262,144 bytes"):
        store(file, {"on_line": "Zoë " * 30_000})
    assert file.read_bytes() == before and loaded(file).settings.model == "tiny"


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(file, monkeypatch):
    store(file, {"model": "tiny"})
    before = file.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("livecap.files.os.fsync", full)
    with pytest.raises(SettingsError, match="No space left"):
        store(file, {"model": "0.6b"})
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == [".settings.toml.lock", "settings.toml"]


def test_the_folder_of_the_file_is_private_under_any_umask(tmp_path):
    before = os.umask(0)
    try:
        store(tmp_path / "a" / "b" / "settings.toml", {"model": "tiny"})
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a" / "b")} == {0o700}


def test_nothing_is_written_through_a_link_beside_the_file(file, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("stays")
    file.parent.mkdir()
    for name in ("settings.toml.new", ".settings.toml.new"):
        (file.parent / name).symlink_to(victim)
    store(file, {"model": "tiny"})
    (file.parent / ".settings.toml.lock").unlink()
    (file.parent / ".settings.toml.lock").symlink_to(tmp_path / "other")
    with pytest.raises(SettingsError, match="Cannot write"):
        store(file, {"model": "0.6b"})
    assert victim.read_text() == "stays" and not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "text",
    [
        "screen = 1\n",
        "[[screen]]\ntheme = 'nord'\n",
        'context = """\n# looks like a comment\n[screen]\n"""\n',
        "keys = 'p'\n",
        "screen = []\n",
    ],
)
def test_a_file_of_a_strange_form_is_changed_rightly_or_left_alone(file, text):
    written(file, text)
    try:
        store(file, {"context": "new", "screen.theme": "dracula", "keys.pause": "p"})
    except SettingsError as error:
        assert "by hand" in str(error) and file.read_text(encoding="utf-8") == text
    else:
        now = loaded(file).settings
        assert (now.context, now.screen.theme, now.keys) == ("new", "dracula", {"pause": "p"})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("15 min", 900),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1:30", 90),
        ("0.5h", 1800),
    ],
)
def test_a_time_is_written_as_people_write_it(text, seconds):
    assert DURATION.from_text(text) == seconds == DURATION.checked(seconds)


@pytest.mark.parametrize("text", ["", "0", "h", "-5m", "1d", "5m3h", "1.2.3m", "nan", "1e99h"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        DURATION.from_text(text)
