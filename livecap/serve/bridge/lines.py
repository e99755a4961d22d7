"""Lines of JSON in and out: requests from a descriptor, and answers from any thread to a file."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TextIO

from livecap.serve.bridge.requests import MOST_LINE_BYTES, BridgeError, Record
from livecap.text.printing import say
from livecap.text.safety import json_text


def lines_of(read: Callable[[], bytes], most_bytes: int = MOST_LINE_BYTES) -> Iterator[bytes | BridgeError]:
    """Each line that is not blank, without its end; an error in place of one that is too long, which is passed over.

    Args:
        read: the next bytes; b"" at the end.
    """
    waiting, is_too_long = bytearray(), False
    at_end = False
    while not at_end:
        data = read()
        at_end = not data
        *ended, rest = data.split(b"\n")
        for piece in ended if not at_end else [b""]:
            waiting += piece
            if is_too_long or len(waiting) > most_bytes:
                yield BridgeError("line_too_long", f"A request may have at most {most_bytes} bytes.")
            elif waiting.strip():
                yield bytes(waiting)
            waiting, is_too_long = bytearray(), False
        waiting += rest
        if len(waiting) > most_bytes:
            waiting, is_too_long = bytearray(), True


class Output:
    """Writes JSON objects to a file, a line each, on a thread of its own. Any thread may send.

    An `update` or `progress` that was not written yet is replaced by the next one of its utterance or request. What was
    said before a stream began stays: another stream may have had its name.
    """

    def __init__(self, file: TextIO, on_closed: Callable[[str | None], None]) -> None:
        """
        Args:
            file: is closed once everything was written.
            on_closed: called once, on the thread, when nothing more can be written: with None if the reader left, else
                with the error in one line.
        """
        self._file, self._on_closed = file, on_closed
        self._changed = threading.Condition()
        self._waiting: dict[object, str] = {}
        self._n_sent = self._n_streams = 0
        self._is_writing = self._is_closed = self._ends = False
        self.waiting_bytes = 0
        """What the reader has not taken yet."""
        self._thread = threading.Thread(target=self._write, name="bridge output", daemon=True)
        self._thread.start()

    def send(self, record: Record) -> None:
        """Write a record after those before it."""
        line = json_text(record)
        with self._changed:
            if self._is_closed:
                return
            self._n_sent += 1
            self._n_streams += record["type"] == "stream_ready"
            key: object = self._n_sent
            if record["type"] in ("update", "progress"):
                names = record.get("stream_id"), record.get("utterance"), record.get("id")
                key = record["type"], *names, self._n_streams
            self.waiting_bytes += len(line) - len(self._waiting.get(key, ""))
            self._waiting[key] = line
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Write what waits, for at most this long; what the reader has not taken by then is lost."""
        with self._changed:
            self._ends = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_closed or not (self._waiting or self._is_writing), seconds)

    def _write(self) -> None:
        try:
            while True:
                with self._changed:
                    self._is_writing = False
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._waiting or self._ends)
                    if not self._waiting:
                        break
                    lines, self._waiting = list(self._waiting.values()), {}
                    self.waiting_bytes = 0
                    self._is_writing = True
                for line in lines:
                    say(line, file=self._file)
                self._file.flush()
            self._file.close()
        except BrokenPipeError:
            self._close(None)
        except OSError as error:
            self._close(f"Cannot write the output: {error.strerror or error}.")

    def _close(self, why: str | None) -> None:
        with suppress(OSError):  # what it holds cannot be written either
            self._file.close()
        with self._changed:
            self._is_closed, self._waiting, self.waiting_bytes = True, {}, 0
            self._changed.notify_all()
        self._on_closed(why)
