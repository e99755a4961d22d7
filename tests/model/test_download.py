"""Downloads from a Hub on this machine: nothing is downloaded twice, however the download ended."""

import shutil
from collections import namedtuple

import pytest

from livecap.errors import ModelError
from livecap.model.checkpoint import hub, large_files
from livecap.model.checkpoint.load import load
from tests.model.hub_server import COMMIT, serving

REPOSITORY = "someone/small-asr"
RECEIVED = large_files.RECEIVED_BYTES


class Stop(Exception):
    """The user stopped the download."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving(REPOSITORY, tmp_path, monkeypatch) as server:
        yield server


def weights(server):
    return server.files["model.safetensors"]


def parts(tmp_path):
    return list(tmp_path.rglob("*.livecap-part"))


def stop_at(n_bytes):
    def progress(done, total):
        if done >= n_bytes:
            raise Stop

    return progress


def test_a_model_is_downloaded_and_then_loads_without_the_network(server, tmp_path):
    told = []
    folder = hub.fetch(REPOSITORY, progress=lambda done, total: told.append((done, total)))
    assert folder.name == COMMIT and (folder / "model.safetensors").read_bytes() == weights(server)
    assert told == sorted(told) and told[-1][0] == len(weights(server)) and not parts(tmp_path)
    assert {total for _, total in told} == {sum(len(data) for data in server.files.values())}
    server.close()
    assert hub.fetch(REPOSITORY) == folder
    assert load(folder).config == load("tiny").config


def test_a_stopped_download_continues_where_it_stopped(server, tmp_path):
    with pytest.raises(Stop):
        hub.fetch(REPOSITORY, progress=stop_at(3_000_000))
    [part] = parts(tmp_path)
    n_here = part.stat().st_size
    assert 3_000_000 <= n_here < 3_000_000 + RECEIVED
    told = []
    hub.fetch(REPOSITORY, progress=lambda done, total: told.append(done))
    assert told[0] == n_here
    assert server.weights_served()[-1] == (n_here, len(weights(server)) - n_here)
    assert not parts(tmp_path)


def test_a_broken_connection_is_resumed(server):
    server.breaks_after = [1_000_000, 0, 2_000_000]
    folder = hub.fetch(REPOSITORY)
    firsts = [first for first, _ in server.weights_served()]
    assert firsts[0] == 0 and firsts == sorted(firsts) and 2_000_000 < firsts[-1] <= 3_000_000
    assert (folder / "model.safetensors").read_bytes() == weights(server)


def test_answers_that_end_early_without_an_error_are_not_asked_for_without_end(server, tmp_path, monkeypatch):
    calls = []

    def receive(file, part, on_bytes):
        calls.append(file.n_here)
        part.truncate(0)  # as a server without ranges
        part.write(b"x" * 1000)
        part.flush()

    monkeypatch.setattr(large_files, "_receive", receive)
    with pytest.raises(ModelError, match="is not complete in the cache, .*the answers of the server end too early"):
        hub.fetch(REPOSITORY)
    assert calls == [0] + [1000] * large_files.TRIES


def test_a_file_that_another_process_has_just_finished_is_taken(tmp_path):
    blob = tmp_path / "etag"
    blob.write_bytes(b"whole")
    file = large_files._File("http://nowhere", 5, "etag", "0" * 64, blob)
    large_files._download(file, lambda n: None)
    assert [path.name for path in tmp_path.iterdir()] == ["etag"]


def test_a_connection_that_stays_broken_is_one_line_and_loses_no_data(server, tmp_path):
    server.breaks_after = [1_000_000] + [0] * large_files.TRIES
    with pytest.raises(ModelError, match="is not complete in the cache, and the rest .*start the download again: what"):
        hub.fetch(REPOSITORY)
    n_here = parts(tmp_path)[0].stat().st_size
    assert 1_000_000 - RECEIVED <= n_here <= 1_000_000
    hub.fetch(REPOSITORY)
    assert server.weights_served()[-1][0] == n_here


def test_a_server_without_ranges_sends_the_whole_file(server, tmp_path):
    with pytest.raises(Stop):
        hub.fetch(REPOSITORY, progress=stop_at(1_000_000))
    server.knows_ranges = False
    folder = hub.fetch(REPOSITORY)
    assert (folder / "model.safetensors").read_bytes() == weights(server)


def test_a_damaged_download_is_deleted(server, tmp_path):
    with pytest.raises(Stop):
        hub.fetch(REPOSITORY, progress=stop_at(1_000_000))
    [part] = parts(tmp_path)
    part.write_bytes(b"\0" * part.stat().st_size)
    with pytest.raises(ModelError, match="^The download was damaged"):
        hub.fetch(REPOSITORY)
    assert not parts(tmp_path)
    assert (hub.fetch(REPOSITORY) / "model.safetensors").read_bytes() == weights(server)


def test_a_full_disk_is_reported_before_the_download(server, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 52_000_000, 52_000_000))
    needed = round(len(weights(server)) / 1e6)
    with pytest.raises(ModelError, match=rf"needs {needed} MB more in .*hub, where 52 MB are free. Free some space"):
        hub.fetch(REPOSITORY)
    assert not server.weights_served()


def test_two_processes_do_not_write_the_same_file(server):
    def again(done, total):
        if done:
            hub.fetch(REPOSITORY)

    with pytest.raises(ModelError, match="Another livecap is already downloading"):
        hub.fetch(REPOSITORY, progress=again)


def test_a_missing_model_is_reported(server):
    with pytest.raises(ModelError, match=f"There is no model someone/else on {server.url}, or"):
        hub.fetch("someone/else")


def test_without_a_network_an_aligner_is_not_replaced_by_the_built_in_model(server):
    server.close()
    with pytest.raises(ModelError, match=r"Check the network, or give the folder of one: --aligner DIR$"):
        hub.fetch(REPOSITORY, aligner=True)


def test_an_unreachable_hub_is_reported(server):
    server.close()
    says = r"is not in the cache and cannot be downloaded \(.*: Connection refused\)\. Check the network"
    with pytest.raises(ModelError, match=says):
        hub.fetch(REPOSITORY)
