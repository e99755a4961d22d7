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
        self.commit = COMMIT
        self.revisions = {"main", COMMIT}
        """The branches and commits that there are; all have the same files."""
        self.tags: list[str] = []
        """Tags of the model card, such as `license:apache-2.0`."""
        self.links_large_files = True
        """Redirect weights to another place, with X-Linked headers; False as a plain mirror does."""
        self.lists_sizes = True
        self.refuses: dict[str, str] | None = None
        """Headers of an answer 401 to everything."""
        self.announced: dict[str, str] = {}
        """File to the SHA-256 that is announced instead of the true one."""
        self.waits: list[float] = []
        """For each of the next answers with weights: seconds of silence in the middle."""
        self.asked: list[str] = []
        """The path of each request."""
        self.tokens: list[tuple[str, str | None]] = []
        """The path of each request, and the access token that came with it."""
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
        self.asked.append(path)
        self.tokens.append((path, request.headers.get("Authorization")))
        named = path.removeprefix(f"/api/models/{self.repository}/revision/")
        if self.refuses is not None:
            self._refused(request, 401, self.refuses)
        elif named in self.revisions or path == f"/api/models/{self.repository}":
            siblings = [self._listed(name, data) for name, data in self.files.items()]
            said = {"id": self.repository, "sha": self.commit, "siblings": siblings, "tags": self.tags}
            self._json(request, said)
        elif named != path:
            self._refused(request, 404, {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith(f"/api/models/{self.repository}/tree/"):
            rows = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.files.items()
            ]
            self._json(request, rows)
        elif path.startswith((f"/{self.repository}/resolve/", "/store/")) and path.rpartition("/")[2] in self.files:
            self._file(request, path.rpartition("/")[2], body)
        else:
            self._refused(request, 404, {"X-Error-Code": "RepoNotFound"})

    def _refused(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def _listed(self, name: str, data: bytes) -> dict[str, object]:
        """A file as the list of a repository has it."""
        if not self.lists_sizes:
            return {"rfilename": name}
        listed: dict[str, object] = {"rfilename": name, "size": len(data)}
        if name.endswith(".safetensors"):
            sha256 = self.announced.get(name, hashlib.sha256(data).hexdigest())
            listed["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 135}
        return listed

    def _json(self, request: BaseHTTPRequestHandler, content: object) -> None:
        data = json.dumps(content).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def _file(self, request: BaseHTTPRequestHandler, name: str, body: bool) -> None:
        data, first = self.files[name], 0
        etag = f'"{blob_name(name, data)}"'
        if (
            self.links_large_files and name.endswith(".safetensors") and not request.path.startswith("/store/")
        ):  # large files are stored elsewhere
            request.send_response(302)
            request.send_header("Location", f"{self.url}/store/{name}")
            request.send_header("X-Linked-Etag", etag)
            request.send_header("X-Linked-Size", str(len(data)))
            request.send_header("X-Repo-Commit", self.commit)
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
        request.send_header("X-Repo-Commit", self.commit)
        request.send_header("Content-Length", str(len(data) - first))
        request.end_headers()
        if body:
            self._send(request, name, data, first)

    def _send(self, request: BaseHTTPRequestHandler, name: str, data: bytes, first: int) -> None:
        most = len(data)
        if name.endswith(".safetensors") and self.breaks_after:
            most = first + self.breaks_after.pop(0)
        sent = first
        wait = self.waits.pop(0) if name.endswith(".safetensors") and self.waits else 0.0
        try:
            while sent < min(most, len(data)):
                if wait and sent >= len(data) // 2:
                    self.go.wait(wait)
                    wait = 0.0
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


def blob_name(name: str, data: bytes) -> str:
    """The name of a file's content in the cache: SHA-256 of weights, git's SHA-1 of small files."""
    if name.endswith(".safetensors"):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def put_in_cache(cache: Path, repository: str, commit: str = COMMIT, model: Path | None = None) -> Path:
    """Put a model (None: `tiny`) into a Hub's cache as another program does that names a commit; its snapshot."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (folder / "blobs").mkdir(exist_ok=True)
    for path in sorted((model or resolve("tiny")).iterdir()):
        data = path.read_bytes()
        blob = folder / "blobs" / blob_name(path.name, data)
        blob.write_bytes(data)
        (snapshot / path.name).symlink_to(Path("../../blobs") / blob.name)
    return snapshot


@contextmanager
def serving(
    repository: str, folder: Path, monkeypatch: pytest.MonkeyPatch, model: Path | None = None
) -> Iterator[HubServer]:
    """Serve a model (None: `tiny`) as this repository, on the only Hub that the client knows; its cache is in
    `folder`."""
    server = HubServer(model or resolve("tiny"), repository)
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
