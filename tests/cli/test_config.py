"""`livecap config` says where each value came from; the tables in the documents are made from the settings."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from livecap.cli.config import sentence, template
from livecap.cli.main import run
from livecap.settings.fields import STORED
from livecap.settings.file import toml_value
from livecap.settings.sources import load_settings, variable_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("LIVECAP_SETTINGS", str(path))
    return path


def test_every_value_is_printed_with_its_origin(file, capsys, monkeypatch):
    monkeypatch.setenv("LIVECAP_SCREEN_THEME", "nord")
    assert run(["config", "set", "language", "English"]) == 0
    assert run(["config", "set", "keys.pause", "f5"]) == 0
    assert run(["--context", "Priya", "config"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert 'language = "English" # the settings file' in lines
    assert 'theme = "nord" # LIVECAP_SCREEN_THEME' in lines
    assert 'context = "Priya" # a flag' in lines
    assert "compact = false # default" in lines
    assert 'pause = "f5" # the settings file' in lines
    assert run(["config", "unset", "language"]) == 0
    assert run(["config", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["language"] == {**rows["language"], "value": None, "origin": "default"}
    assert rows["keys"]["value"] == {"pause": "f5"}


def test_paths_mean_the_same_from_every_folder(file, tmp_path, monkeypatch, capsys):
    (tmp_path / "packed").mkdir()
    monkeypatch.chdir(tmp_path)
    values = {"log_dir": "talks", "notes_dir": "~/Notes", "aligner": "off", "model": "packed"}
    for name, value in values.items():
        assert run(["config", "set", name, value]) == 0
    monkeypatch.chdir("/")
    settings = load_settings({}).settings
    assert (settings.log_dir, settings.notes_dir) == (tmp_path / "talks", Path("~/Notes").expanduser())
    assert (settings.aligner, settings.model) == ("off", str(tmp_path / "packed"))
    assert run(["config", "set", "model", "Qwen/Qwen3-ASR-0.6B"]) == 0
    assert load_settings({}).settings.model == "Qwen/Qwen3-ASR-0.6B"


def test_a_file_with_invalid_settings_can_be_found_and_mended(file, capsys):
    file.write_text('langage = "x"\nvad = "loud"\n[screen]\ncolour = 1\n')
    assert run(["config"]) == 1
    assert run(["config", "path"]) == 0 and capsys.readouterr().out == f"{file}\n"
    assert run(["config", "set", "vad", "silero"]) == 0
    assert run(["config", "unset", "langage"]) == 0
    assert run(["config", "unset", "screen.colour"]) == 0
    assert run(["config", "unset", "screen.colour"]) == 1
    assert run(["config"]) == 0
    assert 'vad = "silero"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["config", "set", "langage", "x"], "Did you mean 'language'?"),
        (["config", "set", "screen.compact", "perhaps"], "true or false"),
        (["config", "set", "keys.pauze", "p"], "Did you mean 'pause'?"),
        (["config", "set", "keys.pause", "m"], "is given to 'pause' and to 'mark'"),
        (["config", "unset", "langage"], "Did you mean 'language'?"),
        (["config", "set", "screen.theme", "drakula"], "there is no theme 'drakula'. Did you mean 'dracula'?"),
        (["config", "set", "keys.session.play", "n"], "is given to 'next' and to 'session.play'"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(file, capsys, arguments, sentence):
    assert run(arguments) == 1
    shown = capsys.readouterr()
    assert sentence in shown.err and shown.err.count("\n") == 1 and shown.out == ""
    assert not file.exists()


def test_the_keys_of_every_command_can_be_changed(file, capsys):
    for name, key in {"session.play": "P", "sessions.open": "o", "device.track": "", "pause": ""}.items():
        assert run(["config", "set", f"keys.{name}", key]) == 0
    assert run(["config", "set", "keys.session.back", "P"]) == 1
    assert "the key 'P' is given to 'session.play' and to 'session.back'" in capsys.readouterr().err
    assert run(["config"]) == 0
    shown = capsys.readouterr().out
    assert '"session.play" = "P"' in shown
    assert load_settings({}).settings.keys == {
        "session.play": "P",
        "sessions.open": "o",
        "device.track": "",
        "pause": "",
    }


def test_an_invalid_file_stops_every_command_with_one_line(file, capsys):
    file.write_text("[screen]\ncolour = 'blue'\n")
    assert run(["devices"]) == 1
    assert "there is no setting 'screen.colour'" in capsys.readouterr().err


def test_the_template_is_a_settings_file_that_changes_nothing(file, capsys):
    assert run(["config", "template"]) == 0
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert load_settings({}).settings == load_settings({}, {"LIVECAP_SETTINGS": "no-such-file"}).settings


def test_the_template_with_every_setting_uncommented_is_valid(file):
    active = re.sub(r"^# (\w+ = )", r"\1", template(), flags=re.MULTILINE)
    file.write_text(active, encoding="utf-8")
    assert load_settings({}).settings.language == "English"


def test_the_documents_name_every_setting_and_every_key():
    document = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for setting in STORED.values():
        variable = "" if setting.name == "keys" else f"`{variable_of(setting.name)}`"
        default = "" if setting.default is None or setting.name == "keys" else f"`{toml_value(setting.default)}`"
        assert f"| `{setting.name}` | {variable} | {default} | {sentence(setting)} |\n" in document
    keys = subprocess.run([sys.executable, "-c", KEYS_TABLE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert keys.stdout in (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")


KEYS_TABLE = """
from textual.keys import format_key
from livecap.tui.keys import commands
print("| where | key | does | name in `[keys]` |\\n| --- | --- | --- | --- |")
for command in commands():
    keys = " ".join(f"`{format_key(key)}`" for key in command.keys.split(","))
    print(f"| {command.place} | {keys} | {command.about} | `{command.name}` |")
"""
"""Prints the table of docs/keys.md; a process of its own keeps Textual out of this one."""
