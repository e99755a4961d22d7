"""What the MLX network asks of a GPU: kernel launches, waits of the host, passes and positions; counted without a GPU.

    python -m benchmarks.launches --out docs/benchmarks/launches.json

MLX describes a graph before it computes it. The graph is read here before it is computed, on a network with as many
layers as the released 0.6B and tiny widths, so the counts are those of the 0.6B. How often a stream, or the
transcription of recordings with 1 and 8 pieces at once, runs each kind of pass is counted with the embedded model,
whose arithmetic on a processor runs the same passes. The stream is counted over the oracle, too, whose text has the
faults of published models; there each new token counts as a pass, since the oracle guesses none.

`launches` is an estimate for Metal: a view costs none, a concatenation one for each part, a fused function (RMSNorm,
RoPE, attention, ...) one, and every other operation one. Copies that a kernel makes of a strided input are not seen.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.batches import decode, pieces_of
from benchmarks.oracle import Oracle
from benchmarks.oracle_session import run_oracle
from benchmarks.scripted_speech import ScriptStyle, speak
from livecap.engine import Engine, EngineSettings
from livecap.errors import LivecapError
from livecap.eval.measurement import texts_of
from livecap.eval.modes import parse_mode
from livecap.eval.output import store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference, SpokenWord, read_reference
from livecap.eval.timeline import play
from livecap.eval.wer import ErrorCounts, count_errors
from livecap.model.backend import mx
from livecap.model.cache import PromptCache
from livecap.model.checkpoint.load import LoadedModel, load, read_config, resolve
from livecap.model.config import AudioConfig, ModelConfig, TextConfig
from livecap.model.facts import launches_of
from livecap.model.generate import as_tokens, best_rows
from livecap.model.mel import HOP_LENGTH, PAD_SAMPLES, n_mel_frames
from livecap.model.network import Network, Rows
from livecap.model.qwen3_asr import Qwen3ASR
from livecap.model.rows import embed_sounds, generate_rows
from livecap.model.sampling import Sampling
from livecap.model.text.prompt import Prompt
from livecap.model.text.tokenizer import Tokenizer
from livecap.stream.config import StreamConfig
from livecap.stream.recogniser import Decoded, ModelRecogniser
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE

FUSED = ("rms_norm", "layer_norm", "rope", "scaled_dot_product_attention")
BATCHES = (1, 8)
"""Pieces of recordings that are decoded together."""
KINDS = ("encoder", "prefill", "guesses", "token")
"""Stages of a decode on a GPU; the processor computes the mel. `encoder` includes convolutions, `prefill` the check of
a draft; `guesses` is a round of them, `token` a pass of one."""
ORACLE_WORDS, ORACLE_SEEDS = 500, range(4)
ORACLE_STYLE = ScriptStyle(pause_chance=0.1)


class Counts:
    """Sums by kind of work."""

    def __init__(self) -> None:
        self.kind = "mel"
        """What the launches and waits that come belong to."""
        self.launches: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()
        """Frames, conv tokens or positions."""
        self.shapes: dict[str, set[tuple[int, ...]]] = defaultdict(set)
        self.errors = ErrorCounts()
        """Errors of the live text whose work is counted."""

    def call(self, kind: str, *shape: int) -> None:
        """Count a call, whose work begins here."""
        self.kind = kind
        self.calls[kind] += 1
        self.sizes[kind] += shape[0]
        self.shapes[kind].add(shape)


@contextmanager
def launches_counted(counts: Counts) -> Iterator[None]:
    """Count all that MLX computes meanwhile. Each result is computed at once, so only its own graph is read."""
    evaluate = mx.eval
    kept = {(owner, name): getattr(owner, name) for owner, name in _watched()}

    def tally(*arrays: Any) -> None:
        flat = [array for array in _flat(arrays) if isinstance(array, mx.array)]
        counts.launches[counts.kind] += launches_of(*flat)
        evaluate(flat)

    def fused(function: Callable[..., mx.array], *arguments: Any, **named: Any) -> mx.array:
        tally(*arguments, *named.values())
        result = function(*arguments, **named)
        counts.launches[counts.kind] += 1
        evaluate(result)
        return result

    def waiting(*arrays: Any) -> None:
        counts.waits[counts.kind] += 1
        tally(*arrays)

    try:
        for (owner, name), function in kept.items():
            new = waiting if name == "eval" else tally if name == "async_eval" else partial(fused, function)
            setattr(owner, name, new)
        yield
    finally:
        for (owner, name), function in kept.items():
            setattr(owner, name, function)


def _watched() -> list[tuple[Any, str]]:
    return [*((mx.fast, name) for name in FUSED), (mx, "eval"), (mx, "async_eval")]


def _flat(values: Any) -> Iterator[Any]:
    for value in values.values() if isinstance(values, dict) else values:
        if isinstance(value, list | tuple | dict):
            yield from _flat(value)
        else:
            yield value


class CountedNetwork:
    """A `Network` that counts its calls by kind; everything else is the network's."""

    def __init__(self, network: Network, counts: Counts) -> None:
        self._network = network
        self._counts = counts
        self.in_prompt = False
        """The prompt of a decode is not read yet."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def convolve(self, blocks: mx.array) -> mx.array:
        self._counts.kind = "encoder"
        return self._network.convolve(blocks)

    def encode(self, tokens: mx.array) -> mx.array:
        self._counts.call("encoder", tokens.shape[0])
        return self._network.encode(tokens)

    def __call__(self, embeddings: mx.array, cache: PromptCache, n_last: int | None = None) -> mx.array:
        n = embeddings.shape[1]
        kind = "prefill" if self.in_prompt else "token" if n == 1 else "guesses"
        self._counts.call(kind, n, n if n_last is None else n_last)
        return self._network(embeddings, cache, n_last)

    def logits(self, hidden: mx.array, rows: slice = slice(None)) -> mx.array:
        self.in_prompt = False
        return self._network.logits(hidden, rows)


class CountedRows:
    """`Rows` whose passes are counted."""

    def __init__(self, rows: Rows, counts: Counts) -> None:
        self._rows, self._counts = rows, counts
        self.keep = rows.keep
        counts.calls["token"] += 1  # a GPU computes each pass ahead; the last one of a batch is in vain

    def __call__(self, embeddings: mx.array) -> mx.array:
        self._counts.call("token", embeddings.shape[0])
        return self._rows(embeddings)


class CountedPieces(CountedNetwork):
    """The same for a network that decodes pieces of recordings."""

    def encode_sounds(self, sounds: Sequence[mx.array]) -> list[mx.array]:
        self._counts.call("encoder", sum(sound.shape[0] for sound in sounds))
        return self._network.encode_sounds(sounds)

    def __call__(self, embeddings: mx.array, cache: PromptCache, n_last: int | None = None) -> mx.array:
        self._counts.call("prefill", embeddings.shape[1])
        return self._network(embeddings, cache, n_last)

    def rows(self, caches: Sequence[PromptCache]) -> CountedRows:
        return CountedRows(self._network.rows(caches), self._counts)


class CountedRecogniser(ModelRecogniser):
    """A recogniser whose calls are counted, and its decodes with the tokens that they added."""

    def __init__(self, loaded: LoadedModel, config: StreamConfig, counts: Counts, language: str | None = None) -> None:
        self.network = CountedNetwork(loaded.model, counts)
        super().__init__(replace(loaded, model=cast(Network, self.network)), "", language, config)
        self._counts = counts

    def decode(self, *arguments: Any, **named: Any) -> Decoded:
        self.network.in_prompt = True
        self._counts.kind = "mel"
        decoded = super().decode(*arguments, **named)
        self._counts.call("decode", len(decoded.ids))
        return decoded


class CountedOracle(Oracle):
    """An oracle that counts the positions which a network would compute: those of each prompt that its cache lacks."""

    def __init__(self, words: Sequence[SpokenWord], tokenizer: Tokenizer, *rest: Any, counts: Counts, **named: Any):
        super().__init__(words, tokenizer, *rest, **named)
        self._counts, self._own_tokenizer = counts, tokenizer
        self._audio = read_config(resolve("tiny")).audio
        self._cached: list[Hashable] = []

    def decode(
        self,
        header: Sequence[int],
        prefix: Sequence[int],
        draft: Sequence[int],
        max_tokens: int,
        pad_samples: int = 0,
    ) -> Decoded:
        """See `Oracle`."""
        decoded = super().decode(header, prefix, draft, max_tokens, pad_samples)
        names = self._sound(pad_samples)
        audio = Prompt.build(self._own_tokenizer, names, mx.zeros((len(names), 1)))
        keys = [*audio.keys, *header, *prefix, *draft]
        n_last = 1 + len(draft) + (0 if prefix else len(header))
        n_same = next((i for i, (a, b) in enumerate(zip(keys, self._cached, strict=False)) if a != b), len(keys))
        n = len(keys) - min(n_same, len(self._cached), len(keys) - n_last)
        self._cached = [*audio.keys, *decoded.header, *prefix, *decoded.ids]
        self._counts.call("encoder", len(names) % self._audio.window_tokens)
        self._counts.call("prefill", n, n_last)
        for _ in range(decoded.n_passes):
            self._counts.call("token", 1, 1)
        self._counts.call("decode", len(decoded.ids))
        return decoded

    def _sound(self, pad_samples: int) -> list[Hashable]:
        """A name for each embedding of the prompt's sound; those of whole windows stay the same."""
        sizes = self._audio
        window = sizes.window_blocks * sizes.conv_frames * HOP_LENGTH
        heard = self.end_sample - self.start_sample
        n_final = max(0, heard - PAD_SAMPLES) // window
        n_rest = sizes.n_embeddings(n_mel_frames(heard + pad_samples - n_final * window))
        final: list[Hashable] = [(self.start_sample, i) for i in range(n_final * sizes.window_tokens)]
        return final + [(self.end_sample, pad_samples, i) for i in range(n_rest)]


