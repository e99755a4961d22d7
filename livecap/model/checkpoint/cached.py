"""Which models are on this machine, in the Hub's cache or in a folder, and whether their files are whole.

Loads nothing heavy: a session asks before its device is opened.

The cache names a file by its digest: SHA-256 for large files, git's SHA-1 for small ones. A digest is computed once per
file; a list beside the files remembers the size and the time of the last change that it was computed for.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from livecap.errors import ModelError
from livecap.files import replace_file
from livecap.model.checkpoint.catalogue import DIGESTS, TINY, repository_of, revision_of
from livecap.model.checkpoint.folders import model_folder, names_in, newest_snapshot, snapshots_in
from livecap.model.checkpoint.kinds import is_qwen3_asr
from livecap.model.checkpoint.weight_files import check_file, weight_files
from livecap.model.files import parse_json, read_json

CHECKED = ".livecap-checked.json"
"""The list of digests that were computed, in a repository's folder of the cache."""
PART = ".livecap-part"
"""The end of the name of an unfinished download, among the files of a repository in the cache."""
KINDS = ("qwen3-asr", "qwen3-forcedaligner", "confucius4-r2t2")
"""Parts of the names of repositories that hold a Qwen3-ASR, also while its config.json is not there yet."""
TOKENIZERS = ({"tokenizer.json"}, {"vocab.json", "merges.txt", "tokenizer_config.json"})
"""A model needs all files of one of these sets."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of a model that is missing or not whole."""

    path: Path
    what: str
    """In words that follow the file's name, such as "is cut off"."""


def is_here(name: str) -> bool:
    """Whether a model needs no download: it is complete, as far as the sizes of its files tell."""
    if name == TINY or _given_folder(name) is not None:
        return True
    return any(not damages(folder, deep=False) for folder in snapshots(repository_of(name)))


def folder_of(name: str) -> Path | None:
    """A model's folder: `name` itself if it is a folder, else the snapshot in the Hub's cache, else None."""
    if (folder := _given_folder(name)) is not None:
        with suppress(ModelError):
            return model_folder(folder)
        return None
    return next(snapshots(repository_of(name)), None)


def _given_folder(name: str) -> Path | None:
    """The folder that a name stands for, with ~ for the home folder; None for another name."""
    folder = Path(os.path.expanduser(name))
    return folder if name.strip() and os.path.isdir(folder) else None


def cached_models() -> list[str]:
    """The repositories of Qwen3-ASR models in the Hub's cache, complete or not: by their names or their config.json."""
    cache = hub_cache()
    if cache is None:
        return []
    found = []
    for entry in names_in(cache):
        if not entry.startswith("models--"):
            continue
        name = entry.removeprefix("models--").replace("--", "/")
        snapshot = newest_snapshot(cache / entry)
        if any(kind in name.lower() for kind in KINDS) or snapshot is not None and _says_qwen3_asr(snapshot):
            found.append(name)
    return sorted(found)


def _says_qwen3_asr(folder: Path) -> bool:
    try:
        return is_qwen3_asr(read_json(folder / "config.json"))
    except ModelError:
        return False


