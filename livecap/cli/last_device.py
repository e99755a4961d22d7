"""The input used last, remembered from session to session: `livecap` alone listens to it again."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from livecap.settings.fields import Settings


def remember(settings: Settings) -> None:
    """After a session's devices were opened: the device that was chosen, or that none was."""
    if settings.replay is not None or settings.stdin:
        return
    from livecap.archive.disk import replace_file

    path = _path()
    with suppress(OSError):  # a convenience, no more
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, (json.dumps({"device": settings.device, "mic": settings.mic}) + "\n").encode())


def recall(settings: Settings) -> tuple[Settings, str | None]:
    """The settings with the input used last where the person chose none and it is here; and a sentence that says so."""
    if settings.mic or settings.device is not None or settings.replay is not None or settings.stdin:
        return settings, None
    try:
        last = json.loads(_path().read_text(encoding="utf-8"))
        device, mic = last["device"], last["mic"]
    except (OSError, ValueError, KeyError, TypeError):
        return settings, None
    if not isinstance(device, str):
        return settings, None
    from livecap.audio_in.device.devices import find_input
    from livecap.errors import AudioError

    try:
        name = find_input(device).name
    except AudioError:
        return settings, f'"{device}", the input used last, is not here: listening to the default input.'
    both = "the default input and " if mic is True else ""
    sentence = f'Listening to {both}"{name}", as last time; --mic takes the default input alone.'
    return replace(settings, device=device, mic=mic is True), sentence


def _path() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("livecap", appauthor=False)) / "last_device.json"