def deep_model(dtype: mx.Dtype = mx.bfloat16) -> LoadedModel:
    """A network of random numbers with the layers of the released 0.6B, and tiny widths and vocabulary."""
    folder = resolve("tiny")
    config = read_config(folder)
    audio = AudioConfig(128, 16, 18, 2, 32, 16, 4)
    text = TextConfig(config.text.vocab_size, 16, 32, 28, 4, 2, 8)
    mx.random.seed(0)
    network = Qwen3ASR(replace(config, audio=audio, text=text))
    network.load_weights([(name, array.astype(dtype)) for name, array in network.parameter_arrays().items()])
    network.eval()
    network.join()
    mx.eval(network.parameter_arrays())
    tokenizer = Tokenizer.from_folder(folder)
    return LoadedModel(network, tokenizer, network.config, folder, "deep", dtype, ())


def draft_bytes(dtype: mx.Dtype, n_draft: int = 80, n_logits: int = 151_936) -> int:
    """The most memory that is taken at once to choose the tokens of a draft from hidden states of this type.

    The vocabulary has the size of the released one; the width, which does not matter for this, is 2.
    """
    network = Qwen3ASR(ModelConfig(AudioConfig(128, 4, 1, 1, 4, 2, 1), TextConfig(n_logits, 2, 2, 1, 1, 1, 2)))
    network.load_weights([(name, array.astype(dtype)) for name, array in network.parameter_arrays().items()])
    hidden = mx.random.normal((n_draft + 1, 2)).astype(dtype)
    mx.eval(network.parameter_arrays(), hidden)
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    as_tokens(best_rows(network, hidden, range(n_draft)))
    return mx.get_peak_memory() - before