def hub_cache() -> Path | None:
    """Where the Hugging Face client keeps downloads; the same rules as `huggingface_hub.constants.HF_HUB_CACHE`. None
    for a user without a home folder."""
    given = os.environ.get("HF_HUB_CACHE", os.environ.get("HUGGINGFACE_HUB_CACHE"))
    if given is None:
        home = os.environ.get("HF_HOME", os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface"))
        given = os.path.join(home, "hub")
    folder = os.path.expandvars(os.path.expanduser(given))
    return None if folder.startswith("~") else Path(folder)


def repository_folder(repository: str) -> Path | None:
    """The folder of a repository in the Hub's cache, whether it exists or not; None without a cache."""
    cache = hub_cache()
    return cache / f"models--{repository.replace('/', '--')}" if cache else None


def unfinished(repository: str) -> bool:
    """Whether a download of a repository was begun and not finished."""
    folder = repository_folder(repository)
    return folder is not None and any(name.endswith(PART) for name in names_in(folder / "blobs"))


def snapshots(repository: str, revision: str | None = None) -> Iterator[Path]:
    """The snapshots of a repository in the cache: the known commit's, `main`'s, and then any other's, newest first.

    Another program may have downloaded any commit, and left no name for it.

    Args:
        revision: only this commit, branch or tag.
    """
    folder = repository_folder(repository)
    if folder is None:
        return
    if revision is not None:
        with suppress(OSError, ValueError):
            revision = (folder / "refs" / revision).read_text(encoding="ascii").strip()
        if os.path.exists(folder / "snapshots" / revision / "config.json"):
            yield folder / "snapshots" / revision
        return
    found = snapshots_in(folder)
    first = [folder / "snapshots" / revision_of(repository), newest_snapshot(folder)]
    found.sort(key=lambda path: first.index(path) if path in first else len(first))
    yield from found


def damages(folder: Path, deep: bool = True, again: bool = False) -> list[Damage]:
    """What is missing or not whole in a model's folder.

    Args:
        folder: a snapshot in the cache, or any folder; what there is to compare with decides what is found.
        deep: also compute digests that were not computed yet. Reads all of a file: seconds for gigabytes.
        again: compute all digests, also those that were computed before.
    """
    try:
        names = {path.name for path in folder.iterdir()}
        weights = weight_files(folder) if any(name.endswith(".safetensors") for name in names) else []
    except ModelError as error:
        return [Damage(folder, _what(str(error), folder))]
    except OSError as error:
        return [Damage(folder, f"cannot be read: {error.strerror}")]
    if not weights:
        return [Damage(folder, "has no weights")]
    if not any(needed <= names for needed in TOKENIZERS):
        return [Damage(folder, "has no complete tokenizer")]
    found: list[Damage] = []
    config = [folder / "config.json"] if "config.json" in names else []
    for path in [*weights, *config]:
        try:
            read_json(path) if path in config else check_file(path)
        except ModelError as error:
            found.append(Damage(path, _what(str(error), path)))
    if deep:
        known = {damage.path for damage in found}
        files = [path for path in sorted(folder.iterdir()) if path not in known and not path.is_dir()]
        found += _other_contents(folder, files, again)
    return found


def digest_expected(path: Path) -> str | None:
    """The SHA-256 or git SHA-1 that a file of a snapshot must have, or leading digits of it; None if none is known."""
    repository = path.parent.parent.parent.name.removeprefix("models--").replace("--", "/")
    known = DIGESTS.get((repository, path.parent.name), {}).get(path.name)
    if path.is_symlink():
        name = os.path.basename(os.readlink(path))
        if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", name):
            return name if known is None or name.startswith(known) else known
    return known


def digest(path: Path, n_digits: int = 64) -> str:
    """The SHA-256 of a file, or with 40 digits the SHA-1 by which git names it."""
    import hashlib  # slow to load, and not needed to open a device

    with path.open("rb") as file:
        if n_digits != 40:
            return hashlib.file_digest(file, "sha256").hexdigest()
        named = hashlib.sha1(b"blob %d\0" % os.fstat(file.fileno()).st_size, usedforsecurity=False)
        return hashlib.file_digest(file, lambda: named).hexdigest()


def _other_contents(folder: Path, files: list[Path], again: bool) -> list[Damage]:
    """The files whose digest is not the expected one."""
    store = folder.parent.parent / CHECKED
    if not again and not os.access(store.parent, os.W_OK):
        return []  # computed at every start otherwise, and nothing could be mended there
    before = {} if again else _read_checked(store)
    checked: dict[str, list[int]] = {}
    found: list[Damage] = []
    for path in files:
        expected = digest_expected(path)
        if expected is None:
            continue
        try:
            status = path.stat()
            stamp = [status.st_size, status.st_mtime_ns]
            if before.get(expected) != stamp and not digest(path, len(expected)).startswith(expected):
                found.append(Damage(path, "has other content than was published"))
                continue
        except OSError as error:
            found.append(Damage(path, f"cannot be read: {error.strerror}"))
            continue
        checked[expected] = stamp
    if any(before.get(key) != stamp for key, stamp in checked.items()):
        with suppress(OSError):  # they are computed again next time
            replace_file(store, [json.dumps(_read_checked(store) | checked)])
    return found


def _read_checked(store: Path) -> dict[str, list[int]]:
    try:
        value = parse_json(store.read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: stamp for key, stamp in value.items() if isinstance(stamp, list)} if isinstance(value, dict) else {}


def _what(sentence: str, path: Path) -> str:
    """What a ModelError says of a path, without the path and the advice."""
    return sentence.removeprefix(f"{path} ").removesuffix(" Download the model again.").rstrip(".")
