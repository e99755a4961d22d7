"""Live transcription of a WAV file over `livecap bridge`, with the standard library alone.

python client.py talk.wav [COMMAND ...]       COMMAND is by default: livecap bridge
"""

import base64
import json
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

CHUNK_SECONDS = 0.25


def requests(path: str) -> Iterator[dict[str, Any]]:
    """What the program asks: a stream with events, its sound in chunks, and the final text."""
    with wave.open(path) as sound:
        assert sound.getsampwidth() == 2, "this example reads 16-bit WAV files"
        rate, channels = sound.getframerate(), sound.getnchannels()
        yield {"type": "start", "id": "load"}
        yield {"type": "start_stream", "stream_id": "talk", "sample_rate": rate, "channels": channels, "events": True}
        while data := sound.readframes(int(rate * CHUNK_SECONDS)):
            yield {"type": "audio_chunk", "stream_id": "talk", "pcm16": base64.b64encode(data).decode()}
    yield {"type": "end_utterance", "stream_id": "talk", "utterance_id": "all"}
    yield {"type": "flush", "id": "final"}
    yield {"type": "stop"}


def main() -> int:
    path, command = sys.argv[1], sys.argv[2:] or ["livecap", "bridge"]
    bridge = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    assert bridge.stdin is not None and bridge.stdout is not None
    to_bridge = bridge.stdin

    def ask() -> None:  # a thread of its own: who only writes, and never reads, comes to a standstill
        with suppress(BrokenPipeError), to_bridge:  # the bridge may end first; its status tells why
            for request in requests(path):
                to_bridge.write(json.dumps(request) + "\n")
                to_bridge.flush()

    threading.Thread(target=ask, daemon=True).start()
    for line in bridge.stdout:
        message = json.loads(line)
        if message["type"] == "update":
            print("…", message["stable"] + message["partial"])
        elif message["type"] == "utterance":
            print("=", message["text"])
        elif message["type"] == "realtime_batch_final":
            print("final:", message["items"][0]["text"])
        elif message["type"] == "error":
            print(f"error {message['code']}: {message['message']}", file=sys.stderr)
            bridge.terminate()
            return 1
    return bridge.wait()


if __name__ == "__main__":
    raise SystemExit(main())
