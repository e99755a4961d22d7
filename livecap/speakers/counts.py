"""Counts: how many speakers a sound has, as far as the user knows."""

from dataclasses import dataclass

from livecap.errors import SettingsError

Speakers = bool | int | tuple[int | None, int | None]
"""Whether speakers are labelled; how many there are, or the least and the most number."""


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

    @classmethod
    def of(cls, speakers: Speakers) -> "Counts | None":
        """What a caller of the Python API says; None if speakers are not wanted.

        Raises:
            SettingsError: it says something else.
        """
        if speakers is False or speakers is None:
            return None
        if speakers is True:
            return cls()
        if isinstance(speakers, int):
            return cls(exactly=speakers)
        if isinstance(speakers, tuple) and len(speakers) == 2 and all(isinstance(n, int | None) for n in speakers):
            return cls(at_least=speakers[0], at_most=speakers[1])
        raise SettingsError("speakers must be True, a number, or a pair of the smallest and the largest number.")

    @property
    def are_known(self) -> bool:
        """The user said something."""
        return self != Counts()


UNKNOWN_NUMBER = Counts()
