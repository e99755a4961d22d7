"""SpeakerNumbers: which speaker of a session a group of voices is, so that a person keeps the number."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from livecap.speakers.clustering import Items, Numbers, Vectors, centroids, unit
from livecap.speakers.known import ALIKE

NEW_SECONDS = 1.5
"""Least speech of a voice before it counts as a new speaker."""
MOST_SPEAKERS = 200
"""Voices remembered in a session. With more, the one that was heard least is forgotten."""

Seconds = NDArray[np.float32]


class SpeakerNumbers:
    """The numbers of one track. Used from one thread."""

    def __init__(
        self, next_number: Callable[[], int], on_new: Callable[[int, NDArray[np.float32]], None] = lambda n, v: None
    ) -> None:
        """
        Args:
            next_number: the number of a new speaker.
            on_new: gets the number and the voice of each new speaker.
        """
        self._next_number, self._on_new = next_number, on_new
        self._sums: dict[int, NDArray[np.float32]] = {}
        """Number of each speaker to the sum of the vectors of their voice in what was learned, weighted by seconds."""
        self._voices: dict[int, NDArray[np.float32]] = {}
        """Number of each speaker to their voice, as a unit vector."""

    def of_groups(
        self, groups: Numbers, voices: Vectors, seconds: Seconds, before: Numbers
    ) -> tuple[Numbers, NDArray[np.bool_]]:
        """The number of each group, and whether it is sure; it is not where there is too little of a voice.

        A group is the speaker who has most of it by the numbers before, then the one whose voice is alike, and else a
        new one. Two groups are two speakers.

        Args:
            groups: [n] the group of each voice, from 0, without gaps.
            voices: [n, 192]
            seconds: [n] how long each is.
            before: [n] the number that each had, or -1.
        """
        means = centroids(Items(voices, seconds), groups)
        total = np.bincount(groups, seconds)
        shared: dict[tuple[int, int], float] = {}
        for group, number, length in zip(groups.tolist(), before.tolist(), seconds.tolist(), strict=True):
            if number >= 0:
                shared[group, number] = shared.get((group, number), 0.0) + length
        alike = {
            (group, number): float(mean @ voice)
            for group, mean in enumerate(means)
            for number, voice in self._voices.items()
        }
        found: dict[int, int] = {}
        for pairs, least in ((shared, 0.0), (alike, ALIKE)):
            for (group, number), how_much in sorted(pairs.items(), key=lambda item: -item[1]):
                if how_much >= least and group not in found and number not in found.values():
                    found[group] = number
        numbers = np.zeros(len(means), np.int64)
        is_sure = np.ones(len(means), bool)
        for group in sorted(range(len(means)), key=lambda group: bool(total[group] < NEW_SECONDS)):
            if group not in found and (total[group] >= NEW_SECONDS or not self._voices):
                found[group] = self._next_number()
                self._on_new(found[group], means[group])
                self._voices[found[group]] = means[group]
            is_sure[group] = group in found
            numbers[group] = (
                found[group]
                if is_sure[group]
                else max(self._voices, key=lambda number: float(means[group] @ self._voices[number]))
            )
        for group, number in found.items():
            self._voices[number] = unit(self._sums.get(number, 0) + means[group] * np.float32(total[group]))
        return numbers, is_sure

    def learn(self, numbers: Numbers, voices: Vectors, seconds: Seconds) -> None:
        """Keep the sum of voices [n, 192] that will not be given to `of_groups` again; those with number -1 are no
        one's."""
        for number in set(numbers.tolist()) - {-1}:
            own = numbers == number
            total = (voices[own] * seconds[own, None]).sum(axis=0)
            self._sums[number] = self._sums.get(number, 0) + total
            self._voices.setdefault(number, unit(self._sums[number]))
        while len(self._voices) > MOST_SPEAKERS:
            least = min(self._voices, key=lambda number: float(np.linalg.norm(self._sums.get(number, 0))))
            del self._voices[least]
            self._sums.pop(least, None)

    def known(self, voice: NDArray[np.float32]) -> int | None:
        """The speaker whose voice is most alike; None if nobody's is."""
        likeness, number = max(
            ((float(voice @ own), number) for number, own in self._voices.items()), default=(0.0, -1)
        )
        return number if likeness >= ALIKE else None
