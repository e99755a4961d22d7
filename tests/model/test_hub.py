"""The cache and the Hub: what is whole needs no network, what is not is brought again, every fault is one clear line.

The Hub is a server on this machine.
"""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from livecap.errors import ModelError
from livecap.model.checkpoint import cached, hub, large_files
from livecap.model.checkpoint.cached import damages, digest, is_here, snapshots
from livecap.model.checkpoint.catalogue import DIGESTS, RELEASES, revision_of
from livecap.model.checkpoint.load import load, resolve
from tests.model import layouts
from tests.model.hub_server import COMMIT, HubServer, put_in_cache, serving

REPOSITORY = "someone/small-asr"
OTHER = "f" * 40
OFFICIAL = "Qwen/Qwen3-ASR-0.6B"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serving(REPOSITORY, tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def blob(snapshot: Path, name: str = "model.safetensors") -> Path:
    return (snapshot / name).resolve()


def weights_of(server: HubServer) -> bytes:
    return server.files["model.safetensors"]


# ---- the cache


def test_what_is_cached_needs_no_network(server: HubServer, cache: Path) -> None:
    snapshot = put_in_cache(cache, REPOSITORY)
    assert hub.fetch(REPOSITORY) == snapshot and is_here(REPOSITORY)
    assert server.asked == []


def test_any_commit_that_another_program_cached_is_found_offline(server: HubServer, cache: Path) -> None:
    """Other programs pin commits and leave no refs/main."""
    snapshot = put_in_cache(cache, OFFICIAL, OTHER)
    server.close()
    assert hub.fetch(OFFICIAL) == resolve("0.6b") == snapshot


def test_the_known_commit_comes_first_then_main_then_the_newest(cache: Path, server: HubServer) -> None:
    known = revision_of(OFFICIAL)
    for n, commit in enumerate(("a" * 40, "b" * 40, "c" * 40)):
        os.utime(put_in_cache(cache, OFFICIAL, commit), (1000 + n, 1000 + n))
    assert [path.name[0] for path in snapshots(OFFICIAL)] == ["c", "b", "a"]
    refs = cache / "models--Qwen--Qwen3-ASR-0.6B" / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    assert [path.name[0] for path in snapshots(OFFICIAL)] == ["a", "c", "b"]
    put_in_cache(cache, OFFICIAL, known)
    assert next(snapshots(OFFICIAL)).name == known
    assert [path.name for path in snapshots(OFFICIAL, "main")] == ["a" * 40]


@pytest.mark.parametrize("name", ["merges.txt", "config.json", "model.safetensors", "tokenizer_config.json"])
def test_a_missing_file_is_brought(server: HubServer, cache: Path, name: str) -> None:
    snapshot = put_in_cache(cache, REPOSITORY)
    (snapshot / name).unlink()
    told: list[tuple[int, int]] = []
    folder = hub.fetch(REPOSITORY, progress=lambda done, total: told.append((done, total)))
    assert folder == snapshot and (snapshot / name).is_file()
    assert load(snapshot).config == load("tiny").config
    assert all(total > 1000 for _, total in told), "files were counted as bytes"


def test_a_link_to_a_file_that_is_gone_is_brought(server: HubServer, cache: Path) -> None:
    snapshot = put_in_cache(cache, REPOSITORY)
    blob(snapshot).unlink()
    assert not is_here(REPOSITORY)
    assert hub.fetch(REPOSITORY) == snapshot
    assert (snapshot / "model.safetensors").read_bytes() == weights_of(server)


def damage_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def damage_bytes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-10_000:-9_000] = bytes(1000)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [damage_cut, damage_bytes])
@pytest.mark.parametrize("name", ["model.safetensors", "vocab.json", "config.json"])
def test_a_damaged_file_is_found_at_the_start_and_brought_again(
    server: HubServer, cache: Path, damage, name: str
) -> None:
    snapshot = put_in_cache(cache, REPOSITORY)
    hub.fetch(REPOSITORY)
    damage(blob(snapshot, name))
    assert hub.fetch(REPOSITORY) == snapshot
    assert (snapshot / name).read_bytes() == server.files[name]
    server.close()
    assert hub.fetch(REPOSITORY) == snapshot


