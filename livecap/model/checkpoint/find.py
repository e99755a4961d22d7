"""From the name of a model to its folder, with a configuration that was read. Loads no MLX.

name ─▶ folder, `tiny`, or the Hub's cache, else a download ─▶ kind of model ─▶ config.json
"""

import importlib.resources
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from livecap.errors import ModelError
from livecap.model.checkpoint.catalogue import SHORT_NAMES, TINY, Progress, repository_of
from livecap.model.checkpoint.folders import model_folder
from livecap.model.checkpoint.kinds import CHOOSE, complaint, other_format
from livecap.model.checkpoint.layouts import official_form
from livecap.model.config import ModelConfig, eos_ids_of
from livecap.model.files import read_json

logger = logging.getLogger("livecap.model")


def read_config(folder: Path, aligner: bool = False) -> ModelConfig:
    """The configuration of a checkpoint, with the ids that end its texts.

    Args:
        aligner: as in `load`.

    Raises:
        ModelError: there is no config.json, or it is damaged, or it describes another kind of model.
    """
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise ModelError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    said = read_json(folder / "config.json") if "config.json" in names else None
    if wrong := complaint(said, names, aligner):
        raise ModelError(f"{folder} {wrong}")
    assert said is not None, "a folder without config.json is complained about"
    said = official_form(said)
    try:
        config = ModelConfig.from_dict(said)
    except ModelError as error:
        raise ModelError(f"{folder} does not contain a model that livecap can read: {error}") from None
    generation = read_json(folder / "generation_config.json", required=False)
    return replace(config, eos_token_ids=eos_ids_of(generation, said))


def resolve(
    name_or_path: str | Path,
    *,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
    aligner: bool = False,
) -> Path:
    """The folder of a model: a given folder, `tiny` in the package, or a repository, which is downloaded if necessary.

    Args:
        tell: called before a download with what the user must know of the model's licence; None logs it.
        aligner: as in `load`.

    Raises:
        ModelError: no such folder or repository, or neither a network nor a copy in the cache.
    """
    name = str(name_or_path)
    if not name.strip():
        raise ModelError(f"No name of a model was given. Give a folder, a repository, or `--model {TINY}`.")
    is_file = "/" in name and os.path.isfile(name)
    if isinstance(name_or_path, Path) or name.startswith((".", "/", "~")) or "\\" in name or is_file:
        folder = Path(os.path.expanduser(name))
        if folder.is_dir():
            return model_folder(folder)
        if folder.is_file() and (form := other_format([folder.name])):
            raise ModelError(f"{name} holds {form}; livecap reads safetensors. {CHOOSE}")
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ModelError(f"No model at {name}: it {what}. Give a folder, a repository, or `--model {TINY}`.")
    if name == TINY:
        return _packaged_tiny()
    if Path(name).is_dir():
        return model_folder(Path(name))
    repository = repository_of(name)
    if repository.count("/") != 1 or not all(repository.split("/")):
        short = ", ".join(sorted(SHORT_NAMES))
        raise ModelError(f"No model named {name}. Known: {TINY}, {short}; or give a folder or a repository.")
    try:
        from livecap.model.checkpoint.hub import fetch  # late: slow to import, and `tiny` does not need it
    except ValueError as error:  # the client reads its variables when it is imported
        names = ", ".join(sorted(name for name in os.environ if name.startswith("HF_")))
        raise ModelError(
            f"The Hub's client cannot read its settings ({error}). Correct one of these variables: {names}."
        ) from error
    return fetch(repository, progress=progress, tell=tell, aligner=aligner)


def _packaged_tiny() -> Path:
    folder = Path(str(importlib.resources.files("livecap"))) / TINY
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"The model {TINY} is missing in {folder}: this installation is damaged. Install livecap again."
        )
    return folder
