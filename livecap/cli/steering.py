"""Steering: what a person changes on the screen, carried out in the session that runs."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from livecap.settings.fields import Settings

if TYPE_CHECKING:
    from livecap.session.requests import SteeredSession


class Steering:
    """Call it with changed settings: `device`, `model`, `language` or `context`. One thread at a time."""

    def __init__(self, session: "SteeredSession", settings: Settings) -> None:
        self._session = session
        self._settings = settings

    def __call__(self, changes: Mapping[str, Any], track: str = "") -> None:
        """May take as long as a device needs to answer.

        Args:
            track: whose device.

        Raises:
            LivecapError: it cannot be changed so, and all goes on as before.
        """
        from livecap.cli.run import recognition
        from livecap.settings.fields import DEFAULT_MODEL

        usual = {"model": DEFAULT_MODEL, "context": ""}
        wanted: dict[str, Any] = {name: usual.get(name) if value is None else value for name, value in changes.items()}
        settings = replace(self._settings, **wanted)
        if "device" in changes:
            self._session.switch_input(settings.device, track)
        if set(changes) - {"device"}:
            language, load_model = recognition(settings, self._session.kept_models)
            self._session.change_recognition(load_model, described_model(settings.model), language)
        self._settings = settings


def described_model(model: str) -> str:
    """A model's name as people read it: a folder's own name or the last part of a repository's, and how it is packed.

    Tells nothing of the packing where the configuration is not here yet.
    """
    name = model.rstrip("/").rsplit("/", 1)[-1] or model
    bits = _bits(model)
    return name if bits is None or "bit" in name.lower() else f"{name} {bits}-bit"


def _bits(model: str) -> int | None:
    from livecap.model.checkpoint.catalogue import folder_of

    folder = folder_of(model)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return None  # loading it will tell what is wrong
    packing = config.get("quantization") if isinstance(config, dict) else None
    bits = packing.get("bits") if isinstance(packing, dict) else None
    return bits if isinstance(bits, int) else None
