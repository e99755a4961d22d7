"""The first start asks three questions; a stopped download can be continued."""

import itertools
import threading
from contextlib import asynccontextmanager
from dataclasses import replace

from textual.screen import Screen

from livecap.cli.this_computer import ThisComputer
from livecap.text.units import size
from livecap.tui.app import LivecapApp
from livecap.tui.choices import InputChoice
from livecap.tui.screens.device_screen import DeviceScreen
from livecap.tui.screens.first_screen import FirstScreen
from livecap.tui.screens.model_screen import ModelScreen
from livecap.tui.widgets.choose_list import ChooseList
from tests.model.hub_server import serving
from tests.tui.machine import ScriptedMachine
from tests.tui.shown import Shown


class ModelAlone(Screen):
    """Asks for a model and exits with the answer."""

    def __init__(self, machine, now):
        super().__init__()
        self._model = ModelScreen(machine, now)

    def on_mount(self):
        self.app.push_screen(self._model, self.app.exit)


@asynccontextmanager
async def opened(make):
    machine, clock = ScriptedMachine(), [0.0]
    app = LivecapApp(make(machine, lambda: clock[0]))
    async with app.run_test(size=(100, 24)) as pilot:
        shown = Shown(app, pilot)
        shown.machine, shown.clock = machine, clock
        yield shown


async def test_the_app_exits_with_three_answers():
    async with opened(FirstScreen) as shown:
        await shown.shows("1 of 3", "MacBook Pro Microphone", "dB")
        await shown.press("enter")
        await shown.shows("2 of 3", "recommended", "downloaded")
        await shown.press("enter")
        await shown.shows("3 of 3", "Detect automatically")
        await shown.pilot.press(*"jap", "enter")
    assert shown.app.return_value == {
        "device": "MacBook Pro Microphone",
        "model": "Qwen/Qwen3-ASR-0.6B",
        "language": "Japanese",
    }
    assert all(meter.closed for meter in shown.machine.meters)


async def test_escape_goes_back_one_question_and_then_exits():
    async with opened(FirstScreen) as shown:
        await shown.shows("1 of 3", "BlackHole")
        await shown.press("enter")
        await shown.shows("2 of 3", "1.9 GB")
        await shown.press("escape")
        await shown.shows("1 of 3", "BlackHole")
        await shown.pilot.press("escape")
    assert shown.app.return_value is None


class InputsAlone(Screen):
    """Asks for an input."""

    def __init__(self, machine, now):
        super().__init__()
        self._inputs = DeviceScreen(machine, now)

    def on_mount(self):
        self.app.push_screen(self._inputs)


async def test_a_highlight_that_comes_after_the_answer_opens_no_input():
    async with opened(InputsAlone) as shown:
        await shown.shows("dB")
        choices = shown.app.screen.query_one(ChooseList)
        choices.highlighted = 2  # its message comes after the answer, as with two keys at once
        shown.app.screen.action_choose()
        await shown.shows_no("BlackHole")
    assert [(meter.name, meter.closed) for meter in shown.machine.meters] == [("MacBook Pro Microphone", True)]


async def test_inputs_with_the_same_name_are_told_apart():
    async with opened(InputsAlone) as shown:
        await shown.shows("dB")
        twins = [InputChoice("USB Audio", "48 kHz  1 ch", index=index) for index in ("1", "4")]
        shown.machine.connected = [shown.machine.listed[0], *twins]
        await shown.press("r")
        await shown.shows("1 USB Audio", "4 USB Audio")
        for index in ("1", "4"):
            await shown.press("down")
            await shown.wait_for(lambda index=index: shown.machine.meters[-1].name == index)
        assert shown.app.screen.query_one(ChooseList).chosen == "4"


async def test_the_failure_of_a_listing_is_shown_until_the_next_one():
    async with opened(InputsAlone) as shown:
        await shown.shows("dB")
        listed, shown.machine.listed = shown.machine.listed, None
        await shown.press("r")
        await shown.shows("The inputs cannot be listed.")
        shown.machine.listed = listed
        await shown.press("r")
        await shown.shows_no("cannot be listed")


async def test_the_failure_of_an_input_that_is_not_highlighted_any_more_is_not_shown():
    opening, may_fail, told = threading.Event(), threading.Event(), threading.Event()
    async with opened(InputsAlone) as shown:
        await shown.shows("dB")
        open_meter, call = shown.machine.meter, shown.app.call_from_thread

        def open_late(name):
            if name == "BlackHole 2ch":
                opening.set()
                assert may_fail.wait(60)
            return open_meter(name)

        def call_from_thread(*arguments):
            call(*arguments)
            if "in use" in arguments[-1]:
                told.set()

        shown.machine.meter, shown.app.call_from_thread = open_late, call_from_thread
        choices = shown.app.screen.query_one(ChooseList)
        choices.highlighted = 1
        await shown.wait_for(opening.is_set)
        choices.highlighted = 2
        await shown.wait_for(lambda: len(shown.machine.meters) == 2)
        may_fail.set()
        await shown.wait_for(told.is_set)
        await shown.shows_no("is in use")


