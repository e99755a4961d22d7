"""`livecap bridge` as other programs start it: the examples of docs/, signals, and ends of either side."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from livecap.shipped import demo_recording
from tests.serve.test_bridge import MESSAGE

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "bridge"
BRIDGE = [sys.executable, "-m", "livecap", "bridge", "tiny"]


@pytest.fixture(scope="module")
def wav(tmp_path_factory):
    samples, rate = soundfile.read(demo_recording(), dtype="int16", frames=40000)
    path = tmp_path_factory.mktemp("example") / "talk.wav"
    soundfile.write(path, samples, rate)
    return str(path)


def node():
    return shutil.which("node") or shutil.which("nodejs") or pytest.skip("Node is not installed")


@pytest.mark.parametrize("program", [lambda: [sys.executable, "client.py"], lambda: [node(), "client.mjs"]])
def test_the_examples_transcribe(program, wav):
    done = subprocess.run(
        [*program(), wav, *BRIDGE], cwd=EXAMPLES, capture_output=True, text=True, timeout=120, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (0, "")
    *before, final = done.stdout.splitlines()
    assert any(line.startswith("… Dear") for line in before)
    [text] = [line.removeprefix("= ") for line in before if line.startswith("= ")]
    assert final == f"final: {text}" and text.startswith("Dear")


class Started:
    """A bridge that has loaded its model."""

    def __init__(self):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen(BRIDGE, cwd=ROOT, text=True, **pipes)
        self.send({"type": "start"})
        assert json.loads(self.process.stdout.readline())["type"] == "ready"

    def send(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def end(self):
        status = self.process.wait(60)
        said = [] if self.process.stdout.closed else self.process.stdout.read().splitlines()
        errors = self.process.stderr.read()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        return status, said, errors


def test_a_signal_ends_it_in_order_while_its_input_is_open_and_full():
    bridge = Started()
    bridge.send({"type": "transcribe", "audio": str(demo_recording())})
    bridge.process.stdin.write('{"type": "x"}\n' * 2000)  # more than is read before the first is answered
    bridge.process.stdin.flush()
    time.sleep(0.2)
    bridge.process.send_signal(signal.SIGTERM)
    status, said, errors = bridge.end()
    assert (status, errors) == (0, "")
    messages = [json.loads(line) for line in said]
    assert messages[-1] == {"type": "stopped", "reason": "signal"}
    for message in messages:
        MESSAGE.validate(message)


def test_it_ends_when_its_reader_leaves():
    bridge = Started()
    bridge.process.stdout.close()
    bridge.send({"type": "hello"})
    status, _, errors = bridge.end()
    assert (status, errors) == (0, "")


def test_an_end_within_a_message_is_an_error_and_what_came_before_is_answered():
    given = b'\xef\xbb\xbf{"type": "hello"}\r\n{"type": "sta'
    done = subprocess.run(BRIDGE, cwd=ROOT, input=given, capture_output=True, timeout=60)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [message.get("code", message["type"]) for message in said] == ["capabilities", "invalid_json"]
    assert (done.returncode, done.stderr) == (0, b"")
