#!/bin/sh
# Makes .venv and installs what is missing.
#
#   scripts/setup.sh env     .venv with the development tools; no system packages
#   scripts/setup.sh demo    .venv to run livecap, and the system packages it needs on Linux
#   scripts/setup.sh test    .venv with the development tools, and the system packages of the tests
#   scripts/setup.sh picture .venv with the development tools, and the font of the README's picture
#
# As root it installs system packages. Otherwise it asks before it uses sudo; where it cannot ask, or the answer is no,
# it prints one line with the missing packages and continues. It prints nothing when there is nothing to do.

set -eu
cd "$(dirname "$0")/.."
ROOT=$(pwd)

PYTHONS='>=3.11,<3.15'
LEAST_GLIBC_MINOR=35
UV_WANTED='uv>=0.8'
PIP_OPTIONS='--quiet --disable-pip-version-check'
UV=

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
quietly() { # runs a command, and prints its output only if it failed
    output=$("$@" 2>&1 </dev/null) || { printf '%s\n' "$output" >&2; return 1; }
}

# ---- system packages (Linux) -----------------------------------------------------------------------------------------

has_library() { # NAME: can the dynamic linker find it?
    { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | grep -q "$1" && return 0
    for folder in /lib /lib64 /usr/lib /usr/lib64 /usr/local/lib /lib/*-linux-* /usr/lib/*-linux-*; do
        [ -e "$folder/$1" ] && return 0
    done
    return 1
}

has_alsa_pulse() {
    for file in /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so /usr/lib*/alsa-lib/libasound_module_pcm_pulse.so; do
        [ -e "$file" ] && return 0
    done
    return 1
}

has_fira_code() {
    find /usr/share/fonts /usr/local/share/fonts "${HOME:-/}/.local/share/fonts" -iname 'FiraCode*' 2>/dev/null | grep -q .
}

is_ubuntu() { # whose Chromium is a snap, not a package
    grep -qx 'ID="\?ubuntu"\?' /etc/os-release 2>/dev/null
}

missing_packages() { # WHAT: the Debian names of missing packages
    if [ "$1" = picture ]; then
        has_fira_code || echo fonts-firacode
        return 0
    fi
    has_library libportaudio.so.2 || echo libportaudio2
    has_library libopenblas.so.0 || has_library libmkl_rt.so || echo libopenblas0
    [ "$1" = test ] || return 0
    have pulseaudio || echo pulseaudio
    have pactl || echo pulseaudio-utils
    has_alsa_pulse || echo libasound2-plugins
    have tmux || echo tmux
    have espeak-ng || echo espeak-ng
    have chromium || have chromium-browser || have google-chrome || is_ubuntu || echo chromium
    have node || have nodejs || echo nodejs
}

apt_install() { # SUDO PACKAGE...: never removes a package; updates the package lists where the present ones fail
    sudo=$1; shift
    install="$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove
        -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 -qq"
    # shellcheck disable=SC2086
    $install "$@" >/dev/null 2>&1 </dev/null && return 0
    # shellcheck disable=SC2086
    $sudo apt-get update -qq >/dev/null 2>&1 </dev/null || true
    # shellcheck disable=SC2086
    quietly $install "$@"
}

offer_packages() { # CONSEQUENCE PACKAGE...: install them, or print one line with their names and return 1
    consequence=$1; shift
    line="Missing: $*. $consequence"
    if ! have apt-get; then
        say "$line (These are the Debian names; install the packages of your system.)"
        return 1
    fi
    by_hand="$line Install: sudo apt-get install $*"
    if [ "$(id -u)" = 0 ]; then
        say "Installing $*"
        apt_install '' "$@" && return 0
        say "$by_hand"
        return 1
    fi
    refused=".cache/setup/refused $*"
    if [ -n "${CI:-}" ] || ! [ -t 0 ] || ! [ -t 2 ] || ! have sudo || [ -e "$refused" ]; then
        say "$by_hand"
        return 1
    fi
    say "$line"
    printf 'setup: Run "sudo apt-get install %s" now? [y/N] ' "$*" >&2
    read -r answer || answer=
    case $answer in
        [yY]*) sudo -v && apt_install sudo "$@" && return 0; say "$by_hand" ;;
        *) mkdir -p .cache/setup && : >"$refused"; say "Continuing without them. To install them later: sudo apt-get install $*" ;;
    esac
    return 1
}

system_packages() { # WHAT
    [ "$(uname -s)" = Linux ] || return 0
    packages=$(missing_packages "$1" | tr '\n' ' ')
    [ -n "$packages" ] || return 0
    case $1 in
        demo) consequence='Without them there is no microphone input (PortAudio), or decoding is slow (OpenBLAS).' ;;
        test) consequence='Without them the tests are slow, and some tests of capture, speech and the screen are skipped.' ;;
        picture) consequence='Without it the picture has another font.' ;;
    esac
    # shellcheck disable=SC2086
    offer_packages "$consequence" $packages || true
}