@pytest.mark.parametrize("damage", [damage_cut, damage_bytes])
def test_a_damaged_file_is_named_with_its_folder_offline(server: HubServer, cache: Path, damage) -> None:
    snapshot = put_in_cache(cache, REPOSITORY)
    damage(blob(snapshot))
    before = blob(snapshot).read_bytes()
    server.close()
    with pytest.raises(ModelError, match=r"is not whole \(model.safetensors .*\) and cannot be downloaded") as raised:
        hub.fetch(REPOSITORY)
    assert f"delete {snapshot}" in str(raised.value) and "\n" not in str(raised.value)
    assert blob(snapshot).read_bytes() == before  # nothing is removed that cannot be brought


def test_another_whole_snapshot_is_taken_before_the_network(server: HubServer, cache: Path) -> None:
    damage_cut(blob(put_in_cache(cache, REPOSITORY)))
    whole = put_in_cache(cache, REPOSITORY, OTHER)  # writes the shared file anew
    damaged = cache / "models--someone--small-asr" / "snapshots" / COMMIT / "model.safetensors"
    damaged.unlink()
    damaged.write_bytes(b"cut")
    server.close()
    assert hub.fetch(REPOSITORY) == whole


def test_digests_are_computed_once(server: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = put_in_cache(cache, REPOSITORY)
    computed: list[str] = []
    monkeypatch.setattr(cached, "digest", lambda path, n: computed.append(path.name) or digest(path, n))
    hub.fetch(REPOSITORY)
    n_files = len(list(snapshot.iterdir()))
    assert len(computed) == n_files
    hub.fetch(REPOSITORY)
    assert len(computed) == n_files
    os.utime(blob(snapshot))  # written again by whom ever
    hub.fetch(REPOSITORY)
    assert computed[n_files:] == ["model.safetensors"]
    assert damages(snapshot, again=True) == [] and len(computed) == 2 * n_files + 1


# ---- known commits and digests


def test_each_known_commit_is_a_whole_one() -> None:
    for repository, revision in DIGESTS:
        assert revision == "main" or len(revision) == 40 and set(revision) <= set("0123456789abcdef"), repository
    for digests in DIGESTS.values():
        assert all(len(value) >= 12 and set(value) <= set("0123456789abcdef") for value in digests.values())
    assert all(release.revision == revision_of(name) for name, release in RELEASES.items())


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`tiny` as the official repository at its known commit, with the digest that `tiny` has."""
    known = revision_of(OFFICIAL)
    sha256 = digest(layouts.TINY / "model.safetensors")
    monkeypatch.setitem(DIGESTS, (OFFICIAL, known), {"model.safetensors": sha256[:12]})
    with serving(OFFICIAL, tmp_path, monkeypatch) as server:
        server.commit = known
        server.revisions = {known, "main"}
        yield server


def test_the_known_commit_is_downloaded(official: HubServer) -> None:
    assert hub.fetch(OFFICIAL).name == revision_of(OFFICIAL)
    assert f"/api/models/{OFFICIAL}/revision/{revision_of(OFFICIAL)}" in official.asked


def test_a_hub_that_announces_another_content_is_refused(official: HubServer) -> None:
    official.announced["model.safetensors"] = "0" * 64
    with pytest.raises(ModelError, match="The Hub announces another model.safetensors of .* Nothing was downloaded"):
        hub.fetch(OFFICIAL)
    assert official.weights_served() == []


def test_a_mirror_that_sends_another_content_is_refused(official: HubServer) -> None:
    official.lists_sizes = official.links_large_files = False
    official.files["model.safetensors"] = official.files["model.safetensors"][:-8] + bytes(8)
    with pytest.raises(ModelError, match="^The download was damaged and has been deleted. Try again; "):
        hub.fetch(OFFICIAL)


def test_a_mirror_without_the_known_commit_gives_its_newest(official: HubServer) -> None:
    official.revisions, official.commit = {"main", COMMIT}, COMMIT
    told: list[str] = []
    assert hub.fetch(OFFICIAL, tell=told.append).name == COMMIT
    assert told == [f"The known commit of {OFFICIAL}, 5eb1441, is not on this Hub; its newest one is taken."]


# ---- judged before the weights


@pytest.mark.parametrize(
    ("said", "files", "says"),
    [
        ({"model_type": "whisper"}, {}, "is a Whisper model"),
        ({"model_type": "qwen3"}, {}, "is a text-only model"),
        (None, {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x" * 5_000_000}, "is a LoRA adapter"),
        (None, {"model.gguf": b"GGUF"}, "has GGUF weights"),
        ({"quantization_config": {"quant_method": "awq"}}, {}, "is packed by AWQ"),
        ({"model_type": "qwen3_omni_moe"}, {}, "is a Qwen Omni model"),
    ],
)
def test_a_wrong_name_costs_kilobytes(
    server: HubServer, cache: Path, said: dict | None, files: dict[str, bytes], says: str
) -> None:
    del server.files["config.json"]
    if said is not None:
        base = {} if "model_type" in said else layouts.config()
        server.files["config.json"] = json.dumps(base | said).encode()
    else:
        del server.files["model.safetensors"]
    server.files |= files
    with pytest.raises(ModelError, match=f"^{REPOSITORY} {says}"):
        hub.fetch(REPOSITORY)
    assert server.weights_served() == []
    assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) < 20_000


def test_only_the_files_of_the_checkpoint_are_downloaded(server: HubServer) -> None:
    server.files |= {"run.py": b"import os", "optimizer.bin": b"x", "adapter_model.safetensors": b"x" * 5_000_000}
    server.files["original/model.safetensors"] = b"x" * 5_000_000
    folder = hub.fetch(REPOSITORY)
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "merges.txt", "vocab.json"} <= names
    assert not names & {"run.py", "optimizer.bin", "adapter_model.safetensors", "original"}


def test_an_aligner_is_downloaded_where_one_is_wanted(server: HubServer) -> None:
    said = layouts.config()
    said["thinker_config"] |= {"model_type": "qwen3_forced_aligner"}
    server.files["config.json"] = json.dumps(said).encode()
    with pytest.raises(ModelError, match="is a forced aligner, not a recogniser"):
        hub.fetch(REPOSITORY)
    assert hub.fetch(REPOSITORY, aligner=True).name == COMMIT


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (["license:apache-2.0"], []),
        (["license:mit", "asr"], []),
        ([], []),
        (["license:other"], ["has the licence other. Read it at "]),
        (["license:cc-by-nc-4.0"], ["has the licence cc-by-nc-4.0. Read it at "]),
    ],
)
def test_a_licence_that_is_not_free_is_told_before_the_weights(
    server: HubServer, tags: list[str], told: list[str]
) -> None:
    server.tags = tags
    said: list[str] = []

    def tell(sentence: str) -> None:
        assert server.weights_served() == []
        said.append(sentence)

    hub.fetch(REPOSITORY, tell=tell)
    assert len(said) == len(told) and all(part in line for part, line in zip(told, said, strict=True))
    hub.fetch(REPOSITORY, tell=tell)
    assert len(said) == len(told)  # only before a download


def test_the_licence_of_confucius_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, said = "netease-youdao/Confucius4-R2T2", []
    model = layouts.without_head(tmp_path / "model")
    with serving(name, tmp_path, monkeypatch, model):
        folder = resolve(name, tell=said.append)
    assert load(folder).config.eos_token_ids == load("tiny").config.eos_token_ids
    [sentence] = said
    assert "NetEase's own licence, not Apache" in sentence and f"https://huggingface.co/{name}" in sentence


# ---- mirrors and refusals


def test_a_mirror_without_linked_headers_and_sizes_works(server: HubServer) -> None:
    server.links_large_files = server.lists_sizes = False
    told: list[tuple[int, int]] = []
    folder = hub.fetch(REPOSITORY, progress=lambda done, total: told.append((done, total)))
    assert (folder / "model.safetensors").read_bytes() == weights_of(server)
    assert told[-1] == (len(weights_of(server)), len(weights_of(server)))


def test_a_refused_token_is_named(server: HubServer) -> None:
    server.refuses = {"X-Error-Message": "Invalid credentials in Authorization header"}
    with pytest.raises(ModelError, match="The Hub refuses the access token"):
        hub.fetch(REPOSITORY)


def test_a_gated_model_is_named(server: HubServer) -> None:
    server.refuses = {"X-Error-Code": "GatedRepo"}
    with pytest.raises(ModelError, match=f"{REPOSITORY} is only for users who were granted access"):
        hub.fetch(REPOSITORY)


def test_a_private_or_missing_model_is_named(server: HubServer) -> None:
    server.refuses = {}
    with pytest.raises(ModelError, match=f"There is no model {REPOSITORY} on {server.url}, or you have no access"):
        hub.fetch(REPOSITORY)


@pytest.mark.parametrize(
    ("status", "advice"),
    [(403, "Check your access to it"), (429, "Try again later"), (503, "Try again later"), (520, "Try again later")],
)
def test_a_hub_that_refuses_for_another_reason_is_not_the_network(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, status: int, advice: str
) -> None:
    monkeypatch.setattr(server, "answer", lambda request, body: server._refused(request, status, {}))
    with pytest.raises(ModelError, match=rf"\({server.url} answers with status {status}\)\. {advice}, or use the"):
        hub.fetch(REPOSITORY)


def test_a_damaged_config_is_found_where_the_cache_has_no_digests(server: HubServer, cache: Path) -> None:
    """As on a disk without links: the files stand in the snapshot, under their own names."""
    snapshot = put_in_cache(cache, REPOSITORY)
    for path in list(snapshot.iterdir()):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
    (snapshot / "config.json").write_text("{")
    assert not is_here(REPOSITORY) and [damage.path.name for damage in damages(snapshot)] == ["config.json"]
    assert hub.fetch(REPOSITORY) == snapshot and damages(snapshot) == []


def test_an_unknown_revision_is_named(server: HubServer) -> None:
    with pytest.raises(ModelError, match=f"{REPOSITORY} has no revision v2"):
        hub.fetch(REPOSITORY, "v2")


def test_offline_mode_is_one_line(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    says = "is not in the cache and cannot be downloaded .*HF_HUB_OFFLINE.* is set.*Unset it, or use the built-in model"
    with pytest.raises(ModelError, match=says) as raised:
        hub.fetch(REPOSITORY)
    assert "\n" not in str(raised.value) and server.asked == []


def test_a_slow_server_is_asked_again_where_it_stopped(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_files.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
    server.waits = [4.0]
    folder = hub.fetch(REPOSITORY)
    assert (folder / "model.safetensors").read_bytes() == weights_of(server)
    assert len(server.weights_served()) >= 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_disk_that_is_full_in_the_middle_is_one_line(server: HubServer, cache: Path) -> None:
    blobs = cache / "models--someone--small-asr" / "blobs"
    blobs.mkdir(parents=True)
    part = blobs / f"{digest(layouts.TINY / 'model.safetensors')}.livecap-part"
    part.symlink_to("/dev/full")
    with pytest.raises(ModelError, match=r"The disk of .*hub is full, so .* is incomplete. .* free some space"):
        hub.fetch(REPOSITORY)
    part.unlink()
    assert hub.fetch(REPOSITORY).name == COMMIT


@pytest.mark.parametrize("file", ["hub", "hub/models--someone--small-asr/blobs"])
def test_a_cache_that_cannot_be_written_is_one_line(server: HubServer, tmp_path: Path, file: str) -> None:
    """A file stands where a folder is needed: that stops root, too."""
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("")
    with pytest.raises(ModelError, match=f"kept in the cache: .*{file.split('/')[-1]}.* set HF_HOME to another"):
        hub.fetch(REPOSITORY)


def test_a_file_outside_the_cache_is_not_blamed_on_it(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **named: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/elsewhere/certificates.pem")

    monkeypatch.setattr(hub, "snapshot_download", fails)
    with pytest.raises(ModelError, match=r"cannot be downloaded \(http://.*/elsewhere/certificates.pem"):
        hub.fetch(REPOSITORY)


def test_an_invalid_name_is_reported() -> None:
    with pytest.raises(ModelError, match="is not a valid repository name"):
        hub.fetch("with space/x")


def test_there_is_no_telemetry() -> None:
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_a_folder_that_is_no_cache_has_nothing_to_compare(tmp_path: Path) -> None:
    folder = shutil.copytree(layouts.TINY, tmp_path / "model")
    assert damages(folder) == []
    damage_cut(folder / "model.safetensors")
    [damage] = damages(folder)
    assert damage.path.name == "model.safetensors" and damage.what.startswith("is cut off: ")
    assert not (tmp_path / cached.CHECKED).exists() and not (tmp_path.parent / cached.CHECKED).exists()
