"""What `livecap serve` carries on this machine: live streams, idle connections, and clients that misbehave.

    python -m benchmarks.serve recordings/dictation.flac --seconds 30 --out docs/benchmarks/serve.json

Each phase lets clients of /v1/events play the recording at the pace of speech. A word's latency is the time from its
end, by the words of the closed utterance, until stable text that holds it arrives; the answer time is from the end of
the sound that a stable text is of until that text arrives. Exit status 1 where a sample is lost, or the latency with 8
streams, beside idle connections or beside bad clients is more than twice that of one stream.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.costs import beginning
from livecap.cli.terminal import warn
from livecap.errors import LivecapError
from livecap.eval.figures import percentiles
from livecap.eval.output import as_json, store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference, read_reference
from livecap.eval.wer import ErrorCounts, count_errors
from livecap.this_machine import resident_bytes
from livecap.transcript import SAMPLE_RATE

MESSAGE_SAMPLES = SAMPLE_RATE // 20
STAGGER_SECONDS = 0.37
"""Between the starts of two streams, so that they do not speak in unison."""
N_IDLE = 200
WARM_UP_SECONDS = 5.0
MOST_RATIO = 2.0
"""Word latency p95 of a phase over that of one stream."""


class Player:
    """One client that plays a recording at the pace of speech."""

    def __init__(self, url: str, sound: NDArray[np.float32]) -> None:
        """
        Args:
            sound: [n] at 16 kHz.
        """
        self._url = url
        self._data = (sound * 32767).astype("<i2")
        self._began = 0.0
        self._stable: dict[int, list[tuple[float, int]]] = {}
        """Utterance to arrivals of stable text: (seconds from the start, words so far)."""
        self.word_seconds: list[float] = []
        self.answer_seconds: list[float] = []
        self.text: list[str] = []
        self.n_lost = 0

    async def play(self, delay: float = 0.0) -> None:
        """Play all of it, after a delay in seconds, and take what comes back until the end."""
        await asyncio.sleep(delay)
        async with connect(self._url, max_size=None) as socket:
            self._began = time.monotonic()
            sending = asyncio.create_task(self._send(socket))
            async for message in socket:
                self._hear(json.loads(message), time.monotonic() - self._began)
            await sending

    async def _send(self, socket: ClientConnection) -> None:
        for at in range(0, len(self._data), MESSAGE_SAMPLES):
            piece = self._data[at : at + MESSAGE_SAMPLES]
            await asyncio.sleep(max(0.0, self._began + (at + len(piece)) / SAMPLE_RATE - time.monotonic()))
            await socket.send(piece.tobytes())
        await socket.send('{"type": "finish"}')

    def _hear(self, event: dict[str, Any], arrived: float) -> None:
        match event["type"]:
            case "update":
                self._stable.setdefault(event["utterance"], []).append((arrived, len(event["stable"].split())))
            case "text_committed":
                self.answer_seconds.append(arrived - event["end_sample"] / SAMPLE_RATE)
            case "utterance_ended":
                self.text.append(event["text"])
                shown = [*self._stable.pop(event["utterance"], []), (arrived, len(event["words"]))]
                for number, word in enumerate(event["words"]):
                    stable = next(moment for moment, n_words in shown if n_words > number)
                    self.word_seconds.append(stable - word["end_sample"] / SAMPLE_RATE)
            case "session_ended":
                self.n_lost = len(self._data) - event["n_samples"]


@asynccontextmanager
async def idle(url: str, n: int) -> AsyncIterator[None]:
    """Open `n` connections that say nothing; at the end each must still answer."""
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(connect(url)) for _ in range(n)]
        yield
        for socket in sockets:
            await socket.send('{"type": "finish"}')
            while json.loads(await socket.recv())["type"] != "session_ended":
                pass


@asynccontextmanager
async def bad(url: str, sound: NDArray[np.float32]) -> AsyncIterator[None]:
    """A client that floods and never reads, one that floods and reads, and one after the other that disappears."""
    data = (sound * 32767).astype("<i2").tobytes()

    async def flood(reads: bool) -> None:
        with suppress(ConnectionClosed):
            async with connect(url, max_size=None, max_queue=None if reads else 1, close_timeout=0) as socket:
                while True:
                    await socket.send(data)

    async def disappear() -> None:
        while True:
            socket = await connect(url).__aenter__()
            await socket.send(data[: 2 * SAMPLE_RATE])
            await asyncio.sleep(0.2)
            socket.transport.abort()

    tasks = [asyncio.create_task(each) for each in (flood(False), flood(True), disappear())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Server:
    """A `livecap serve` of its own process."""

    def __init__(self, model: str) -> None:
        command = [sys.executable, "-m", "livecap", "serve", "--model", model, "--port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        found = re.search(r"http://([^ ]+)/v1", said)
        if found is None:
            self.stop()
            raise LivecapError(f"The server did not start: {said.strip().removeprefix('livecap: ')}")
        self.url = f"ws://{found[1]}/v1/events?settle=false"

    @property
    def cpu_seconds(self) -> float:
        """Time that the process has computed; Linux."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()


