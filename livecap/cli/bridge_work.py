"""The work of `livecap bridge`: requests from standard input, answers to standard output."""

import argparse
import asyncio
import json
import os
import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files

from livecap.cli.download import find_model
from livecap.cli.recognition import engine_settings
from livecap.cli.terminal import signals_stop, warn
from livecap.engine import Engine, EngineSettings
from livecap.serve.bridge.bridge import Bridge
from livecap.serve.bridge.capabilities import BridgeSettings, capabilities
from livecap.serve.bridge.lines import Output, lines_of
from livecap.serve.bridge.requests import BridgeError
from livecap.serve.worker import Worker
from livecap.settings.fields import Settings
from livecap.stream.config import ReuseConfig
from livecap.text.printing import say_json, take_standard_output

READ_BYTES = 1 << 18
MOST_LINES = 4
"""Requests that are read ahead."""
LAST_SECONDS = 5.0
"""How long the end waits for the caller to read the last answers."""


def run_bridge(options: argparse.Namespace, settings: Settings) -> int:
    """Answer requests until the caller asks to stop, leaves, or a signal comes; returns the exit status."""
    if options.print_schema:
        say_json(
            json.loads(files("livecap.serve.bridge").joinpath("schema.json").read_text(encoding="utf-8")), indent=2
        )
        return 0
    # Before the Hub's client is imported, which reads them:
    if options.cache_dir is not None:
        os.environ["HF_HUB_CACHE"] = str(options.cache_dir)
    if options.local_files_only:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if options.model_name is not None:
        settings = replace(settings, model=options.model_name)
    recognition = engine_settings(settings, find=lambda name: None)
    if options.no_cache:
        off = ReuseConfig(verify_draft=False, reuse_encoder=False, reuse_kv=False)
        recognition = replace(recognition, stream=replace(recognition.stream, reuse=off))
    usual = BridgeSettings(
        settings.model,
        recognition.language,
        recognition.context,
        options.max_new_tokens or None,
        uses_cache=not options.no_cache,
    )
    if options.print_capabilities:
        say_json(capabilities(usual))
        return 0
    return _serve(usual, recognition)


def _serve(usual: BridgeSettings, recognition: EngineSettings) -> int:
    answers = take_standard_output()
    problems: list[str] = []

    def load(settings: EngineSettings) -> Engine:
        find_model(str(settings.model))
        return Engine.load(settings, warn)

    async def talk() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        lines: asyncio.Queue[bytes | BridgeError | None] = asyncio.Queue(MOST_LINES)

        def stop() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(task.cancel)

        def on_closed(problem: str | None) -> None:
            if problem is not None:
                problems.append(problem)
            stop()

        def deliver(line: bytes | BridgeError | None) -> None:
            """Wait for room. Raises RuntimeError or CancelledError once the bridge takes no more."""
            put = lines.put(line)
            try:
                asyncio.run_coroutine_threadsafe(put, loop).result()
            except RuntimeError:
                put.close()
                raise

        def read() -> None:
            with suppress(RuntimeError, CancelledError):
                try:
                    for line in lines_of(lambda: os.read(0, READ_BYTES)):
                        deliver(line)
                except OSError as error:
                    problems.append(f"Cannot read from standard input: {error.strerror or error}.")
                deliver(None)

        output = Output(answers, on_closed)
        bridge = Bridge(usual, lambda: Worker(recognition, warn, load), output.send, warn, lambda: output.waiting_bytes)
        threading.Thread(target=read, name="bridge input", daemon=True).start()
        try:
            with signals_stop(stop):
                await bridge.run(lines)
        finally:
            output.close(LAST_SECONDS)

    asyncio.run(talk())
    for problem in problems:
        warn(problem)
    return 1 if problems else 0
