"""The exceptions of livecap, one small tree.

    LivecapError            one line for the user, then exit status 1
    ├── AudioError          no such file, not audio, no such device, a device that was disconnected
    ├── ModelError          no such model, a damaged checkpoint, no network and no copy in the cache
    ├── LogError            a folder that cannot be written, a log that cannot be read
    └── SettingsError       an invalid flag or setting

A message says what was tried, what was found, and what to do. Errors in livecap itself are `assert`s, not exceptions.
"""


class LivecapError(Exception):
    """Something outside livecap went wrong; the message is for the user."""


class AudioError(LivecapError):
    """Sound could not be read from a file, a pipe or a device."""


class ModelError(LivecapError):
    """A model could not be found, read or run."""


class LogError(LivecapError):
    """The log of a session could not be written or read."""


class SettingsError(LivecapError):
    """A flag or a setting is invalid."""


def for_user(error: LivecapError | OSError, unnamed: str = "a file") -> str:
    """An error as a sentence for the user.

    Args:
        unnamed: what cannot be read or written, where an error of the system does not say it.
    """
    if isinstance(error, OSError):
        return f"Cannot read or write {error.filename or unnamed}: {error.strerror or error}."
    return str(error)


def brief(value: object) -> str:
    """A value as an error message shows it, at most 60 characters long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python refuses to write numbers of more than 4300 digits
        return "a value that is too long to show"
    return text if len(text) <= 60 else f"{text[:57]}..."


def one_line(error: BaseException) -> str:
    """Type and message of an error that is not for the user, in one line without a full stop."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200].rstrip(".: ")