# ---- uv --------------------------------------------------------------------------------------------------------------

private_uv() { # uv in a virtual environment: Debian's pip refuses to install into the system's Python
    python=
    for name in python3 python3.13 python3.12 python3.14 python3.11; do
        if have $name && $name -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
            python=$name
            break
        fi
    done
    [ -n "$python" ] || fail 'python3 was not found. Install Python 3.11 to 3.14, or uv.'
    say 'Installing uv into .cache/uv'
    rm -rf .cache/uv && mkdir -p .cache
    has_venv "$python" || has_pip "$python" || offer_packages 'Without it uv cannot be installed.' python3-venv || exit 1
    if has_venv "$python"; then
        # shellcheck disable=SC2086
        quietly "$python" -m venv .cache/uv && quietly .cache/uv/bin/python -m pip install $PIP_OPTIONS "$UV_WANTED"
    else
        # shellcheck disable=SC2086
        quietly "$python" -m pip install $PIP_OPTIONS --target .cache/uv "$UV_WANTED"
    fi || fail 'uv could not be installed; see above. The first installation needs the network. Run the same command to try again.'
}

has_venv() { # PYTHON: Debian's Python has no venv
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

has_pip() { # PYTHON
    "$1" -c 'import pip' 2>/dev/null
}

find_uv() {
    if have uv && uv --version >/dev/null 2>&1; then
        UV=uv
        return 0
    fi
    UV=$ROOT/.cache/uv/bin/uv
    "$UV" --version >/dev/null 2>&1 || private_uv
}

# ---- .venv -----------------------------------------------------------------------------------------------------------

usable_environment() { # a supported Python, and scripts whose first lines name this folder
    [ "$(cat .venv/.livecap-root 2>/dev/null || echo "$ROOT")" = "$ROOT" ] || return 1
    .venv/bin/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null
}

make_environment() {
    usable_environment && return 0
    rm -rf .venv
    UV_PYTHON_DOWNLOADS=never "$UV" venv --quiet --no-project --python "$PYTHONS" .venv 2>/dev/null && return 0
    say 'Python 3.11 to 3.14 was not found; uv looks for one'
    "$UV" venv --quiet --no-project --python "$PYTHONS" .venv 2>/dev/null ||
        fail 'livecap needs Python 3.11, 3.12, 3.13 or 3.14, and uv could not fetch one. Install one and run this again.'
}

fingerprint() { # LOCK: a checksum of everything that the environment is made from
    cat "requirements/$1.txt" pyproject.toml livecap/version.py scripts/setup.sh | cksum
}

is_made() { # LOCK: is the environment up to date?
    [ "$(cat ".venv/.livecap-$1" 2>/dev/null)" = "$(fingerprint "$1")" ] && usable_environment
}

python_packages() { # LOCK
    if is_made "$1" || is_made dev; then # dev has all packages of run, in the same versions
        return 0
    fi
    find_uv
    make_environment
    say "Installing Python packages into .venv (requirements/$1.txt)"
    for source in "--requirement requirements/$1.txt" '--no-deps --editable .'; do
        # shellcheck disable=SC2086
        quietly "$UV" pip install --quiet --python .venv/bin/python $source ||
            fail 'The packages could not be installed; see above. Run the same command to try again.'
    done
    printf '%s\n' "$ROOT" >.venv/.livecap-root
    fingerprint "$1" >".venv/.livecap-$1"
}

# ----------------------------------------------------------------------------------------------------------------------

if [ "$(uname -s)" = Darwin ] && [ "$(uname -m)" != arm64 ]; then
    [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" != 1 ] ||
        fail 'This terminal runs in Rosetta. Open one that does not, or run: arch -arm64 make'
    fail 'MLX needs a Mac with Apple silicon and macOS 14 or newer; this Mac has an Intel processor.'
fi
if [ "$(uname -s)" = Linux ]; then
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || glibc='none (musl?)'
    minor=${glibc#glibc 2.}
    [ "${minor%%.*}" -ge "$LEAST_GLIBC_MINOR" ] 2>/dev/null ||
        fail "MLX needs glibc 2.$LEAST_GLIBC_MINOR or newer (Debian 12, Ubuntu 22.04, Fedora 36); this system has $glibc."
fi
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH CONDA_PREFIX
case ${1:-env} in
    env) python_packages dev ;;
    demo) system_packages demo; python_packages run ;;
    test | picture) system_packages "$1"; python_packages dev ;;
    *) fail "invalid argument $1: give env, demo, test or picture" ;;
esac
