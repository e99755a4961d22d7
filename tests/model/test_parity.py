"""The network computes the official network's function: every ASR fixture, within the tolerances of its README."""

import numpy as np
import pytest

from livecap.model.backend import mx
from livecap.model.checkpoint.load import load_model
from livecap.model.generate import prefill
from livecap.model.network import convolve_mel
from livecap.model.numpy.decoder import angles_at, rotate
from tests.model import small_models
from tests.model.parity import (
    CONV_TOKENS,
    DATA,
    EMBEDDINGS_FROM_AUDIO,
    EMBEDDINGS_FROM_MEL,
    LOGITS_FROM_AUDIO,
    LOGITS_FROM_EMBEDDINGS,
    MEL,
    Case,
    bits_of,
    case_params,
    encoded,
    farthest,
    network,
    official_mel,
    prompt_of_ids,
    set_params,
)
from tests.model.small_models import greedy

pytestmark = pytest.mark.usefixtures("arithmetic")
every_case = pytest.mark.parametrize("case", case_params())


def stored_mel(case: Case) -> mx.array:
    if "mel" not in case.arrays:
        pytest.skip("this case stores no whole mel")
    return mx.array(np.ascontiguousarray(case.arrays["mel"].T))


@every_case
def test_mel_is_the_official_front_ends(case: Case) -> None:
    ours = np.array(official_mel(case.samples)).T
    if "mel" in case.arrays:
        assert farthest(ours, case.arrays["mel"]) < MEL
    elif "mel_picked" in case.arrays:
        assert farthest(ours[:, case.arrays["mel_frames"]], case.arrays["mel_picked"]) < MEL
    else:
        pytest.skip("this case stores no mel")


@every_case
def test_conv_tokens_are_the_official_encoders(case: Case) -> None:
    tokens = convolve_mel(network(case.folder), stored_mel(case))
    assert farthest(tokens, case.arrays["conv_tokens"]) < CONV_TOKENS


@every_case
def test_audio_embeddings_are_the_official_encoders(case: Case) -> None:
    embeddings = encoded(network(case.folder), stored_mel(case))
    assert farthest(embeddings, case.arrays["audio_embeds"]) < EMBEDDINGS_FROM_MEL


@every_case
def test_audio_embeddings_hold_from_the_sound_on(case: Case) -> None:
    embeddings = encoded(network(case.folder), official_mel(case.samples))
    assert farthest(embeddings, case.arrays["audio_embeds"]) < EMBEDDINGS_FROM_AUDIO


def test_attention_stays_in_its_window() -> None:
    case = Case(DATA, "c_11s")
    embeddings = encoded(network(), official_mel(case.samples))
    assert farthest(embeddings, case.arrays["audio_embeds_unwindowed"]) > 0.4


@every_case
def test_logits_are_the_official_decoders(case: Case) -> None:
    model = network(case.folder)
    embeddings = mx.array(case.arrays["audio_embeds"])
    for name in case.prompts:
        theirs = case.logits(name)
        ours = prefill(model, model.new_cache(), case.prompt(name, embeddings), n_last=len(theirs))
        assert farthest(model.logits(ours), theirs) < LOGITS_FROM_EMBEDDINGS


@every_case
def test_text_is_the_official_models_from_sound_to_ids(case: Case) -> None:
    model = network(case.folder)
    embeddings = encoded(model, official_mel(case.samples))
    for name in case.prompts:
        cache = model.new_cache()
        theirs = case.logits(name)
        prompt = case.prompt(name, embeddings)
        hidden = prefill(model, cache, prompt, n_last=len(theirs))
        assert farthest(model.logits(hidden), theirs) < LOGITS_FROM_AUDIO
        ids, margins = case.arrays[f"{name}.greedy_ids"], case.arrays[f"{name}.greedy_top2_margin"]
        tokens = list(greedy(model, cache, prompt, len(ids)))
        assert [token.id for token in tokens] == ids.tolist()
        assert farthest(np.array([token.margin for token in tokens]), margins) < LOGITS_FROM_AUDIO


