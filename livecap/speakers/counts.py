"""Counts: how many speakers a sound has, as far as the user knows."""

from dataclasses import dataclass

from livecap.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Counts:
    """Without arguments nothing is known, and the number is found."""

    exactly: int | None = None
    at_least: int | None = None
    at_most: int | None = None

    def __post_init__(self) -> None:
        given = [number for number in (self.exactly, self.at_least, self.at_most) if number is not None]
        if any(number < 1 for number in given):
            raise SettingsError("A number of speakers is at least 1.")
        if self.exactly is not None and len(given) > 1:
            raise SettingsError("Give the exact number of speakers, or the least and the most, but not both.")
        if None not in (self.at_least, self.at_most) and (self.at_least or 1) > (self.at_most or 1):
            raise SettingsError(f"At least {self.at_least} speakers are more than at most {self.at_most}.")

    @property
    def are_known(self) -> bool:
        """The user said something."""
        return self != Counts()


UNKNOWN_NUMBER = Counts()
