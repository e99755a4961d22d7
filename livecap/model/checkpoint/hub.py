"""Models from the Hugging Face Hub: from the cache, or else by a download, without telemetry.

    cache ─▶ list of files ─▶ config.json ─▶ judged ─▶ licence told ─▶ small files, weights ─▶ digests compared

A model that is whole in the cache is used without a request to the network, whatever commit it is.
"""

import errno
import glob
import logging
import os
import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import cast

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read by the client when it is imported

import huggingface_hub.constants  # noqa: E402, F401  # first: what it cannot read ends here, and nothing is printed
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download  # noqa: E402
from huggingface_hub.errors import (  # noqa: E402
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo, RepoSibling  # noqa: E402
from huggingface_hub.utils import get_session, validate_repo_id  # type: ignore[attr-defined]  # noqa: E402
from huggingface_hub.utils.tqdm import tqdm  # noqa: E402

from livecap.errors import ModelError  # noqa: E402
from livecap.model.checkpoint.cached import TOKENIZERS, Damage, damages, hub_cache, snapshots, unfinished  # noqa: E402
from livecap.model.checkpoint.catalogue import (  # noqa: E402
    DIGESTS,
    MAIN,
    RELEASES,
    Progress,
    revision_of,
)
from livecap.model.checkpoint.kinds import CHOOSE, complaint  # noqa: E402
from livecap.model.checkpoint.large_files import Published, download_large_files  # noqa: E402
from livecap.model.checkpoint.weight_files import INDEX_FILE, weight_names  # noqa: E402
from livecap.model.files import read_json  # noqa: E402
from livecap.text.safety import printable  # noqa: E402

logger = logging.getLogger(__name__)

MODEL_INSTEAD = ", or use the built-in model: --model tiny"
ALIGNER_INSTEAD = ", or give the folder of one: --aligner DIR"
OFFICIAL = "https://huggingface.co"
FULL = (errno.ENOSPC, errno.EDQUOT)
FREE_LICENCES = {"apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "unlicense"}
"""Licences that need no notice before a download."""
TRANSPORT_ERRORS = cast(tuple[type[Exception], ...], HfHubHTTPError.__bases__)
"""Errors of a download: OSError, and the base error of the HTTP library that the client uses."""
UNAUTHORISED = 401
"""The Hub's answer for an invalid token, and for a private or missing repository."""
INVALID = "Invalid credentials"
"""How the Hub explains the first of these."""

Tell = Callable[[str], None]
"""Called with a sentence that the user must see before the download."""


def fetch(
    repository: str,
    revision: str | None = None,
    progress: Progress | None = None,
    tell: Tell | None = None,
    aligner: bool = False,
) -> Path:
    """The folder of a repository in the cache. Missing and damaged files are downloaded.

    Args:
        revision: a commit, branch or tag; None takes any whole copy from the cache, or downloads the known commit.
        tell: called before the download of a model whose licence is not a free one; None logs the sentence.
        aligner: a forced aligner is wanted; otherwise a recogniser.

    Raises:
        ModelError: no such repository or revision, another kind of model, no home folder for the cache, or neither a
            network nor a whole copy in the cache.
    """
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise ModelError(f'"{repository}" is not a valid repository name: {error}') from error
    if hub_cache() is None:
        raise ModelError(
            f"This user has no home folder, so {repository} has no place. Set HF_HOME to a folder for models"
            f"{ALIGNER_INSTEAD if aligner else MODEL_INSTEAD}"
        )
    broken: list[Damage] = []
    for folder in snapshots(repository, revision):
        found = damages(folder)
        if not found:
            return folder
        broken += found
    try:
        return _downloaded(repository, revision, broken, progress, tell or _log, aligner)
    except UnicodeEncodeError as error:
        raise ModelError(
            "The access token (HF_TOKEN, or that of `hf auth login`) has a character that no token has. Copy it again."
        ) from error
    except TRANSPORT_ERRORS as error:
        raise ModelError(_failure(repository, revision, broken, error, aligner)) from error


def _log(sentence: str) -> None:
    logger.warning("%s", printable(sentence))


def _downloaded(
    repository: str,
    revision: str | None,
    broken: Sequence[Damage],
    progress: Progress | None,
    tell: Tell,
    aligner: bool,
) -> Path:
    try:
        get_session()
    except Exception as error:  # an address that cannot be read, a kind of proxy, a file: errors of several libraries
        names = ", ".join(sorted(name for name in os.environ if re.fullmatch("(?i)ssl_cert_.*|[a-z]+_proxy", name)))
        raise ModelError(
            f"{repository} cannot be downloaded: no connection can be set up ({_first_line(error)}). Correct or unset "
            f"these variables: {names}. A proxy is an http:// address."
        ) from error
    info, revision = _announced(repository, revision, tell)
    commit = info.sha or revision
    announced = {each.rfilename: each for each in info.siblings or [] if "/" not in each.rfilename}
    tops = {each.rfilename.partition("/")[0] for each in info.siblings or []}

    for damage in broken:
        if damage.path.suffix == ".json":
            _remove(damage)

    def read(name: str) -> dict[str, object] | None:
        found = name in announced
        return read_json(Path(hf_hub_download(repository, name, revision=commit))) if found else None

    if wrong := complaint(read("config.json"), tops, aligner):
        raise ModelError(f"{repository} {wrong}")
    weights = weight_names(repository, announced, read(INDEX_FILE))
    if not any(needed <= announced.keys() for needed in TOKENIZERS):
        raise ModelError(f"{repository} has no complete tokenizer, so it cannot be used. {CHOOSE}")
    if sentence := _licence(repository, info):
        tell(sentence)
    wanted = [name for name in announced if name in weights or name.endswith(".json") or name == "merges.txt"]
    published = [_published(repository, commit, announced[name]) for name in wanted]
    for damage in broken:
        _remove(damage)
    is_reported = download_large_files(repository, commit, published, progress)
    bar = _bar(None if is_reported else progress)
    patterns = [glob.escape(name) for name in wanted]
    folder = Path(snapshot_download(repository, revision=revision, allow_patterns=patterns, tqdm_class=bar))
    if left := damages(folder):
        raise ModelError(f"{repository} was downloaded, but {left[0].path} {left[0].what}. Try again.")
    return folder


def _announced(repository: str, revision: str | None, tell: Tell) -> tuple[ModelInfo, str]:
    """What the Hub says of a revision, and its name. A known commit that a mirror lacks is replaced by `main`."""
    known = revision_of(repository)
    try:
        return HfApi().model_info(repository, revision=revision or known, files_metadata=True), revision or known
    except RevisionNotFoundError:
        if revision is not None or known == MAIN:
            raise
        tell(f"The known commit of {repository}, {known[:7]}, is not on this Hub; its newest one is taken.")
        return HfApi().model_info(repository, revision=MAIN, files_metadata=True), MAIN


def _published(repository: str, commit: str, announced: RepoSibling) -> Published:
    """What a file of the repository must be.

    Raises:
        ModelError: the Hub announces another content than was published.
    """
    name, stored = announced.rfilename, announced.lfs
    known = DIGESTS.get((repository, commit), {}).get(name)
    sha256 = stored.sha256 if stored is not None else None
    if known and sha256 and not sha256.startswith(known):
        raise ModelError(
            f"The Hub announces another {name} of {repository} than the one that was published. Nothing was downloaded."
        )
    return Published(name, announced.size, sha256 or known)


def _licence(repository: str, info: ModelInfo) -> str | None:
    """What the user must know of a model's licence before its download; None for the usual free ones."""
    release = RELEASES.get(repository)
    if release is not None:
        return f"{repository}: {release.licence}" if release.licence else None
    tags = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    names = [name for name in tags if name.lower() not in FREE_LICENCES]
    if not names:
        return None
    return f"{repository} has the licence {names[0][:60]}. Read it at {constants.ENDPOINT}/{repository} first."


def _remove(damage: Damage) -> None:
    """Remove a damaged file from the cache, so that the client does not take it for a whole one."""
    path = damage.path
    blobs = path.parent.parent.parent / "blobs"
    if path.is_dir():
        return
    blob = Path(os.path.realpath(path))
    path.unlink(missing_ok=True)
    if blob.parent == Path(os.path.realpath(blobs)):
        blob.unlink(missing_ok=True)


def _failure(repository: str, revision: str | None, broken: Sequence[Damage], error: Exception, aligner: bool) -> str:
    """Why a download failed, as a sentence for the user."""
    if isinstance(error, GatedRepoError):
        return (
            f"{repository} is only for users who were granted access. Ask for it at {constants.ENDPOINT}/{repository}, "
            "then set HF_TOKEN to your access token."
        )
    status = getattr(error.response, "status_code", None) if isinstance(error, HfHubHTTPError) else None
    if status == UNAUTHORISED and INVALID in str(error):
        return f"The Hub refuses the access token (HF_TOKEN, or that of `hf auth login`): {repository} was not loaded."
    if isinstance(error, RepositoryNotFoundError) or status == UNAUTHORISED:
        return (
            f"There is no model {repository} on {_hub()}, or you have no access to it. "
            f"Check the name{ALIGNER_INSTEAD if aligner else MODEL_INSTEAD}"
        )
    if isinstance(error, RevisionNotFoundError):
        return f"The repository {repository} has no revision {revision}."
    if isinstance(error, OSError) and error.errno in FULL:
        return (
            f"The disk of {constants.HF_HUB_CACHE} is full, so {repository} is incomplete. What was downloaded "
            "is kept: free some space and try again."
        )
    if isinstance(error, OSError) and _is_of_the_cache(error.filename):
        return (
            f"{repository} cannot be kept in the cache: {error.filename} ({error.strerror}). Let your user write "
            "there, or set HF_HOME to another folder for models."
        )
    reason = _first_line(error)
    advice = "Check the network"
    if constants.HF_HUB_OFFLINE:
        reason, advice = "offline mode: HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set", "Unset it"
    elif status is not None:
        reason = f"{_hub()} answers with status {status}"
        advice = "Check your access to it" if status == HTTPStatus.FORBIDDEN else "Try again later"
    elif constants.ENDPOINT != OFFICIAL:
        reason = f"{constants.ENDPOINT}: {reason}"
    if unfinished(repository):
        return (
            f"{repository} is not complete in the cache, and the rest cannot be downloaded ({reason}). {advice} and "
            "start the download again: what has arrived is kept."
        )
    if broken:
        path, what = broken[0].path, broken[0].what
        folder = path if path.is_dir() else path.parent
        return (
            f"{repository} in the cache is not whole ({path.name} {what}) and cannot be downloaded again ({reason}). "
            f"{advice}, or delete {folder} and choose another model."
        )
    return (
        f"{repository} is not in the cache and cannot be downloaded ({reason}). "
        f"{advice}{ALIGNER_INSTEAD if aligner else MODEL_INSTEAD}"
    )


def _first_line(error: Exception) -> str:
    """What an error says, without the number of a system error and a full stop."""
    text = re.sub(r"^\[Errno -?\d+\] (?=.)", "", str(error).strip()) or type(error).__name__
    return text.splitlines()[0].rstrip(".")


def _hub() -> str:
    """Where models come from, in words."""
    return "the Hugging Face Hub" if constants.ENDPOINT == OFFICIAL else constants.ENDPOINT


def _bar(progress: Progress | None) -> type[tqdm]:
    """A progress bar for the client that draws nothing and calls `progress` with bytes."""

    class Silent(tqdm):
        def __init__(self, *args: object, **kwargs: object) -> None:
            # two bars count bytes: those that came over the network, and those that are in place
            over_network = str(kwargs.get("name")).endswith(".transfer")
            self.counts_bytes = kwargs.get("unit") == "B" and not over_network
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if progress is not None and self.counts_bytes:
                progress(int(self.n), int(self.total or 0))

    return Silent


def _is_of_the_cache(name: object) -> bool:
    """Whether a file that an error names is in the cache or beside it, or a folder above it."""
    if not isinstance(name, str):
        return False
    path, places = Path(name), [Path(constants.HF_HUB_CACHE), Path(constants.HF_HOME)]
    return any(path.is_relative_to(place) or place.is_relative_to(path) for place in places)
