"""`livecap models`: the models there are, what this machine should take, and the care of those in the cache."""

import argparse
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from livecap.cli.arguments import add_json
from livecap.cli.download import download
from livecap.cli.model_table import model_table
from livecap.cli.terminal import ask, warn
from livecap.errors import ModelError, SettingsError
from livecap.files import try_lock
from livecap.model.checkpoint.cached import (
    PART,
    cached_models,
    damages,
    digest_expected,
    folder_of,
    repository_folder,
    unfinished,
)
from livecap.model.checkpoint.catalogue import TINY, repository_of
from livecap.model.checkpoint.find import read_config, resolve
from livecap.model.checkpoint.finite import not_finite
from livecap.model.checkpoint.folders import names_in
from livecap.model.checkpoint.kinds import CHOOSE
from livecap.model.checkpoint.weight_files import shown, weight_files
from livecap.settings.fields import Settings
from livecap.text.printing import say, say_json
from livecap.text.units import size
from livecap.this_machine import memory_bytes

MODEL = "a repository or a short name such as 0.6b"


def add_arguments(models: argparse.ArgumentParser) -> None:
    """The options and actions of `livecap models`."""
    actions = models.add_subparsers(dest="action", metavar="[ACTION]", title="actions")
    listing = actions.add_parser(
        "list", help="list them: size, memory, which are downloaded, which one suits this machine"
    )
    fetch = actions.add_parser("download", help="download a model, or the rest of it")
    fetch.add_argument("name", metavar="MODEL", help=MODEL)
    remove = actions.add_parser("remove", help="delete models from the cache, which other programs use too")
    remove.add_argument("name", nargs="+", metavar="MODEL", help=MODEL)
    remove.add_argument("--yes", action="store_true", help="do not ask")
    check = actions.add_parser("check", help="compare the files of a model with their published digests")
    check.add_argument("name", metavar="MODEL", help=f"{MODEL}, or a folder")
    for parser in (models, listing, fetch, check):
        add_json(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run the chosen action; returns the exit status, 1 if a model is damaged or was not removed."""
    as_json = settings.output == "json"
    if options.action == "download":
        return _download(options.name, as_json)
    if options.action == "remove":
        return _remove(options.name, options.yes)
    if options.action == "check":
        return _check(options.name, as_json)
    return _list(repository_of(settings.model), as_json)


def _list(chosen: str, as_json: bool) -> int:
    memory = memory_bytes()
    rows = model_table(memory)
    if as_json:
        say_json([_values(row) | {"chosen": row.choice.name == chosen} for row in rows], indent=2)
        return 0
    width = max(len(row.choice.name) for row in rows)
    for row in rows:
        model = row.choice
        mark = "*" if model.recommended else ">" if model.name == chosen else " "
        disk = size(model.disk_bytes or row.cached_bytes)
        needs = f"memory {size(model.memory_bytes)}" if model.memory_bytes else ""
        state = (
            "downloaded" if model.is_here else f"! {row.trouble}" if row.trouble else "" if model.fits else "too large"
        )
        say(f"{mark} {model.name:{width}}  {disk:>6}  {needs:14}  {state:10}  {model.about}".rstrip())
    say()
    best = f"* suits this machine ({size(memory)} of memory)."
    if not any(row.choice.recommended for row in rows):
        best = f"This machine has {size(memory)} of memory, which is too little for any model but tiny."
    say(f"{best} `livecap models download NAME` downloads a model.")
    if chosen not in [row.choice.name for row in rows if row.choice.recommended]:
        say(f"The settings choose {chosen}; `livecap config set model NAME` changes that.")
    return 0


def _values(row: Any) -> dict[str, Any]:
    """A row as plain values."""
    folder = None if row.folder is None else str(row.folder)
    return asdict(row.choice) | {"folder": folder, "cached_bytes": row.cached_bytes, "trouble": row.trouble}


def _download(name: str, as_json: bool) -> int:
    folder = download(name, _is_aligner(name))
    read_config(folder, _is_aligner(name))
    if as_json:
        say_json({"model": repository_of(name), "folder": str(folder)})
    else:
        say(f"{repository_of(name)} is in {folder}.")
    return 0


def _remove(names: list[str], sure: bool) -> int:
    wanted = list(dict.fromkeys(map(_removable, names)))
    if not sure:
        if not sys.stdin.isatty():
            raise SettingsError("Nobody can confirm, since this is not a terminal. Add --yes to delete without asking.")
        total = sum(_size_of(folder) for _, folder in wanted)
        said = ", ".join(repository for repository, _ in wanted)
        question = f"Delete {said} ({size(total)}) from the cache, which other programs use too? [y/N] "
        if ask(question) not in ("y", "yes"):
            return 1
    status = 0
    for repository, folder in wanted:
        n_bytes = _size_of(folder)
        try:
            shutil.rmtree(folder)
        except OSError as error:
            warn(f"{repository} was not deleted: {error.strerror or error}: {error.filename or folder}.")
            status = 1
            continue
        shutil.rmtree(folder.parent / ".locks" / folder.name, ignore_errors=True)  # the client's, of a few bytes
        say(f"Deleted {repository}, {size(n_bytes)}.")
    return status


def _removable(name: str) -> tuple[str, Path]:
    """The repository of a name and its folder in the cache.

    Raises:
        ModelError: it is not there, not a speech model, or being downloaded.
    """
    if not name.strip():
        raise ModelError("No name of a model was given. `livecap models` lists what there is.")
    repository = repository_of(name)
    if repository == TINY:
        raise ModelError("The model tiny is part of livecap and cannot be removed.")
    if Path(name).is_dir():
        raise ModelError(f"{name} is a folder outside the cache. Delete it yourself if it is no longer needed.")
    folder = repository_folder(repository)
    if folder is None or repository not in cached_models():
        is_there = folder is not None and folder.exists()
        here = "is not a Qwen3-ASR model, so livecap leaves it" if is_there else "is not in the cache"
        raise ModelError(f"{repository} {here}. `livecap models` lists what there is.")
    if folder.is_symlink():
        raise ModelError(f"{folder} is a link to another place. Delete it yourself if it is no longer needed.")
    for part in names_in(folder / "blobs"):
        if not part.endswith(PART):
            continue
        with (folder / "blobs" / part).open("rb") as file:
            if try_lock(file) is False:
                raise ModelError(f"{repository} is being downloaded by another livecap. Stop that first.")
    return repository, folder


def _check(name: str, as_json: bool) -> int:
    repository = repository_of(name)
    is_local = name == TINY or name.startswith((".", "/", "~")) or os.path.isdir(name) or "/" not in repository
    folder = resolve(name) if is_local else folder_of(name)
    if folder is None:
        raise ModelError(f"{name} is not on this machine. `livecap models download {name}` downloads it.")
    found = damages(folder, again=True)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    n_compared = sum(digest_expected(path) is not None for path in files)
    lines = [f"{damage.path.name} {damage.what}" for damage in found]
    how = "Copy" if is_local else f"`livecap models download {name}` downloads"
    advice = f"{how} the damaged files in {folder} again."
    if found and not is_local and unfinished(repository):
        lines, advice = ["the download is not finished"], f"`livecap models download {name}` continues it."
    elif not found:
        lines = [
            f"{path.name} holds numbers that are not finite, in {shown(array)}"
            for path in weight_files(folder)
            if (array := not_finite(path))
        ]
        advice = f"It cannot recognise speech. {CHOOSE}"
    if not found:
        read_config(folder, _is_aligner(name))
    if as_json:
        n_bytes = sum(path.stat().st_size for path in files)
        values = {"model": repository, "folder": str(folder), "files": len(files), "bytes": n_bytes}
        say_json(values | {"compared": n_compared, "damages": lines}, indent=2)
        return int(bool(lines))
    for line in lines:
        warn(f"{repository}: {line}.")
    if lines:
        say(advice)
        return 1
    how = f"{n_compared} compared with their published digests" if n_compared else "no published digests are known"
    say(f"{repository} is whole: {len(files)} files in {folder}, {how}.")
    return 0


def _is_aligner(name: str) -> bool:
    """Whether a name is that of a forced aligner, which is not a recogniser."""
    return "aligner" in name.lower()


def _size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