def step_counts(loaded: LoadedModel, seconds: float = 12.4, n_draft: int = 2) -> dict[str, Any]:
    """Launches and waits for each call of a stage, in a step whose draft the model refuses.

    The step before it heard 0.4 s less sound.
    """
    counts = Counts()
    recogniser = CountedRecogniser(loaded, StreamConfig(), counts, "English")
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * 16_000)).astype(np.float32)
    recogniser.begin(0)
    recogniser.append(noise[:-6400])
    recogniser.decode((), (), (), 1)
    recogniser.append(noise[-6400:])
    for name in ("launches", "waits", "calls"):
        getattr(counts, name).clear()
    with launches_counted(counts):
        recogniser.decode((), (), range(100, 100 + n_draft), 5)
    passes = {kind: counts.calls[kind] or 1 for kind in KINDS}
    return {
        "calls": {kind: counts.calls[kind] for kind in KINDS if counts.calls[kind]},
        "launches_a_call": {kind: round(counts.launches[kind] / passes[kind]) for kind in KINDS},
        "waits_a_call": {kind: counts.waits[kind] / passes[kind] for kind in KINDS},
    }


def stream_counts(loaded: LoadedModel, recordings: Sequence[Reference], mode: str) -> Counts:
    """What the live text of these recordings takes."""
    counts = Counts()
    chosen = parse_mode(mode, 0.2)
    for recording in recordings:
        recogniser = CountedRecogniser(loaded, chosen.config, counts)
        timeline = play(StreamingTranscriber(recogniser, loaded.tokenizer, chosen.config), recording.samples, 0.2)
        counts.errors += count_errors(recording.text, texts_of(timeline)[0])
    return counts


