"""The numbers of a checkpoint: config.json as three frozen dataclasses.

A number that determines the shape of a layer is required, and `load` compares it with the weights. Any other missing
number takes the value of the released models (not the default of the official package, which no released model uses)
and is named in `ModelConfig.notices`.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, cast

from livecap.errors import ModelError, brief
from livecap.model.checkpoint.kinds import is_aligner

CONTEXT_TOKENS = 1000
"""The most tokens of a context, some 250 names: each step attends to all of them (docs/measuring.md)."""
RELEASED_EOS_IDS = (151643, 151645)
"""`<|endoftext|>` and `<|im_end|>`; both end a text."""

_EXPECTED: dict[type, str] = {bool: "true or false", int: "a positive whole number", float: "a positive number"}
_MOST = {"encoder_layers": 1000, "num_hidden_layers": 1000, "vocab_size": 1 << 24}
"""The largest values that are accepted. No present model is larger, and checking the weights would take long."""
_MOST_OF_OTHERS = 1 << 18
_FLOATS = (1e-30, 1e30)
"""The smallest and largest number with a fraction: float32 can hold these."""


@dataclass(frozen=True)
class AudioConfig:
    """The audio encoder."""

    num_mel_bins: int
    d_model: int
    encoder_layers: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    output_dim: int
    """Width of an audio embedding: the text decoder's hidden size."""
    downsample_hidden_size: int
    """Channels of the three convolutions."""
    n_window: int = 50
    """Half of a conv block, in mel frames."""
    n_window_infer: int = 800
    """An encoder window, in mel frames."""

    @property
    def conv_frames(self) -> int:
        """Mel frames in a conv block, which is convolved at once: 100 in every released model, 1 s."""
        return 2 * self.n_window

    @property
    def conv_tokens(self) -> int:
        """Conv tokens, and audio embeddings, of a complete conv block."""
        return halved_three_times(self.conv_frames)

    def n_embeddings(self, n_frames: int) -> int:
        """Audio embeddings of that many mel frames."""
        return n_frames // self.conv_frames * self.conv_tokens + halved_three_times(n_frames % self.conv_frames)

    @property
    def window_blocks(self) -> int:
        """Conv blocks in an encoder window."""
        return self.n_window_infer // self.conv_frames

    @property
    def window_tokens(self) -> int:
        """Audio embeddings of a complete encoder window."""
        return self.window_blocks * self.conv_tokens


