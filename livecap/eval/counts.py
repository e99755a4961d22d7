"""Counts: the base of figures that add up over recordings."""

from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, slots=True)
class Counts:
    """Base of a frozen dataclass of numbers and lists: `a + b` adds numbers and joins lists, field by field."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))