async def phase(server: Server, reference: Reference, n: int) -> dict[str, Any]:
    """The figures of so many streams at the same time.

    Raises:
        LivecapError: no word is recognised.
    """
    players = [Player(server.url, reference.samples) for _ in range(n)]
    cpu, load, began = server.cpu_seconds, os.getloadavg()[0], time.monotonic()
    await asyncio.gather(*(player.play(STAGGER_SECONDS * number) for number, player in enumerate(players)))
    seconds = time.monotonic() - began
    words = [value for player in players for value in player.word_seconds]
    if not words:
        raise LivecapError(f"No word of {reference.name} was recognised; measure a longer recording of speech.")
    errors = sum((count_errors(reference.text, " ".join(player.text)) for player in players), ErrorCounts())
    return {
        "streams": n,
        "word_seconds": percentiles(words),
        "answer_seconds": percentiles([value for player in players for value in player.answer_seconds]),
        "wer": round(errors.wer, 4),
        "lost_samples": sum(abs(player.n_lost) for player in players),
        "server_cores": round((server.cpu_seconds - cpu) / seconds, 2),
        "server_mb": round(resident_bytes(server.process.pid) / 1e6),
        "load_before": round(load, 1),
    }


async def measured(server: Server, reference: Reference, streams: Sequence[int]) -> dict[str, dict[str, Any]]:
    """All phases, one after the other."""
    await Player(server.url, beginning(reference, WARM_UP_SECONDS).samples).play()
    phases = {}

    async def add(name: str, n: int) -> None:
        phases[name] = await phase(server, reference, n)
        warn(f"{name}: {phases[name]}")

    for n in (1, *streams):
        await add(f"{n} streams", n)
    async with idle(server.url, N_IDLE):
        await add(f"beside {N_IDLE} idle connections", 1)
    async with bad(server.url, reference.samples):
        await add("beside bad clients", 1)
    first = phases["1 streams"]["word_seconds"]["p95"]
    for figures in phases.values():
        figures["p95_ratio"] = round(figures["word_seconds"]["p95"] / first, 2)
    return phases


def missed(phases: dict[str, dict[str, Any]]) -> list[str]:
    """A line for each bound that does not hold. More than 8 streams only show what the machine carries."""
    lines = [
        f"{name}: {figures['lost_samples']} samples are lost"
        for name, figures in phases.items()
        if figures["lost_samples"]
    ]
    return lines + [
        f"{name}: word latency is {figures['p95_ratio']} times that of one stream, at most {MOST_RATIO} is allowed"
        for name, figures in phases.items()
        if figures["streams"] <= 8 and figures["p95_ratio"] > MOST_RATIO
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and store; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument(
        "--seconds", type=float, default=30.0, metavar="N", help="use the first N seconds (default: 30)"
    )
    parser.add_argument("--streams", type=int, nargs="+", default=[8], metavar="N", help="live streams (default: 8)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    try:
        reference = beginning(read_reference(options.recording), options.seconds)
        server = Server(options.model)
        try:
            phases = asyncio.run(measured(server, reference, options.streams))
        finally:
            server.stop()
    except LivecapError as error:
        warn(str(error))
        return 1
    result = {
        "machine": machine(),
        "command": " ".join(["python -m benchmarks.serve", *(sys.argv[1:] if arguments is None else arguments)]),
        "model": options.model,
        "recording": reference.name,
        "sound_seconds": round(reference.seconds, 1),
        "phases": phases,
    }
    print(as_json(result))
    if options.out:
        store_figures(options.out, result)
    complaints = missed(phases)
    for line in complaints:
        warn(line)
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