async def test_an_input_that_is_still_being_opened_when_the_user_goes_back_is_closed():
    opening, may_open = threading.Event(), threading.Event()
    async with opened(InputsAlone) as shown:
        await shown.shows("dB")
        open_meter = shown.machine.meter

        def open_late(name):
            opening.set()
            assert may_open.wait(60)
            return open_meter(name)

        shown.machine.meter = open_late
        inputs = shown.app.screen
        inputs.query_one(ChooseList).highlighted = 2
        await shown.wait_for(opening.is_set)
        inputs.action_leave()
        await shown.wait_for(lambda: not inputs.is_running)
        may_open.set()
        await shown.wait_for(lambda: len(shown.machine.meters) == 2 and all(m.closed for m in shown.machine.meters))


async def test_the_input_that_is_shown_when_livecap_ends_is_closed():
    async with opened(InputsAlone) as shown:
        await shown.shows("dB")
        shown.app.exit()
    assert [meter.closed for meter in shown.machine.meters] == [True]


async def test_a_silent_input_is_reported_after_three_seconds():
    async with opened(FirstScreen) as shown:
        await shown.shows("dB")
        shown.machine.meters[0].level = 0.0
        shown.app.screen.poll()
        assert "This input is silent" not in shown.text
        shown.clock[0] += 3.1
        await shown.shows("This input is silent")
        shown.machine.meters[0].level = 0.5
        await shown.shows("dB")
        await shown.shows_no("This input is silent")


async def test_a_silent_meter_says_what_to_do_and_its_sentence_is_not_clipped():
    async with opened(FirstScreen) as shown:
        await shown.shows("dB", "⏎ Choose", "esc Quit")
        shown.machine.meters[0].level, shown.machine.meters[0].trouble = 0.0, "silent"
        shown.app.screen.poll()
        shown.clock[0] += 3.1
        await shown.shows("This input is silent. Is it muted, or is microphone permission missing?")
        shown.app.screen.show_trouble("A sentence of some length. " * 8 + "The end.")
        shown.app.screen.poll()
        await shown.shows("The end.")


async def test_a_download_shows_its_progress_can_be_stopped_and_continued():
    begun, stopped = [], threading.Event()

    def download(name, progress):
        begun.append(name)
        done = 500_000_000 * len(begun)
        progress(done, 4_698_521_512)
        shown.clock[0] += 10
        progress(done + 100_000_000, 4_698_521_512)
        if len(begun) == 1:
            stopped.wait(20)
            progress(done + 200_000_000, 4_698_521_512)

    async with opened(ModelAlone) as shown:
        shown.machine.on_download = download
        await shown.shows("Qwen/Qwen3-ASR-1.7B")
        await shown.press("down", "enter", "y")
        await shown.shows("600 MB of 4.7 GB, 10 MB/s, 7 min left", "%")
        await shown.press("escape")
        stopped.set()
        await shown.shows("Stopped. Press Enter to continue")
        await shown.pilot.press("enter")
        await shown.wait_for(lambda: len(begun) == 2)
    assert begun == ["Qwen/Qwen3-ASR-1.7B"] * 2


class DownloadingMachine(ScriptedMachine):
    """Downloads models as the program does."""

    def download(self, name, progress):
        ThisComputer().download(name, progress)


async def test_a_real_download_stops_in_a_file_and_continues_there(tmp_path, monkeypatch):
    name = "Qwen/Qwen3-ASR-1.7B"
    with serving(name, tmp_path, monkeypatch) as server:
        server.holds_at = 4_000_000
        seconds = itertools.count()
        async with opened(lambda _, now: ModelAlone(DownloadingMachine(), lambda: float(next(seconds)))) as shown:
            await shown.shows(name)
            await shown.press("down", "enter", "y")
            await shown.shows(f"3.9 MB of {size(sum(map(len, server.files.values())))}")
            await shown.press("escape")
            server.go.set()
            await shown.shows("Stopped. Press Enter to continue")
            [part] = tmp_path.rglob("*.livecap-part")
            n_here = part.stat().st_size
            assert 3_900_000 < n_here < 5_000_000
            await shown.pilot.press("enter")
            await shown.wait_for(lambda: shown.app.return_value, lambda: shown.text)
        assert shown.app.return_value == name
        assert server.weights_served()[-1][0] == n_here


async def test_a_licence_of_its_own_is_shown_before_the_download():
    begun = []

    class LicensedMachine(ScriptedMachine):
        def models(self):
            first, second = super().models()
            return [first, replace(second, licence="It has its maker's own licence, not Apache.")]

        def download(self, name, progress):
            begun.append(name)

    async with opened(lambda _, now: ModelAlone(LicensedMachine(), now)) as shown:
        await shown.shows("Qwen/Qwen3-ASR-1.7B")
        await shown.press("down", "enter")
        await shown.shows("It has its maker's own licence, not Apache. Download", "Qwen/Qwen3-ASR-1.7B, 4.7 GB?")
        assert not begun
        await shown.pilot.press("y")
        await shown.wait_for(lambda: begun)


async def test_a_failed_download_is_shown_as_a_sentence():
    async with opened(ModelAlone) as shown:
        await shown.shows("Qwen/Qwen3-ASR-1.7B")
        await shown.press("down", "enter", "y")
        await shown.shows("No network.")
        await shown.press("escape")
