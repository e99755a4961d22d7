"""The layouts of a Qwen3-ASR checkpoint, brought to one: names of its arrays and sections of its config.json.

    official       thinker.audio_tower.* thinker.model.* thinker.lm_head.*   convolutions (out, in, kh, kw)
    MLX            audio_tower.* model.* lm_head.*                           convolutions (out, kh, kw, in)
    transformers   model.audio_tower.* model.multi_modal_projector.*         convolutions (out, in, kh, kw)
    (`-hf`)        model.language_model.* lm_head.*

The network has MLX's names. Prefixes and the order of convolutions are told apart on their own, so mixtures load too.
"""

from collections.abc import Iterable, Mapping
from typing import Any

PREFIXES = {
    "thinker.": "",
    "model.language_model.": "model.",
    "model.audio_tower.": "audio_tower.",
    "model.multi_modal_projector.linear_1.": "audio_tower.proj1.",
    "model.multi_modal_projector.linear_2.": "audio_tower.proj2.",
    "score.": "lm_head.",  # the head of an aligner
}
"""The start of an array's name in a file, and what the network has instead. The first that fits is replaced."""
AUDIO_NAMES = {
    "hidden_size": "d_model",
    "num_hidden_layers": "encoder_layers",
    "num_attention_heads": "encoder_attention_heads",
    "intermediate_size": "encoder_ffn_dim",
}
"""The general names that transformers has for sizes of the encoder, and the official ones."""


def layout_of(names: Iterable[str]) -> str:
    """Whose names the arrays of a file have: `official`, `transformers` or `MLX`."""
    names = list(names)
    if any(name.startswith("thinker.") for name in names):
        return "official"
    is_hf = any(name.startswith(("model.language_model.", "model.audio_tower.")) for name in names)
    return "transformers" if is_hf else "MLX"


def network_name(name: str) -> str:
    """The network's name of an array in a file."""
    for start, instead in PREFIXES.items():
        if name.startswith(start):
            return instead + name.removeprefix(start)
    return name


def official_form(root: Mapping[str, object]) -> dict[str, Any]:
    """A parsed config.json with the sections of the official layout; one that has them is returned as it is.

    transformers' `-hf` repositories have `audio_config` and `text_config` at the top, and RoPE in `rope_parameters`.
    """
    if "thinker_config" in root or not ("audio_config" in root and "text_config" in root):
        return dict(root)
    sections: dict[str, object] = {}
    for name in ("audio_config", "text_config"):
        section = root[name]
        sections[name] = dict(section) if isinstance(section, Mapping) else section
    audio, text = sections["audio_config"], sections["text_config"]
    if isinstance(audio, dict):
        for general, official in AUDIO_NAMES.items():
            if general in audio:
                audio.setdefault(official, audio[general])
    if isinstance(text, dict):
        rope = text.get("rope_parameters")
        if isinstance(rope, Mapping) and "rope_theta" in rope:
            text.setdefault("rope_theta", rope["rope_theta"])
        if "tie_word_embeddings" in root:
            text["tie_word_embeddings"] = root["tie_word_embeddings"]
    thinker = {name: value for name, value in root.items() if name not in ("architectures", "quantization")}
    labels = root.get("id2label")
    for name, n in (
        ("num_labels", root.get("num_labels")),
        ("id2label", len(labels) if isinstance(labels, dict) else 0),
    ):
        if name in root:
            thinker.setdefault("classify_num", n)  # of an aligner
    return {**root, "thinker_config": {**thinker, **sections}}
