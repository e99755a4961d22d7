"""An input is found by its index, its name or part of it; otherwise a message says which inputs there are."""

import builtins
import subprocess
import sys
from contextlib import suppress

import pytest

from livecap.audio_in.device import devices
from livecap.audio_in.device.devices import InputDevice, choose_input
from livecap.audio_in.device.enumeration import probe_inputs
from livecap.errors import AudioError


def device(index, name, is_default=False):
    return InputDevice(index, name, "Core Audio", 2, 48_000, is_default)


INPUTS = [
    device(0, "MacBook Pro Microphone", is_default=True),
    device(2, "BlackHole 2ch"),
    device(3, "BlackHole 16ch"),
    device(5, "7"),
    device(7, "Yeti"),
    device(8, "Yeti Nano"),
]


@pytest.mark.parametrize(
    "query, index",
    [
        (None, 0),
        ("BlackHole 2ch", 2),
        ("blackhole 16CH", 3),
        ("macbook", 0),
        (2, 2),
        ("3", 3),
        ("7", 5),  # a name that looks like an index
        (" Yeti ", 7),  # exact, although it is part of another name
        ("yeti", 7),
        ("nano", 8),
    ],
)
def test_index_name_or_part_of_a_name(query, index):
    assert choose_input(query, INPUTS).index == index


@pytest.mark.parametrize(
    "query, said, not_said",
    [
        ("blackhole", ["More than one", "2 BlackHole 2ch", "3 BlackHole 16ch", "index"], ["Yeti"]),
        ("Rode", ['No input named "Rode"', "0 MacBook Pro Microphone", "8 Yeti Nano", "livecap devices"], []),
        ("99", ['No input named "99"', "livecap devices"], []),
        (-1, ['No input named "-1"'], []),
        ("", ["empty", "Yeti"], []),
    ],
)
def test_none_or_several_list_the_candidates(query, said, not_said):
    with pytest.raises(AudioError) as raised:
        choose_input(query, INPUTS)
    message = str(raised.value)
    assert all(part in message for part in said) and not any(part in message for part in not_said)
    assert "\n" not in message


def test_of_many_inputs_the_first_are_named_and_the_rest_are_counted():
    many = [device(n, f"Input {n}" + " with a name that is very long" * 4 * (n == 1)) for n in range(25)]
    with pytest.raises(AudioError) as raised:
        choose_input("Rode", many)
    message = str(raised.value)
    assert "9 Input 9, and 15 more. See `livecap devices`." in message and "Input 10" not in message
    assert len(message) < 300


def test_long_names_that_begin_or_end_alike_stay_apart():
    many = "Monitor of " + "A-very-long-name-without-a-space" * 2
    names = [f"{many} one", f"{many} two", f"Front {'x' * 60}", f"Rear {'x' * 60}"]
    with pytest.raises(AudioError) as raised:
        choose_input("Rode", [device(n, name) for n, name in enumerate(names)])
    shown = str(raised.value).split("Found: ")[1].split(". See")[0].split(", ")
    assert [name.split("…")[0][2:9] for name in shown] == ["Monitor", "Monitor", "Front x", "Rear xx"]
    assert [name[-4:] for name in shown] == [" one", " two", "xxxx", "xxxx"]
    assert all(len(name) == 62 for name in shown), "the index, a space, and 60 characters of the name"


def test_two_of_the_same_name_are_reported_apart_by_index():
    twins = [device(1, "USB Audio"), device(4, "USB Audio")]
    with pytest.raises(AudioError, match="1 USB Audio, 4 USB Audio"):
        choose_input("USB Audio", twins)
    assert choose_input("4", twins).index == 4


@pytest.mark.parametrize("query", ["BlackHole 2ch", "blackhole", "Black Hole"])
@pytest.mark.parametrize("inputs", [[], [device(0, "Yeti", is_default=True)]])
def test_missing_blackhole_says_how_to_install_it(query, inputs):
    with pytest.raises(AudioError, match=r"brew install blackhole-2ch.*docs/macos\.md"):
        choose_input(query, inputs)


def test_no_input_at_all():
    with pytest.raises(AudioError, match="No input was found.*--replay"):
        choose_input(None, [])
    with pytest.raises(AudioError, match='No input named "Yeti": no input was found at all'):
        choose_input("Yeti", [])


def test_no_default_input():
    with pytest.raises(AudioError, match=r"no default input\. Found: 1 Yeti\. .*--device"):
        choose_input(None, [device(1, "Yeti")])


def test_missing_portaudio_names_the_package(monkeypatch):
    really_import = builtins.__import__

    def no_portaudio(name, *args, **kwargs):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return really_import(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", no_portaudio)
    with pytest.raises(AudioError, match=r"PortAudio library not found\. .*libportaudio2"):
        devices.list_inputs()


def test_blackhole_is_only_missing_where_none_of_its_kind_is_here():
    with pytest.raises(AudioError, match="See `livecap devices`"):
        choose_input("BlackHole 64ch", INPUTS)
    with pytest.raises(AudioError, match="brew install blackhole-2ch"):
        choose_input("BlackHole 64ch", INPUTS[:1])


FAKE_SOUNDDEVICE = """
import sys, threading, time, types
fake = sys.modules["sounddevice"] = types.ModuleType("sounddevice")
fake._initialized, fake._exit_handler = 1, lambda: print("ended by sounddevice")
def terminate():
    fake._initialized -= 1
    print("ended by livecap")
reading, slow = threading.Event(), sys.argv[1] == "slow"
class OutputStream:
    def __init__(self, **options):
        pass
    def start(self):
        pass
    def write(self, sound):
        reading.set()
        time.sleep(60)
fake.OutputStream = OutputStream
def play():
    devices.write_output(devices.open_output(16000), None)
def query_devices():
    reading.set()
    time.sleep(60 if slow else 0)
    return []
fake._terminate, fake.query_devices, fake.query_hostapis = terminate, query_devices, lambda: []
fake.PortAudioError, fake.default = OSError, types.SimpleNamespace(device=(0, 0))
import atexit
atexit.register(fake._exit_handler)
from livecap.audio_in.device import devices
devices.EXIT_SECONDS = 0.05
thread = threading.Thread(target=play if sys.argv[1] == "playing" else devices.list_inputs, daemon=True)
thread.start()
assert reading.wait(30)
sys.argv[1] == "quick" and thread.join()
"""


@pytest.mark.parametrize("use, printed", [("quick", "ended by livecap\n"), ("slow", ""), ("playing", "")])
def test_the_end_of_the_program_leaves_portaudio_to_a_thread_that_uses_it(use, printed):
    command = [sys.executable, "-c", FAKE_SOUNDDEVICE, use]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == printed


def test_the_search_for_inputs_runs_no_file_of_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    with suppress(AudioError):  # no PortAudio here
        probe_inputs("Yeti")
    assert [path.name for path in tmp_path.iterdir()] == ["json.py"]