@every_case
def test_the_last_of_many_steps_has_the_official_logits(case: Case) -> None:
    model = network(case.folder)
    embeddings = mx.array(case.arrays["audio_embeds"])
    for name in case.prompts:
        if f"{name}.greedy_last_logits" not in case.arrays:
            continue
        cache = model.new_cache()
        hidden = prefill(model, cache, case.prompt(name, embeddings))
        ids = case.arrays[f"{name}.greedy_ids"].tolist()
        for token_id in ids[:-1]:  # one at a time, as generation does
            hidden = model(model.embed(mx.array([token_id]))[None], cache)
            cache.keys.append(token_id)
        ours = model.logits(hidden[0, -1])
        assert farthest(ours, case.arrays[f"{name}.greedy_last_logits"]) < LOGITS_FROM_EMBEDDINGS


@pytest.mark.parametrize("unpack", [True, False], ids=["unpacked", "packed"])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("folder", set_params())
def test_quantised_checkpoints_compute_what_their_numbers_say(folder, bits: int, unpack: bool) -> None:
    path = folder / f"asr_mlx_q{bits}"
    if not path.is_dir():
        pytest.skip("only the full set has this width")
    model = load_model(path, dtype=mx.float32, unpack=unpack)
    assert bits_of(path) == {bits}
    if small_models.by_numpy and not unpack:
        pytest.skip("NumPy does not compute with packed layers")
    model = small_models.in_tested_arithmetic(model)
    expected = np.load(path / "expected.npz")
    row = model.embed(mx.array([3]))[0]
    assert farthest(row, expected["embed_row_3_dequantised"]) < 1e-6
    for name in ("a_0p7s", "b_3p3s"):
        case = Case(folder, name)
        embeddings = encoded(model, official_mel(case.samples))
        for prompt in case.prompts:
            cache = model.new_cache()
            ids = case.arrays[f"{prompt}.input_ids"].tolist()
            asked = prompt_of_ids(ids, embeddings, 492)
            hidden = prefill(model, cache, asked, n_last=8)
            assert farthest(model.logits(hidden), expected[f"{name}.{prompt}.logits_last8"]) < LOGITS_FROM_AUDIO
            theirs = expected[f"{name}.{prompt}.greedy_ids"].tolist()
            margins = expected[f"{name}.{prompt}.greedy_top2_margin"]
            clear = int(np.argmax(margins < LOGITS_FROM_AUDIO)) if margins.min() < LOGITS_FROM_AUDIO else 20
            tokens = [t.id for t in greedy(model, cache, asked, len(theirs))]
            assert tokens[:clear] == theirs[:clear]


@pytest.mark.parametrize("folder", set_params())
def test_plain_rope_is_mrope_with_equal_positions(folder) -> None:
    table = np.load(folder / "asr" / "rope.npz")
    positions, cos, sin = table["positions"], table["cos_equal"], table["sin_equal"]
    width = cos.shape[1]
    x = np.random.default_rng(5).standard_normal((1, 1, 1, width)).astype(np.float32)
    turned = np.concatenate([-x[..., width // 2 :], x[..., : width // 2]], axis=-1)
    for position, c, s in zip(positions.tolist(), cos, sin, strict=True):
        tolerance = 1e-5 + 4e-7 * position  # the official angles are computed in float32
        mlx = mx.fast.rope(mx.array(x), width, traditional=False, base=1e6, scale=1.0, offset=position)
        assert farthest(mlx, x * c + turned * s) < tolerance
        heads = x.reshape(1, width, 1)
        by_numpy = rotate(heads, *angles_at(np.array([position]), width, 1e6), np.empty_like(heads))
        assert farthest(by_numpy.reshape(x.shape), x * c + turned * s) < tolerance
