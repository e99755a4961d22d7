"""Shared by all tests: how many examples a property gets, and what may be missing."""

import os
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
