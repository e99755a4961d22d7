"""Everything that can go wrong in the world, as one tree.

    LivecapError            what a person reads: one line, then exit status 1
    ├── AudioError          no such file, not audio, no such device, a device that left
    ├── ModelError          no such model, a damaged checkpoint, no network and no cache
    ├── LogError            a folder that cannot be written, a log that cannot be read
    └── SettingsError       a flag or a setting that makes no sense

A message says what was tried, what was found, and what to do. Our own mistakes are `assert`s, not exceptions.
"""


class LivecapError(Exception):
    """A fault of the world, worded for the person who meets it."""


class AudioError(LivecapError):
    """Sound could not be had: file, pipe or device."""


class ModelError(LivecapError):
    """A checkpoint could not be found, read or run."""


class LogError(LivecapError):
    """A session log could not be written or read."""


class SettingsError(LivecapError):
    """A flag or a setting has no meaning here."""
