"""Where pieces are decoded: by an engine of this process, or by engines on other machines (`ray_pool`)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from livecap.engine import Engine, EngineSettings
from livecap.errors import LivecapError
from livecap.transcribe.cutter import Piece
from livecap.transcribe.decoding import DecodingOptions, PieceDecoder
from livecap.transcribe.drafts import Draft
from livecap.transcribe.result import Segment, Timings

BATCHES_AHEAD = 4
"""Pieces of this many batches are sorted by length before they are decoded, so that a batch has equally long ones."""
Result = tuple[list[Segment | None], Timings]
"""The segment of each piece of a batch, and what the batch cost."""


class Stopped(LivecapError):
    """The user stopped the work."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Pieces that are decoded in one place, one batch after the other."""

    batches: Sequence[Sequence[Piece]]
    drafts: Sequence[Sequence[Draft | None]]
    """For each batch, what is known of the text of its pieces, or nothing."""


class Decodes(Protocol):
    """Decodes units."""

    @property
    def settings(self) -> EngineSettings:
        """The model, the language and the words to expect."""

    @property
    def most_waiting(self) -> int:
        """How many units of one sound may wait for their result before the next piece is read."""

    def n_batches(self, batch: int) -> int:
        """The most batches of `batch` pieces in a unit."""

    def begin(self, unit: Unit, options: DecodingOptions, is_stopped: Callable[[], bool]) -> Iterator[Result]:
        """The results of the batches of a unit, in order.

        Raises:
            Stopped: `is_stopped` returned True.
        """

    def change(self, settings: EngineSettings) -> None:
        """Use other settings from the next unit on."""

    def close(self) -> None:
        """Release what decodes."""


class Here:
    """Decodes with an engine of this process, on the calling thread, when the results are asked for."""

    most_waiting = 0

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def settings(self) -> EngineSettings:
        return self._engine.settings

    def n_batches(self, batch: int) -> int:
        """See `Decodes`."""
        return BATCHES_AHEAD

    def begin(self, unit: Unit, options: DecodingOptions, is_stopped: Callable[[], bool]) -> Iterator[Result]:
        """See `Decodes`."""
        decoder = PieceDecoder(self._engine, options)
        for pieces, drafts in zip(unit.batches, unit.drafts, strict=True):
            if is_stopped():
                raise Stopped("Stopped.")
            before = decoder.timings
            segments = decoder.decode(pieces, drafts)
            yield segments, decoder.timings - before

    def change(self, settings: EngineSettings) -> None:
        """See `Decodes`."""
        self._engine.change(settings)

    def close(self) -> None:
        """See `Decodes`."""
        self._engine.close()
