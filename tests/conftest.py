"""Shared by all tests: how many examples a property gets, and what may be missing."""

import os
import runpy
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

nobodys = tempfile.NamedTemporaryFile(prefix="livecap-", suffix=".toml")  # to the end of the run
os.environ["LIVECAP_SETTINGS"] = nobodys.name  # nobody's own settings change what a test sees

# A shell starts what it runs in the background with signals ignored, nohup does, and whatever runs a suite unattended
# may: every program that a test starts would inherit it.
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

# The network is denied to the tests and to every Python program that they start, and what they try is noted.
network_notes = tempfile.NamedTemporaryFile(prefix="livecap-network-", suffix=".txt")
os.environ["LIVECAP_NETWORK_NOTES"] = network_notes.name
no_network = str(Path(__file__).parent / "no_network")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [no_network, os.environ.get("PYTHONPATH")]))
runpy.run_path(os.path.join(no_network, "sitecustomize.py"))

settings.register_profile("quick", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("prove", max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("quick"), derandomize=True)
settings.load_profile("prove" if os.environ.get("LIVECAP_PROVE") else "ci" if os.environ.get("CI") else "quick")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Material that lies beside a checkout of the founders, and nowhere else."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder shared/ beside the checkout")
    return folder


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run in which anything reached beyond this machine has failed, whatever came of it."""
    if tried := Path(network_notes.name).read_text(encoding="utf-8").splitlines():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nThe network was tried, which no test may: {', '.join(sorted(set(tried)))}")
