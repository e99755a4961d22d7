"""The cache is used first, and every error of the Hub's client becomes one clear line. Without a network."""

import os
from pathlib import Path

import pytest
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from livecap.errors import ModelError
from livecap.model.checkpoint import hub
from tests.model.parity import DATA

REPOSITORY = "Qwen/Qwen3-ASR-0.6B"


class Client:
    """Replaces `snapshot_download`."""

    def __init__(self, cached: Path | None, online: Path | Exception) -> None:
        self.cached, self.online = cached, online
        self.calls: list[dict] = []

    def __call__(self, repository: str, **options: object) -> str:
        self.calls.append({"repository": repository, **options})
        if options.get("local_files_only"):
            if self.cached is None:
                raise LocalEntryNotFoundError("nothing cached")
            return str(self.cached)
        if isinstance(self.online, Exception):
            raise self.online
        bar = options["tqdm_class"](total=0, unit="B", name="huggingface_hub.snapshot_download")
        other = options["tqdm_class"](total=0, unit="B", name="huggingface_hub.snapshot_download.transfer")
        bar.total = other.total = 100
        for n in (30, 70):
            bar.update(n)
            other.update(n)
        bar.set_description("done")
        bar.close()
        return str(self.online)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch):
    def make(cached: Path | None, online: Path | Exception) -> Client:
        client = Client(cached, online)
        monkeypatch.setattr(hub, "snapshot_download", client)
        monkeypatch.setattr(hub, "download_large_files", lambda *arguments: False)  # see test_download.py
        return client

    return make


def web_error(kind: type[HfHubHTTPError], message: str) -> HfHubHTTPError:
    error = kind.__new__(kind)  # its constructor needs a response of the HTTP library
    Exception.__init__(error, message)
    return error


def test_what_is_cached_needs_no_network(client) -> None:
    asked = client(cached=DATA / "asr", online=AssertionError("the network was asked"))
    assert hub.fetch(REPOSITORY) == DATA / "asr"
    assert len(asked.calls) == 1 and asked.calls[0]["revision"] == "main"


def test_half_a_model_in_the_cache_is_downloaded_again(client, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    asked = client(cached=tmp_path, online=DATA / "asr")
    assert hub.fetch(REPOSITORY) == DATA / "asr"
    assert len(asked.calls) == 2


def test_a_download_reports_its_bytes_once_and_draws_nothing(client, capfd) -> None:
    client(cached=None, online=DATA / "asr")
    told: list[tuple[int, int]] = []
    assert hub.fetch(REPOSITORY, "v2", lambda done, total: told.append((done, total))) == DATA / "asr"
    assert told == [(30, 100), (100, 100)]
    assert capfd.readouterr() == ("", "")


def test_only_data_files_are_downloaded(client) -> None:
    asked = client(cached=None, online=DATA / "asr")
    hub.fetch(REPOSITORY)
    patterns = asked.calls[1]["allow_patterns"]
    assert all(not pattern.endswith((".py", ".bin", "*")) for pattern in patterns)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (LocalEntryNotFoundError("Got: no route\nmore"), r"cannot be downloaded \(Got: no route\).*--model tiny"),
        (OSError("disk full"), r"cannot be downloaded \(disk full\)"),
        (web_error(RepositoryNotFoundError, "404"), "There is no model Qwen/Qwen3-ASR-0.6B on the Hugging Face Hub"),
        (web_error(HfHubHTTPError, "500 broken"), r"cannot be downloaded \(500 broken\)"),
    ],
)
def test_a_failed_download_is_one_clear_line(client, error: Exception, says: str) -> None:
    client(cached=None, online=error)
    with pytest.raises(ModelError, match=says) as raised:
        hub.fetch(REPOSITORY)
    assert "\n" not in str(raised.value)


def test_an_invalid_name_is_reported() -> None:
    with pytest.raises(ModelError, match="is not a valid repository name"):
        hub.fetch("with space/x")


def test_there_is_no_telemetry() -> None:
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