def oracle_counts(tokenizer: Tokenizer, mode: str, seeds: Sequence[int] = ORACLE_SEEDS) -> tuple[Counts, float]:
    """What the live text of scripted speech takes, and the seconds of that speech."""
    counts, seconds = Counts(), 0.0
    for seed in seeds:
        words = speak(ORACLE_WORDS, seed, ORACLE_STYLE)
        session = run_oracle(
            words, tokenizer, parse_mode(mode, 0.2).config, seed=seed, make=partial(CountedOracle, counts=counts)
        )
        counts.errors += count_errors(" ".join(word.text for word in words), session.text)
        seconds += words[-1].end_sample / SAMPLE_RATE
    return counts, seconds


def piece_launches(loaded: LoadedModel, n_rows: int, seconds: float = 10.0) -> dict[str, float]:
    """Launches for the encoder's part of a batch of pieces, for each prompt, and for a token of all pieces together."""
    noise = np.random.default_rng(0).normal(0, 0.1, (n_rows, round(seconds * 16_000))).astype(np.float32)

    def counted(work: Callable[[], Any]) -> tuple[int, Any]:
        counts = Counts()
        with launches_counted(counts):
            result = work()
        return counts.launches.total(), result

    encoder, embeddings = counted(partial(embed_sounds, loaded.model, list(noise)))
    prompts = [
        Prompt.build(loaded.tokenizer, [("piece", i) for i in range(len(each))], each, "", "English")
        for each in embeddings
    ]
    few, many = (
        counted(partial(generate_rows, loaded.model, prompts, [n] * n_rows, Sampling(), lookahead=True))[0]
        for n in (3, 9)
    )
    token = (many - few) / 6
    return {"encoder": encoder, "prefill": (few - 3 * token) / n_rows, "token": token}


def piece_counts(loaded: LoadedModel, recordings: Sequence[Reference], batch: int) -> Counts:
    """What the text of these recordings takes with `batch` pieces decoded together."""
    counts = Counts()
    counted = replace(loaded, model=cast(Network, CountedPieces(loaded.model, counts)))
    with Engine(counted, EngineSettings("tiny")) as engine:
        decode(engine, [piece for _, piece in pieces_of(recordings)], batch)
    return counts


