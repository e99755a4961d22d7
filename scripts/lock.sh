#!/bin/sh
# Writes requirements/*.txt from pyproject.toml: exact versions with hashes, for every system and Python version that
# livecap supports, in the requirements format, which names no registry. `--upgrade` chooses the newest versions;
# without it, locked versions stay where they still fit.

set -eu
cd "$(dirname "$0")/.."
UV=uv
command -v uv >/dev/null 2>&1 || UV=.cache/uv/bin/uv
"$UV" --version >/dev/null 2>&1 || { echo 'lock: uv was not found; see https://docs.astral.sh/uv' >&2; exit 1; }

compile() { # OUTPUT ARGUMENT...
    output=$1; shift
    # For an older macOS, MLX's wheels for the current one would be left out.
    MACOSX_DEPLOYMENT_TARGET=14.0 "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make lock' \
        --output-file "$output" "$@"
}

mkdir -p requirements
compile requirements/dev.txt pyproject.toml --group dev "$@"
compile requirements/run.txt pyproject.toml --constraint requirements/dev.txt "$@"
