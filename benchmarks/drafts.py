"""Drafts against none: passes of each model through its decoder and time, per second of sound; the texts are compared.

    python -m benchmarks.drafts recordings/*.flac --out docs/benchmarks/drafts.json
    python -m benchmarks.drafts recordings/continuous.flac --geometry 1.7b --draft-geometry 0.6b --keep DIR --seconds 15

Text is drafted by the model's own live transcript of the recording, and by a smaller model. The embedded model has no
smaller one, so the smaller one is the embedded model with noise in its weights: `--noise` sets how often it is wrong.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np

from benchmarks.batches import add_arguments, errors_of, pieces_of, references_of
from benchmarks.grown_checkpoint import GEOMETRIES, load_sized
from livecap.engine import Engine, EngineSettings
from livecap.errors import LivecapError
from livecap.eval.output import store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference
from livecap.eval.timeline import play
from livecap.model.backend import mx
from livecap.model.cache import PromptCache
from livecap.model.checkpoint.load import LoadedModel, resolve
from livecap.model.draft_trial import DraftTrial
from livecap.model.network import Network, Rows
from livecap.transcribe.cutter import Piece
from livecap.transcribe.decoding import DecodingOptions, PieceDecoder
from livecap.transcribe.drafts import Draft, KnownText
from livecap.transcript import SAMPLE_RATE, UtteranceEnded

OPTIONS = DecodingOptions(word_times=False)


def write_noisy(folder: Path, source: Path, noise: float) -> Path:
    """A checkpoint whose decoder and encoder layers have normal noise of this share of each array's deviation."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    weights = mx.load(str(source / "model.safetensors"))
    assert isinstance(weights, dict)
    random = np.random.default_rng(1)
    for name, array in weights.items():
        if "layers" in name and array.ndim == 2 and mx.issubdtype(array.dtype, mx.floating):
            values = np.array(array.astype(mx.float32))
            values += noise * values.std() * random.standard_normal(values.shape, np.float32)
            weights[name] = mx.array(values).astype(array.dtype)
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    return folder


class Counted:
    """A network that counts the passes through its decoder; everything else is the network's."""

    def __init__(self, network: Any) -> None:
        self._network, self.n_passes = network, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def __call__(self, *arguments: Any, **named: Any) -> mx.array:
        self.n_passes += 1
        hidden: mx.array = self._network(*arguments, **named)
        return hidden

    def rows(self, caches: Sequence[PromptCache]) -> Rows:
        rows, counted = self._network.rows(caches), self

        class CountedRows:
            def __call__(self, embeddings: mx.array) -> mx.array:
                counted.n_passes += 1
                hidden: mx.array = rows(embeddings)
                return hidden

            def keep(self, kept: Sequence[int]) -> None:
                rows.keep(kept)

        return CountedRows()


class Fixed(DraftTrial):
    """Always with drafts, or never."""

    def __init__(self, wanted: bool) -> None:
        super().__init__()
        self._wanted = wanted

    def wants_drafts(self) -> bool:
        return self._wanted


class CountedEngine(Engine):
    """An engine whose models count their passes."""

    def __init__(self, loaded: LoadedModel, settings: EngineSettings, draft: LoadedModel | None, wanted: bool) -> None:
        super().__init__(loaded, replace(settings, draft_model=None))
        self.counts = [Counted(each.model) for each in (loaded, draft) if each]
        self._counted, *drafting = [
            replace(each, model=cast(Network, counted))
            for each, counted in zip([each for each in (loaded, draft) if each], self.counts, strict=True)
        ]
        self._drafting = drafting[0] if drafting else None
        self._fixed = Fixed(wanted)

    @property
    def loaded(self) -> LoadedModel:
        return self._counted

    @property
    def draft(self) -> LoadedModel | None:
        return self._drafting

    @property
    def draft_trial(self) -> DraftTrial:
        return self._fixed


@dataclass
class Way:
    """One way to decode the pieces."""

    draft: LoadedModel | None
    known: list[Draft | None]
    batch: int


def live_drafts(
    engine: Engine, references: Sequence[Reference], pieces: Sequence[tuple[int, Piece]]
) -> list[Draft | None]:
    """For each piece, with the number of its recording, the text that the model heard there live."""
    texts = []
    for reference in references:
        timeline = play(engine.transcriber(), reference.samples, step_cost=0.05)
        final = [moment.update for moment in timeline.moments if moment.update.final]
        texts.append(
            KnownText(
                UtteranceEnded("", u.utterance, u.stable, u.start_sample, u.end_sample, u.language, u.words)
                for u in final
            )
        )
    return [texts[number].between(piece.start_sample, piece.end_sample) for number, piece in pieces]


