"""A model Hub on this machine that implements the part of the Hugging Face Hub's protocol that its client needs."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from huggingface_hub import constants, file_download

from livecap.model.checkpoint import large_files
from livecap.model.checkpoint.load import resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE = 1 << 16


class HubServer:
    """Serves one folder as one repository, with the faults that the test sets."""

    def __init__(self, folder: Path, repository: str) -> None:
        self.repository = repository
        self.files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        self.knows_ranges = True
        self.breaks_after: list[int] = []
        """For each of the next answers with weights: the connection breaks after this many bytes."""
        self.holds_at: int | None = None
        """Weights from this byte on wait for `go`."""
        self.go = threading.Event()
        self.served: list[tuple[str, int, int]] = []
        """(file, first byte, number of bytes sent) of each answer to GET."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def log_message(self, *arguments: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def weights_served(self) -> list[tuple[int, int]]:
        """(first byte, number of bytes sent) of each answer with weights."""
        return [(first, n) for name, first, n in self.served if name.endswith(".safetensors")]

    def answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        path = unquote(request.path.partition("?")[0])
        if path in (f"/api/models/{self.repository}/revision/main", f"/api/models/{self.repository}"):
            siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
            self._json(request, {"id": self.repository, "sha": COMMIT, "siblings": siblings})
        elif path.startswith(f"/api/models/{self.repository}/tree/"):
            rows = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.files.items()
            ]
            self._json(request, rows)
        elif path.startswith((f"/{self.repository}/resolve/", "/store/")) and path.rpartition("/")[2] in self.files:
            self._file(request, path.rpartition("/")[2], body)
        else:
            data = b"Repository not found"
            request.send_response(404)
            request.send_header("X-Error-Code", "RepoNotFound")
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)

    def _json(self, request: BaseHTTPRequestHandler, content: object) -> None:
        data = json.dumps(content).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def _file(self, request: BaseHTTPRequestHandler, name: str, body: bool) -> None:
        data, first = self.files[name], 0
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        if name.endswith(".safetensors") and not request.path.startswith("/store/"):  # large files are stored elsewhere
            request.send_response(302)
            request.send_header("Location", f"{self.url}/store/{name}")
            request.send_header("X-Linked-Etag", etag)
            request.send_header("X-Linked-Size", str(len(data)))
            request.send_header("X-Repo-Commit", COMMIT)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        wanted = request.headers.get("Range")
        if body and wanted and self.knows_ranges:
            first = int(wanted.removeprefix("bytes=").partition("-")[0])
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        else:
            request.send_response(200)
        request.send_header("ETag", etag)
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("Content-Length", str(len(data) - first))
        request.end_headers()
        if body:
            self._send(request, name, data, first)

    def _send(self, request: BaseHTTPRequestHandler, name: str, data: bytes, first: int) -> None:
        most = len(data)
        if name.endswith(".safetensors") and self.breaks_after:
            most = first + self.breaks_after.pop(0)
        sent = first
        try:
            while sent < min(most, len(data)):
                if name.endswith(".safetensors") and self.holds_at is not None and sent >= self.holds_at:
                    self.go.wait(60)
                piece = data[sent : min(sent + PIECE, most)]
                request.wfile.write(piece)
                sent += len(piece)
        except OSError:
            pass  # the client has closed the connection
        self.served.append((name, first, sent - first))
        if sent < len(data):
            request.close_connection = True
            request.connection.close()


@contextmanager
def serving(repository: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """Serve `tiny` as this repository, on the only Hub that the client knows; its cache is in `folder`."""
    server = HubServer(resolve("tiny"), repository)
    before = constants.ENDPOINT
    for module in (constants, file_download):
        for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_TEMPLATE"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(module, name).replace(before, server.url))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(large_files, "WAIT_SECONDS", 0.0)
    try:
        yield server
    finally:
        server.go.set()
        server.close()
