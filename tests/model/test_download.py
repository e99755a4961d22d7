"""A download from a hub on this machine: what has come is not fetched again, whatever ended the download."""

import shutil
from collections import namedtuple

import pytest

from livecap.errors import ModelError
from livecap.model.checkpoint import hub, large_files
from livecap.model.checkpoint.load import load
from tests.model.hub_server import COMMIT, serving

REPOSITORY = "someone/small-asr"
CHUNK = large_files.CHUNK_BYTES


class Stop(Exception):
    """A person had enough."""


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


def test_a_model_is_brought_and_can_be_loaded_without_the_network(server, tmp_path):
    told = []
    folder = hub.fetch(REPOSITORY, progress=lambda done, total: told.append((done, total)))
    assert folder.name == COMMIT and (folder / "model.safetensors").read_bytes() == weights(server)
    assert told == sorted(told) and told[-1][0] == len(weights(server)) and not parts(tmp_path)
    assert {total for _, total in told} == {sum(len(data) for data in server.files.values())}
    server.close()
    assert hub.fetch(REPOSITORY) == folder
    assert load(folder).config == load("tiny").config


def test_a_stopped_download_goes_on_where_it_stopped(server, tmp_path):
    with pytest.raises(Stop):
        hub.fetch(REPOSITORY, progress=stop_at(3_000_000))
    [part] = parts(tmp_path)
    n_here = part.stat().st_size
    assert 3_000_000 <= n_here < 3_000_000 + CHUNK
    told = []
    hub.fetch(REPOSITORY, progress=lambda done, total: told.append(done))
    assert told[0] == n_here
    assert server.weights_served()[-1] == (n_here, len(weights(server)) - n_here)
    assert not parts(tmp_path)


def test_a_connection_that_breaks_is_taken_up_again(server):
    server.breaks_after = [1_000_000, 0, 2_000_000]
    folder = hub.fetch(REPOSITORY)
    firsts = [first for first, _ in server.weights_served()]
    assert firsts[0] == 0 and firsts == sorted(firsts) and 2_000_000 < firsts[-1] <= 3_000_000
    assert (folder / "model.safetensors").read_bytes() == weights(server)


def test_a_connection_that_stays_broken_is_one_line_and_nothing_is_lost(server, tmp_path):
    server.breaks_after = [1_000_000] + [0] * large_files.TRIES
    with pytest.raises(ModelError, match="cannot be downloaded .*Check the network"):
        hub.fetch(REPOSITORY)
    n_here = parts(tmp_path)[0].stat().st_size
    assert 1_000_000 - CHUNK <= n_here <= 1_000_000
    hub.fetch(REPOSITORY)
    assert server.weights_served()[-1][0] == n_here


def test_a_server_that_knows_no_ranges_sends_all_again(server, tmp_path):
    with pytest.raises(Stop):
        hub.fetch(REPOSITORY, progress=stop_at(1_000_000))
    server.knows_ranges = False
    folder = hub.fetch(REPOSITORY)
    assert (folder / "model.safetensors").read_bytes() == weights(server)


def test_a_damaged_piece_is_thrown_away(server, tmp_path):
    with pytest.raises(Stop):
        hub.fetch(REPOSITORY, progress=stop_at(1_000_000))
    [part] = parts(tmp_path)
    part.write_bytes(b"\0" * part.stat().st_size)
    with pytest.raises(ModelError, match="what came is damaged"):
        hub.fetch(REPOSITORY)
    assert not parts(tmp_path)
    assert (hub.fetch(REPOSITORY) / "model.safetensors").read_bytes() == weights(server)


def test_no_room_is_told_before_anything_comes(server, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 52_000_000, 52_000_000))
    with pytest.raises(ModelError, match=r"needs 9 MB more in .*hub, where 52 MB are free. Make room"):
        hub.fetch(REPOSITORY)
    assert not server.weights_served()


def test_two_do_not_write_the_same_file(server):
    def again(done, total):
        if done:
            hub.fetch(REPOSITORY)

    with pytest.raises(ModelError, match="Another livecap downloads this model already"):
        hub.fetch(REPOSITORY, progress=again)


def test_a_model_that_is_not_there_is_told(server):
    with pytest.raises(ModelError, match="No model someone/else on the Hugging Face Hub"):
        hub.fetch("someone/else")


def test_a_hub_that_is_not_there_is_told(server):
    server.close()
    with pytest.raises(ModelError, match="is not in the cache and cannot be downloaded .*Check the network"):
        hub.fetch(REPOSITORY)
