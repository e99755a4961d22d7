"""CleanInput: where a person types or pastes; what a terminal would obey never gets in."""

from textual.widgets import Input

from livecap.text.safety import printable


class CleanInput(Input):
    """Its value is printable, wherever it came from."""

    def validate_value(self, value: str) -> str:
        """As Textual asks before a new value is taken."""
        return printable(value)
