"""Shared by all tests: an environment without user settings, ignored signals or a network, and Hypothesis profiles."""

import os
import runpy
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The settings file is an empty one, so that the developer's own settings change no test.
no_settings = tempfile.NamedTemporaryFile(prefix="livecap-", suffix=".toml")  # deleted when the run ends
os.environ["LIVECAP_SETTINGS"] = no_settings.name

# Shells (for background jobs), nohup and CI systems may start this process with signals ignored. Every program that a
# test starts would inherit that.
USUAL = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGQUIT: signal.SIG_DFL,
    signal.SIGTSTP: signal.SIG_DFL,
    signal.SIGWINCH: signal.SIG_DFL,
}
for number, usual in USUAL.items():
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)
signal.pthread_sigmask(signal.SIG_UNBLOCK, USUAL)

# NumPy's threads sleep after a product, as in the program, and each worker computes on its share of the cores: two
# workers that each use all cores spend most of their time waiting for each other. Read when NumPy is loaded.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")
if n_workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // n_workers)))

# Tests, and all Python programs that they start, have no network; each attempt to use it is written to a file.
is_worker = "PYTEST_XDIST_WORKER" in os.environ
if not is_worker:  # a worker writes into the file of the run that started it
    network_notes = tempfile.NamedTemporaryFile(prefix="livecap-network-", suffix=".txt")
    os.environ["LIVECAP_NETWORK_NOTES"] = network_notes.name
no_network = str(Path(__file__).parent / "no_network")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [no_network, os.environ.get("PYTHONPATH")]))
runpy.run_path(os.path.join(no_network, "sitecustomize.py"))

settings.register_profile("quick", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("prove", max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("quick"), derandomize=True)
settings.load_profile("prove" if os.environ.get("LIVECAP_PROVE") else "ci" if os.environ.get("CI") else "quick")


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """A test that runs the program in this process leaves its signals to no other: at its end they are ignored."""
    before = {number: signal.getsignal(number) for number in USUAL}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the checkout, with more test material; tests that need it are skipped without it."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder shared/ beside the checkout")
    return folder


PLAY_RECORDINGS = {
    "test_killed_live.py",
    "test_killed_replay.py",
    "test_live_and_offline.py",
    "test_recorded_source.py",
    "test_recovery.py",
    "test_settling.py",
    "test_sound_folder.py",
    "test_without_reuse.py",
}
"""Files whose tests play recordings through the model."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests and properties run first, recordings last."""
    items.sort(key=lambda item: item.path.name in PLAY_RECORDINGS)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if anything tried to use the network, even if all tests passed."""
    if is_worker:
        return
    if tried := Path(network_notes.name).read_text(encoding="utf-8").splitlines():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nTests must not use the network, but these addresses were tried: {', '.join(sorted(set(tried)))}")
