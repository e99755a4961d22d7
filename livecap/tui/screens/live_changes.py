"""LiveChanges: what a person changes in a session that runs: the input, the model, the language, the expected words."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from livecap.errors import LivecapError
from livecap.tui.choices import Change, Machine
from livecap.tui.messages import Changed

if TYPE_CHECKING:
    from livecap.session.status import TrackStatus
    from livecap.tui.screens.live_screen import LiveScreen


class LiveChanges:
    """Asks on screens of their own, and has the session changed on a thread; `Changed` tells the screen how it went."""

    def __init__(
        self, screen: "LiveScreen", machine: Machine | None, change: Change | None, now: Callable[[], float]
    ) -> None:
        """
        Args:
            machine: what can be chosen from; None where nothing can be changed while the session runs.
            change: changes the session that runs.
        """
        self._screen, self.machine, self._change, self._now = screen, machine, change, now

    @property
    def are_possible(self) -> bool:
        return self._change is not None

    def ask_device(self, tracks: "tuple[TrackStatus, ...]") -> None:
        """Of several tracks, a person says which."""
        from livecap.tui.screens.device_screen import DeviceScreen

        assert self.machine is not None
        screen = DeviceScreen(self.machine, self._now, tracks=[(track.label, track.source) for track in tracks])
        self._screen.app.push_screen(screen, lambda name: self._chosen("device", name, screen.track))

    def ask_model(self) -> None:
        from livecap.tui.screens.model_screen import ModelScreen

        assert self.machine is not None
        self._screen.app.push_screen(ModelScreen(self.machine, self._now), lambda name: self._chosen("model", name))

    def ask_language(self) -> None:
        from livecap.tui.screens.language_screen import LanguageScreen

        assert self.machine is not None
        screen = LanguageScreen(self.machine.languages())
        self._screen.app.push_screen(screen, lambda name: self._chosen("language", name))

    def _chosen(self, name: str, value: str | None, track: str = "") -> None:
        """None: nothing was chosen. An empty text: what is usual."""
        if value is not None:
            self.make({name: value or None}, track)

    def make(self, changes: Mapping[str, Any], track: str = "") -> None:
        """Change the session that runs, without keeping the screen waiting."""
        assert self._change is not None
        change, screen = self._change, self._screen
        whose = f" of {track}" if track else ""
        screen.tell(f"Changing the {', '.join(changes)}{whose}…")

        def work() -> None:
            try:
                change(changes, track)
            except LivecapError as error:
                screen.post_message(Changed(changes, str(error)))
            else:
                screen.post_message(Changed(changes))

        screen.run_worker(work, thread=True, group="change", exclusive=True)