def piece_figures(launches: dict[str, float], counts: Counts, seconds: float) -> dict[str, Any]:
    """Launches of a stage for each call, and calls and launches for each second of sound."""
    a_second = {kind: counts.calls[kind] / seconds for kind in launches}
    return {
        "launches_a_call": {kind: round(n) for kind, n in launches.items()},
        "a_second": {kind: round(n, 3) for kind, n in a_second.items()},
        "launches_a_second": {kind: round(a_second[kind] * n) for kind, n in launches.items()},
        "launches": round(sum(a_second[kind] * n for kind, n in launches.items())),
    }


def figures_of(step: dict[str, Any], counts: Counts, seconds: float) -> dict[str, Any]:
    """Launches, waits, passes and positions of a stream, for each second of its sound."""
    calls = counts.calls
    a_call, waits = step["launches_a_call"], step["waits_a_call"]
    n_decodes = counts.calls["decode"]
    return {
        "sound_seconds": round(seconds, 1),
        "decodes": n_decodes,
        "wer": round(counts.errors.wer, 4),
        "a_second": {
            **{kind: round(calls[kind] / seconds, 3) for kind in ("decode", *KINDS)},
            "positions_prefilled": round(counts.sizes["prefill"] / seconds, 1),
            "encoder_tokens": round(counts.sizes["encoder"] / seconds, 1),
            "launches": round(sum(calls[kind] * a_call[kind] for kind in KINDS) / seconds),
            "waits": round(sum(calls[kind] * waits[kind] for kind in KINDS) / seconds, 2),
        },
        "a_decode": {
            "positions_prefilled": round(counts.sizes["prefill"] / n_decodes, 1),
            "tokens_passed": round((counts.sizes["token"] + counts.calls["guesses"]) / n_decodes, 2),
        },
        "distinct_shapes": {kind: len(counts.shapes[kind]) for kind in KINDS if counts.shapes[kind]},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.launches",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recordings", nargs="*", type=Path, help="default: continuous and dictation")
    parser.add_argument("--mode", action="append", help="as for livecap eval; repeatable (default: 2, default)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    folder = Path(__file__).parents[1] / "recordings"
    paths = options.recordings or [folder / "continuous.flac", folder / "dictation.flac"]
    try:
        recordings = [read_reference(path) for path in paths]
        tiny = load("tiny")
    except LivecapError as error:
        print(f"launches: {error}", file=sys.stderr)
        return 1
    deep = deep_model()
    step = step_counts(deep)
    figures: dict[str, Any] = {"machine": machine(), "recordings": [path.name for path in paths], "step": step}
    megabytes = {str(dtype).rpartition(".")[2]: draft_bytes(dtype) / 1e6 for dtype in (mx.float32, mx.bfloat16)}
    figures["draft_of_80"] = {"megabytes": {name: round(each, 1) for name, each in megabytes.items()}}
    seconds = sum(recording.seconds for recording in recordings)
    figures["streams"] = {
        mode: figures_of(step, stream_counts(tiny, recordings, mode), seconds)
        for mode in options.mode or ("2", "default")
    }
    figures["oracle"] = {
        mode: figures_of(step, *oracle_counts(tiny.tokenizer, mode)) for mode in options.mode or ("2", "default")
    }
    figures["batches_of_pieces"] = {
        str(n): piece_figures(piece_launches(deep, n), piece_counts(tiny, recordings, n), seconds) for n in BATCHES
    }
    parts = [step, figures["draft_of_80"], figures["streams"], figures["oracle"], figures["batches_of_pieces"]]
    for name, values in [item for part in parts for item in part.items()]:
        print(f"{name}: {values}")
    if options.out:
        store_figures(options.out, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
