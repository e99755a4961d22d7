"""The models livecap knows by name: sizes, the commit that is downloaded, digests of its files. Loads nothing heavy.

`livecap models` and the model page of the screen show this table. Capture starts before the model's code is read, so
this file must stay light: no NumPy, no MLX, no Hub client.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all) during a download. An exception that it raises stops the download."""
MAIN = "main"
"""The revision of a repository that is downloaded if no commit is known."""
TINY = "tiny"
"""The small demo model inside the package."""
TINY_BYTES = 23_600_000
"""Size of the tiny model on the disk."""
BESIDE_BYTES = 600_000_000
"""Memory besides the weights: MLX's buffers, the caches of a full prompt, Python. An estimate."""


@dataclass(frozen=True, slots=True)
class Release:
    """A published model that livecap offers."""

    disk_bytes: int
    n_parameters: int
    """Parameters in memory; the output head shares the embedding's and is not counted again."""
    about: str
    revision: str = MAIN
    """The commit that is downloaded."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """File to its SHA-256, or to the leading digits of it."""
    is_packed: bool = False
    """The disk's size is the memory's, where MLX computes with packed weights."""
    licence: str = ""
    """What the user must know of it before the download; "" for Apache-2.0."""

    @property
    def memory_bytes(self) -> int:
        """Memory that it needs while it runs here: a processor computes in float32, a GPU as the file is packed."""
        has_gpu = sys.platform == "darwin" and os.uname().machine == "arm64"
        weights = self.n_parameters * (2 if has_gpu else 4)
        return (self.disk_bytes if self.is_packed and has_gpu else weights) + BESIDE_BYTES


_N_06, _N_17 = 782_426_112, 2_038_052_480
_NETEASE = (
    "It has NetEase's own licence, not Apache: services of more than 100 million users a month or 1 billion RMB a year "
    "need another one, and its output may not improve other AI models, except for non-commercial use. Read it at "
    "https://huggingface.co/netease-youdao/Confucius4-R2T2 first."
)
RELEASES = {
    "Qwen/Qwen3-ASR-0.6B": Release(
        1_876_091_704,
        _N_06,
        "for most machines",
        "5eb144179a02acc5e5ba31e748d22b0cf3e303b0",
        {"model.safetensors": "79d6cbd4c98c7bbffe9db2edac07f56cd6637d0d5944b27f6c2b8353840323ea"},
    ),
    "mlx-community/Qwen3-ASR-0.6B-8bit": Release(
        1_006_229_426,
        _N_06,
        "the same, packed to 8 bit: for Macs with little memory",
        "89e96d92ba34aca20b3e29fb10cc284097d1219f",
        {"model.safetensors": "b5bfe4abc1b4"},
        is_packed=True,
    ),
    "Qwen/Qwen3-ASR-1.7B": Release(
        4_698_521_512,
        _N_17,
        "fewer errors, slower",
        "7278e1e70fe206f11671096ffdd38061171dd6e5",
        {
            "model-00001-of-00002.safetensors": "a4cd1f1a04d90b757dc7f7dd26254e69a013b19e80efe590a83c6a3bde8608d6",
            "model-00002-of-00002.safetensors": "6e0b9d9e09e2e0238e7ef3cc8a484ab387e91b90f1900bedf88bc92d7929ccfc",
            "model.safetensors.index.json": "f994739fe38e5210b9e3e8ce6c6307315e2ceac3cb630e7b7414d69dce520f60",
        },
    ),
    "mlx-community/Qwen3-ASR-1.7B-8bit": Release(
        2_463_307_541,
        _N_17,
        "the same, packed to 8 bit",
        "a8379a2e2f9e313c9292cdf1af4055ab56d50d55",
        {"model.safetensors": "bf304b009cc7"},
        is_packed=True,
    ),
    "netease-youdao/Confucius4-R2T2": Release(
        4_090_000_000, _N_17, "a fine-tune of 1.7B that commits early; not Apache", licence=_NETEASE
    ),
}
"""Repository on the Hugging Face Hub to what is known of it, in the order of the table."""
DIGESTS = {
    ("Qwen/Qwen3-ASR-0.6B-hf", "7f1569a48a89f3e3f4dc3a5c9d28bddd903bc76c"): {
        "model.safetensors": "d3f212dd20ab",
        "tokenizer.json": "fe1fad59be22",
    },
    ("Qwen/Qwen3-ASR-1.7B-hf", "bcd2b5b7f32b480ab5790554cfa8347f246a14f3"): {"model.safetensors": "2db53c7d81bd"},
    ("Qwen/Qwen3-ForcedAligner-0.6B", "c7cbfc2048c462b0d63a45797104fc9db3ad62b7"): {},
    ("mlx-community/Qwen3-ASR-0.6B-bf16", "eae2b51f96265328f1e7beced788adb0e4536f92"): {
        "model.safetensors": "a6e635fd9c8d"
    },
    ("mlx-community/Qwen3-ASR-0.6B-6bit", "468b9b6d692d3397d5d17b84a1166876a00c9bfa"): {
        "model.safetensors": "1df8abe1df01"
    },
    ("mlx-community/Qwen3-ASR-0.6B-4bit", "313d850181767edf09f00a9c289becca70e58cd0"): {
        "model.safetensors": "70c7e67e5880"
    },
    ("mlx-community/Qwen3-ASR-1.7B-bf16", "e1f6c266914abc5a46e8756e02580f834a6cf8a7"): {
        "model.safetensors": "2f080a3b769a"
    },
    ("mlx-community/Qwen3-ASR-1.7B-6bit", "edd077a475c4da058e25b6e6ec1199115ca1be2b"): {
        "model.safetensors": "cacb094fef22"
    },
    ("mlx-community/Qwen3-ASR-1.7B-4bit", "78a389c776a5483b2d0d4ea5494e11012e0d6159"): {
        "model.safetensors": "9848eaf7a5c1"
    },
    ("moona3k/mlx-qwen3-asr-1.7b-8bit", "22c8abe6a6772122dda5905967d7496d1d3e8dd2"): {
        "weights.safetensors": "eba2bdb1ec74"
    },
    ("moona3k/mlx-qwen3-asr-0.6b-8bit", "83ce2a8ef9a382d2ba2209aab383bc51fff366f5"): {},
    ("moona3k/mlx-qwen3-asr-0.6b-4bit", "4c59c533f95c84afb796655e814709034f826f04"): {},
} | {(repository, release.revision): dict(release.digests) for repository, release in RELEASES.items()}
"""Repository and commit to the SHA-256, or its leading digits, of files. The commit is the one that is downloaded."""
ALIGNER = "Qwen/Qwen3-ForcedAligner-0.6B"
"""The released forced aligner, which finds when each word of a given text was said. 1,835,544,544 bytes."""
SHORT_NAMES = {
    short: repository
    for repository in RELEASES
    if repository.startswith("Qwen/")
    for short in (repository.rpartition("-")[2].lower(), repository.rpartition("/")[2].lower())
}
"""`0.6b` and `qwen3-asr-0.6b` to the repository; compared in lower case."""
HUBS = ("https://huggingface.co", "http://huggingface.co", "huggingface.co", "https://hf.co", "hf.co")
"""The Hub, as the address of a model's page begins."""
SPARE = 0.75
"""The share of the memory that a model may take; the rest is for other programs."""


def repository_of(name: str) -> str:
    """The repository that a short name or its page on the Hub stands for; any other name as it is."""
    hubs = "|".join(map(re.escape, [*HUBS, *filter(None, [os.environ.get("HF_ENDPOINT", "").rstrip("/")])]))
    page = re.fullmatch(
        rf"(?:{hubs})/([^/?#]+/[^/?#]+?)/?(?:/(?:tree|blob|resolve)/main(?:/.*)?)?(?:[?#].*)?", name.strip()
    )
    return page[1] if page else SHORT_NAMES.get(name.lower(), name)


def revision_of(repository: str) -> str:
    """The commit of a repository that is downloaded, or `main` where none is known."""
    return next((revision for known, revision in DIGESTS if known == repository), MAIN)


def fits(release: Release, memory_bytes: int) -> bool:
    """Whether a machine with this much memory should run a model."""
    return release.memory_bytes <= SPARE * memory_bytes


def recommended(memory_bytes: int) -> str | None:
    """The repository that a machine with this much memory should take; None where none fits.

    The first of the table that fits and has no licence of its own.
    """
    suitable = (name for name, release in RELEASES.items() if not release.licence and fits(release, memory_bytes))
    return next(suitable, None)