@dataclass(frozen=True)
class TextConfig:
    """The text decoder."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1e6
    tie_word_embeddings: bool = True


@dataclass(frozen=True)
class AlignerConfig:
    """What a forced aligner has besides: it says in which segment of time a word begins or ends."""

    classify_num: int
    """Segments of time that it tells apart: the classes of its head."""
    timestamp_token_id: int
    """The id of `<timestamp>`. The logits at such a token are those of a start or an end."""
    timestamp_segment_time: int = 80
    """Length of a segment, in milliseconds."""


@dataclass(frozen=True)
class ModelConfig:
    """A whole checkpoint."""

    audio: AudioConfig
    text: TextConfig
    aligner: AlignerConfig | None = None
    """Set for a Qwen3-ForcedAligner; None for a recogniser."""
    context_tokens: int = CONTEXT_TOKENS
    """The most tokens of names and terms to expect. From max_context_tokens, if config.json has it."""
    is_tie_known: bool = True
    """config.json says whether the embedding table is the output head; otherwise the weights do."""
    eos_token_ids: tuple[int, ...] = RELEASED_EOS_IDS
    """Each of these ids ends the text. From generation_config.json."""
    notices: tuple[str, ...] = ()
    """One line each: what is missing in the file, and which value is used instead."""

    @property
    def n_logits(self) -> int:
        """Logits of a position: one for each token or, of an aligner, for each segment of time."""
        return self.text.vocab_size if self.aligner is None else self.aligner.classify_num

    @classmethod
    def from_dict(cls, root: Mapping[str, object]) -> "ModelConfig":
        """The configuration in a parsed config.json, official or from the MLX community.

        Raises:
            ModelError: another kind of model, a missing dimension, a value of the wrong type, or an option that no
                released model uses and this network does not implement.
        """
        thinker = _section(root, "thinker_config", "the file")
        audio = _Reader("audio_config", _section(thinker, "audio_config", "thinker_config"))
        text = _Reader("text_config", _section(thinker, "text_config", "thinker_config"))
        audio.allow_only("num_mel_bins", 128)  # as `mel` computes them
        audio.allow_only("n_window", 50)
        audio.allow_only("activation_function", "gelu")
        audio.allow_only("scale_embedding", False)
        text.allow_only("hidden_act", "silu")
        text.allow_only("attention_bias", False)
        sizes = AudioConfig(**audio.numbers_of(AudioConfig)), TextConfig(**text.numbers_of(TextConfig))
        readers, aligner = [audio, text], None
        if is_aligner(root):
            times = _Reader("thinker_config", {**root, **thinker})
            aligner = AlignerConfig(**times.numbers_of(AlignerConfig))
            readers.append(times)
            sizes = sizes[0], replace(sizes[1], tie_word_embeddings=False)  # its head has other classes than tokens
        is_tie_known = aligner is not None or text.is_known("tie_word_embeddings")
        replaced = ", ".join(value for reader in readers for value in reader.replaced)
        notice = f"config.json lacks some values, so those of the released models are used: {replaced}."
        context = min(_Reader("the file", root).number("max_context_tokens", CONTEXT_TOKENS), CONTEXT_TOKENS)
        config = cls(*sizes, aligner, context, is_tie_known, notices=(notice,) if replaced else ())
        _check(config)
        return config


def eos_ids_of(generation: Mapping[str, object], root: Mapping[str, object]) -> tuple[int, ...]:
    """The ids that end a text: those of the parsed generation_config.json, else of config.json (the `-hf` layout has
    them there), else of the released models."""
    for section in (generation, root):
        value = section.get("eos_token_id")
        ids = value if isinstance(value, list) else [value]
        whole = tuple(i for i in ids if isinstance(i, int) and not isinstance(i, bool))
        if whole:
            return whole
    return RELEASED_EOS_IDS


def halved_three_times(n_frames: int) -> int:
    """Time steps that remain of `n_frames` after three convolutions of stride 2, each rounding up."""
    for _ in range(3):
        n_frames = (n_frames + 1) // 2
    return n_frames


class _Reader:
    """Reads one section of config.json, and collects in `replaced` the values that were missing there."""

    def __init__(self, name: str, values: Mapping[str, object]) -> None:
        self.name = name
        self.values = values
        self.replaced: list[str] = []

    def numbers_of(self, kind: type[AudioConfig] | type[TextConfig] | type[AlignerConfig]) -> dict[str, Any]:
        """A value for each field of `kind`. The type of a field's default tells what is expected in the file."""
        return {field.name: self.number(field.name, field.default) for field in fields(kind)}

    def number(self, key: str, released: Any) -> Any:
        """The value of `key`, or `released` where the file has none; a dimension has no `released` value."""
        if key not in self.values and released is MISSING:
            raise ModelError(f"config.json has no {self.name}.{key}, which is needed to build the layers.")
        if key not in self.values:
            if key != "tie_word_embeddings":  # the weights tell it
                self.replaced.append(f"{self.name}.{key} = {released}")
            return released
        value: Any = self.values[key]
        kind = int if released is MISSING else type(released)
        least, most = _FLOATS if kind is float else (1, _MOST.get(key, _MOST_OF_OTHERS))
        is_number = isinstance(value, int | float if kind is float else int) and not isinstance(value, bool)
        if not (isinstance(value, bool) if kind is bool else is_number and least <= value <= most):
            limit = f" up to {most:,}" if kind is int and is_number and value > most else ""
            raise ModelError(f"config.json has {self.name}.{key} = {brief(value)}; expected {_EXPECTED[kind]}{limit}.")
        return kind(value)

    def is_known(self, key: str) -> bool:
        """Whether the file has this key."""
        return key in self.values

    def allow_only(self, key: str, supported: object) -> None:
        value = self.values.get(key, supported)
        if value != supported:
            raise ModelError(
                f"config.json has {self.name}.{key} = {brief(value)}; only {supported!r} is supported, "
                "which is what every released Qwen3-ASR has."
            )


def _section(parent: Mapping[str, object], key: str, name: str) -> Mapping[str, object]:
    value = parent.get(key)
    if not isinstance(value, Mapping):
        raise ModelError(f"config.json is not a Qwen3-ASR configuration: there is no section {key} in {name}.")
    return cast(Mapping[str, object], value)


def _check(config: ModelConfig) -> None:
    """Raises ModelError where the numbers contradict each other."""
    audio, text = config.audio, config.text
    rules = [
        (audio.d_model % audio.encoder_attention_heads == 0, "d_model is not a multiple of encoder_attention_heads"),
        (audio.d_model % 2 == 0 and audio.d_model >= 4, "d_model is odd or below 4"),
        (audio.window_blocks >= 1, "n_window_infer is shorter than 2 x n_window"),
        (audio.output_dim == text.hidden_size, "output_dim differs from hidden_size"),
        (
            text.num_attention_heads % text.num_key_value_heads == 0,
            "num_attention_heads is not a multiple of num_key_value_heads",
        ),
        (text.head_dim % 2 == 0, "head_dim is odd"),
    ]
    for holds, complaint in rules:
        if not holds:
            raise ModelError(f"config.json contradicts itself: {complaint}.")