def run(
    loaded: LoadedModel, settings: EngineSettings, way: Way, pieces: Sequence[Piece]
) -> tuple[dict[str, float], list[str]]:
    """Figures per second of sound, and the text of each piece."""
    is_drafted = way.draft is not None or any(way.known)
    engine = CountedEngine(loaded, settings, way.draft, is_drafted)
    decoder = PieceDecoder(engine, OPTIONS)
    texts = []
    began = time.perf_counter()
    for at in range(0, len(pieces), way.batch):
        segments = decoder.decode(pieces[at : at + way.batch], way.known[at : at + way.batch])
        texts += [segment.text if segment else "" for segment in segments]
    seconds = time.perf_counter() - began
    engine.close()
    sound = sum(len(piece.samples) for piece in pieces) / SAMPLE_RATE
    figures = {
        "passes": engine.counts[0].n_passes / sound,
        "draft_passes": sum(counted.n_passes for counted in engine.counts[1:]) / sound,
        "seconds": seconds / sound,
        "accepted": decoder.timings.n_accepted / max(decoder.timings.n_tokens, 1),
    }
    return figures, texts


def measure(
    loaded: LoadedModel,
    settings: EngineSettings,
    ways: dict[str, Way],
    pieces: Sequence[Piece],
    rounds: int,
) -> dict[str, Any]:
    """Figures of each way; the ways take turns, since the speed of a shared machine changes."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    texts: dict[str, list[str]] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            figures, texts[name] = run(loaded, settings, way, pieces)
            found[name].append(figures)
    first = next(iter(ways))
    return {
        name: {key: round(median(each[key] for each in runs), 4) for key in runs[0]}
        | {"texts_that_differ": sum(a != b for a, b in zip(texts[name], texts[first], strict=True))}
        for name, runs in found.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a draft changed a text."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.drafts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser, "1, 4")
    parser.add_argument("--noise", type=float, default=0.3, help="of the smaller model's weights (default: 0.3)")
    parser.add_argument("--draft-geometry", choices=GEOMETRIES, help="the same as --geometry, for the smaller model")
    options = parser.parse_args(arguments)
    try:
        references = references_of(options)
        with tempfile.TemporaryDirectory(prefix="livecap.") as temporary:
            figures = _figures(options, references, Path(temporary))
    except LivecapError as error:
        print(f"drafts: {error}", file=sys.stderr)
        return 1
    for name, values in figures["ways"].items():
        print(f"{name}: {values}")
    print(f"word error rate: {figures['wer']}; of the smaller model alone: {figures['draft_wer']}")
    if options.out:
        store_figures(options.out, figures)
    return int(any(values["texts_that_differ"] for values in figures["ways"].values()))


def _figures(options: argparse.Namespace, references: Sequence[Reference], temporary: Path) -> dict[str, Any]:
    small = write_noisy(temporary / "noisy", resolve(options.model), options.noise)
    keep = options.keep or temporary
    loaded = load_sized(options.model, options.geometry, keep)
    draft = load_sized(str(small), options.draft_geometry, keep / "draft")
    pieces = pieces_of(references)
    alone = [piece for _, piece in pieces]
    settings = EngineSettings(options.model)
    with Engine.load(EngineSettings(options.model, settle=False)) as live:
        known = live_drafts(live, references, pieces)
    nothing: list[Draft | None] = [None] * len(pieces)
    ways = {}
    for batch in options.batch or (1, 4):
        ways[f"plain, batch {batch}"] = Way(None, nothing, batch)
        ways[f"live text, batch {batch}"] = Way(None, known, batch)
        ways[f"smaller model, batch {batch}"] = Way(draft, nothing, batch)
    run(loaded, settings, next(iter(ways.values())), alone[:1])  # the first decode loads code and fills caches
    found = measure(loaded, settings, ways, alone, options.rounds)
    _, texts = run(loaded, settings, Way(None, nothing, 4), alone)
    _, drafted = run(draft, settings, Way(None, nothing, 4), alone)
    return {
        "machine": machine(),
        "model": options.model,
        "geometry": options.geometry,
        "draft_geometry": options.draft_geometry,
        "noise": options.noise,
        "pieces": len(pieces),
        "sound_seconds": round(sum(len(piece.samples) for piece in alone) / SAMPLE_RATE, 1),
        "wer": errors_of(references, pieces, texts),
        "draft_wer": errors_of(references, pieces, drafted),
        "ways": found,
    }


if __name__ == "__main__":
    sys.exit(main())
