"""Absurd numbers, shapes and files in a model's folder: one clear line, in little time and memory, for both networks.

All folders are tried in one process whose memory is limited, with an alarm after some processor time for each of them.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from livecap.model.backend import mx
from tests.model.parity import DATA

ROOT = Path(__file__).parents[2]
SOURCE = DATA / "asr"
MOST_MB = 700
MOST_SECONDS = 20

LOADS = """
import json, resource, signal, sys
from livecap.engine import Engine, EngineSettings
from livecap.errors import ModelError
from livecap.model.backend import mx
from livecap.model.checkpoint import load as loading
from livecap.model.chip import Chip

if sys.argv[1] == "mlx":
    loading.on_cpu, loading.this_chip = False, Chip  # as on a GPU: the checkpoint's own type
Engine.load(EngineSettings(sys.argv[2])).close()
size = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) << 10
resource.setrlimit(resource.RLIMIT_AS, (size + (int(sys.argv[3]) << 20),) * 2)

def late(*signal):
    raise TimeoutError

signal.signal(signal.SIGPROF, late)
for folder in sys.argv[5:]:
    signal.setitimer(signal.ITIMER_PROF, float(sys.argv[4]))
    settings = EngineSettings(folder, context="Priya")
    try:
        settings.model_name
        engine = Engine.load(settings)
        engine.close()
        said = "loaded"
    except ModelError as error:
        said = str(error)
    except BaseException as error:
        said = f"{type(error).__name__} {error}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps([folder, said]), flush=True)
"""

Change = Callable[[Path], object]


def changed(section: str, **values: Any) -> Change:
    """Other numbers in a section of config.json."""

    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config["thinker_config"][section].update(values)
        (folder / "config.json").write_text(json.dumps(config))

    return change


audio, text = partial(changed, "audio_config"), partial(changed, "text_config")


def raw_number(key: str, digits: str) -> Change:
    """A number that Python itself would not write."""

    def change(folder: Path) -> None:
        changed("text_config", **{key: "HERE"})(folder)
        path = folder / "config.json"
        path.write_text(path.read_text().replace('"HERE"', digits))

    return change


def written(name: str, content: str | bytes) -> Change:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def replaced(name: str, make: Callable[[Path], object]) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return change


def many_added_tokens(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    entries = {str(i): {"content": f"<{i}>", "special": True} for i in range(100_000)}
    path.write_text(json.dumps({**config, "added_tokens_decoder": entries}))


def added_token(key: str, content: str = "<x>") -> Change:
    def change(folder: Path) -> None:
        path = folder / "tokenizer_config.json"
        config = json.loads(path.read_text())
        config["added_tokens_decoder"][key] = {"content": content, "special": True}
        path.write_text(json.dumps(config))

    return change


def tokenizer_json(**parts: Any) -> Change:
    """A tokenizer.json with these parts; `model` is joined with a plain BPE."""

    def change(folder: Path) -> None:
        vocabulary = json.loads((folder / "vocab.json").read_text())
        model = {"type": "BPE", "vocab": vocabulary, "merges": [], **parts.pop("model", {})}
        spec = {"version": "1.0", "added_tokens": [], "model": model, **parts}
        (folder / "tokenizer.json").write_text(json.dumps(spec))

    return change


def header(entries: dict[str, Any], data: bytes = bytes(64)) -> Change:
    def change(folder: Path) -> None:
        text = json.dumps(entries).encode()
        written("model.safetensors", struct.pack("<Q", len(text)) + text + data)(folder)

    return change


def tensor(dtype: str = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def index(names: list[str]) -> Change:
    def change(folder: Path) -> None:
        weight_map = {f"w{n}": name for n, name in enumerate(names)}
        written("model.safetensors.index.json", json.dumps({"weight_map": weight_map}))(folder)

    return change


def rewritten(edit: Callable[[dict[str, mx.array]], object]) -> Change:
    """Other weights."""

    def change(folder: Path) -> None:
        weights = dict(mx.load(str(SOURCE / "model.safetensors")))
        edit(weights)
        mx.save_safetensors(str(folder / "model.safetensors"), weights)

    return change


def packed(weight: mx.array, scales: mx.array, biases: mx.array) -> Change:
    """The embedding in packed form."""
    name = "thinker.model.embed_tokens"
    parts = {f"{name}.weight": weight, f"{name}.scales": scales, f"{name}.biases": biases}
    return rewritten(lambda weights: weights.update(parts))


WORDS = mx.zeros((512, 8), dtype=mx.uint32)
"""512 rows of width 64 in 4 bits, with a group for each row."""
HUGE = 10**400
HOSTILE: dict[str, tuple[Change, str]] = {
    # numbers in config.json
    "text layers 10^5": (text(num_hidden_layers=10**5), "num_hidden_layers = 100000"),
    "text layers 10^9": (text(num_hidden_layers=10**9), "num_hidden_layers = 1000000000"),
    "text layers 900": (text(num_hidden_layers=900), "69 arrays, 902 layers"),
    "audio layers 10^8": (audio(encoder_layers=10**8), "encoder_layers = 100000000"),
    "audio layers 900": (audio(encoder_layers=900), "69 arrays, 902 layers"),
    "layers 10^400": (text(num_hidden_layers=HUGE), "num_hidden_layers = 1000"),
    "layers of 5000 digits": (raw_number("num_hidden_layers", "9" * 5000), "config.json"),
    "n_window 1": (audio(n_window=1), "n_window = 1; only 50"),
    "n_window 49": (audio(n_window=49), "n_window = 49; only 50"),
    "n_window 10^9": (audio(n_window=10**9, n_window_infer=4 * 10**9), "n_window = 1000000000; only 50"),
    "n_window_infer 10^9": (audio(n_window_infer=10**9), "n_window_infer = 1000000000"),
    "audio heads 10^12": (audio(encoder_attention_heads=10**12), "encoder_attention_heads = 1000000000000"),
    "audio heads 10^5": (audio(encoder_attention_heads=10**5), "d_model is not a multiple"),
    "text heads 10^12": (text(num_attention_heads=10**12), "num_attention_heads = 1000000000000"),
    "text heads 10^5": (text(num_attention_heads=10**5), "do not fit its config.json"),
    "key heads 10^9": (text(num_key_value_heads=10**9), "num_key_value_heads = 1000000000"),
    "head_dim 10^12": (text(head_dim=10**12), "head_dim = 1000000000000"),
    "head_dim 10^5": (text(head_dim=10**5), "do not fit its config.json"),
    "vocabulary 10^12": (text(vocab_size=10**12), "vocab_size = 1000000000000"),
    "vocabulary 10^7": (text(vocab_size=10**7), "do not fit its config.json"),
    "hidden 10^12": (
        lambda f: (text(hidden_size=10**12)(f), audio(output_dim=10**12)(f)),
        "output_dim = 1000000000000",
    ),
    "hidden 10^5": (lambda f: (text(hidden_size=10**5)(f), audio(output_dim=10**5)(f)), "do not fit its config.json"),
    "intermediate 10^9": (text(intermediate_size=10**9), "intermediate_size = 1000000000"),
    "intermediate 10^5": (text(intermediate_size=10**5), "do not fit its config.json"),
    "d_model 10^9": (audio(d_model=10**9), "d_model = 1000000000"),
    "d_model 2^17": (audio(d_model=1 << 17), "do not fit its config.json"),
    "channels 10^9": (audio(downsample_hidden_size=10**9), "downsample_hidden_size = 1000000000"),
    "mel bins 10^9": (audio(num_mel_bins=10**9), "num_mel_bins = 1000000000; only 128"),
    "mel bins 80": (audio(num_mel_bins=80), "num_mel_bins = 80; only 128"),
    "mel bins 127": (audio(num_mel_bins=127), "num_mel_bins = 127; only 128"),
    "rope_theta 10^400": (text(rope_theta=HUGE), "rope_theta = 1000"),
    "rope_theta 1e300": (text(rope_theta=1e300), "rope_theta = 1e+300"),
    "rope_theta 0": (text(rope_theta=0), "rope_theta = 0; expected"),
    "rope_theta 1e-300": (text(rope_theta=1e-300), "rope_theta = 1e-300; expected"),
    "rope_theta infinite": (raw_number("rope_theta", "Infinity"), "rope_theta = inf; expected"),
    "rope_theta 1e999": (raw_number("rope_theta", "1e999"), "rope_theta = inf; expected"),
    "epsilon not a number": (raw_number("rms_norm_eps", "NaN"), "rms_norm_eps = nan; expected"),
    "epsilon 1e300": (text(rms_norm_eps=1e300), "rms_norm_eps = 1e+300"),
    "a nested number": (raw_number("hidden_size", "[" * 200 + "]" * 200), "nested too deeply"),
    "a long text as a number": (text(hidden_size="9" * 100_000), "hidden_size = '999"),
    "a long name of an activation": (audio(activation_function="x" * 100_000), "activation_function = 'xxx"),
    # JSON
    "config nested": (written("config.json", "[" * 100_000), "config.json is damaged: nested too deeply"),
    "config nested in order": (
        written("config.json", '{"a":' * 100_000 + "1" + "}" * 100_000),
        "config.json is damaged: nested too deeply",
    ),
    "config of 5 MB": (written("config.json", json.dumps({"a": "x" * 5_000_000})), "cannot be read: larger"),
    "config of empty lists": (written("config.json", "[" + "[]," * 80_000 + "[]]"), "expected a JSON object"),
    "config of lines": (written("config.json", "\n" * 200_000), "not JSON"),
    "generation nested": (written("generation_config.json", '{"a":' * 90_000), "config.json is damaged: nested"),
    "generation a FIFO": (replaced("generation_config.json", os.mkfifo), "generation_config.json cannot be read"),
    "vocabulary nested": (written("vocab.json", "[" * 1_000_000), "vocab.json is damaged: nested too deeply"),
    "vocabulary of 30 MB": (written("vocab.json", json.dumps({"x" * 30_000_000: 1})), "cannot be read: larger"),
    "vocabulary of lists": (
        written("vocab.json", '{"a":[' + "[]," * 5_000_000 + "[]]}"),
        "vocab.json is damaged: too large, with more than",
    ),
    "vocabulary of too many words": (
        lambda f: (f / "vocab.json").write_text(json.dumps({f"{n:x}": n for n in range(300_000)})),
        "merges.txt does not fit",
    ),
    "an id of 400 digits": (written("vocab.json", json.dumps({"a": HUGE})), "vocab.json"),
    "an id below 0": (written("vocab.json", json.dumps({"a": -1})), "vocab.json"),
    "tokenizer nested": (written("tokenizer.json", '{"a":' * 200_000), "tokenizer.json is damaged: nested too deeply"),
    "tokenizer a list": (written("tokenizer.json", "[1]"), "expected a JSON object"),
    "tokenizer of lists": (
        written("tokenizer.json", '{"added_tokens":[' + "{}," * 5_000_000 + "{}]}"),
        "tokenizer.json is damaged: too large, with more than",
    ),
    "tokenizer's vocabulary a list": (tokenizer_json(model={"vocab": [1, 2]}), "tokenizer.json"),
    "tokenizer's merges too many": (
        tokenizer_json(model={"merges": ["a b"] * 200_000}),
        "tokenizer.json is damaged: 200,000 merges for a vocabulary of",
    ),
    "tokenizer's added tokens too many": (
        tokenizer_json(added_tokens=[{"id": n, "content": f"<{n}>"} for n in range(100_000)]),
        "100,000 added tokens",
    ),
    "tokenizer config nested": (written("tokenizer_config.json", '{"a":' * 90_000), "nested too deeply"),
    "100,000 added tokens": (many_added_tokens, "100,000 added tokens"),
    "an added id of 5000 digits": (added_token("9" * 5000), "an added token has no id or no content"),
    "an added id of 12 digits": (added_token("9" * 12), "ids, but its model has 512"),
    "an added text of 900 kB": (added_token("481", "x" * 900_000), "an added token has 900,000 characters"),
    # merges
    "5 million merges": (written("merges.txt", "a b\n" * 5_000_000), "merges.txt cannot be read: larger"),
    "3 million merges": (written("merges.txt", "a b\n" * 3_000_000), "3,000,000 merges for a vocabulary of 480"),
    "merges of 1 line": (written("merges.txt", "a" * 10_000_000), "a line is not a pair"),
    "merges of spaces": (written("merges.txt", " " * 10_000_000), "a line is not a pair"),
    "merges of bytes": (written("merges.txt", bytes(range(128, 256)) * 1000), "merges.txt is damaged: not UTF-8"),
    "merges that fit no word": (written("merges.txt", "zzzz yyyy\n"), "merges.txt does not fit"),
    "merges a folder": (replaced("merges.txt", os.mkdir), "merges.txt cannot be read: not a regular file"),
    # what is no file
    **{
        f"{name} {kind}": (replaced(name, make), f"{name} cannot be read: not a regular file")
        for kind, make in {
            "a FIFO": os.mkfifo,
            "endless": lambda path: path.symlink_to("/dev/zero"),
            "a folder": os.mkdir,
        }.items()
        for name in ("config.json", "vocab.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors")
    },
    "the null device": (replaced("config.json", lambda path: path.symlink_to("/dev/null")), "is damaged: not JSON"),
    "a link to itself": (replaced("config.json", lambda path: path.symlink_to(path)), "config.json cannot be read"),
    "index a FIFO": (replaced("model.safetensors.index.json", os.mkfifo), "index.json cannot be read: not a regular"),
    "index endless": (
        replaced("model.safetensors.index.json", lambda path: path.symlink_to("/dev/zero")),
        "index.json cannot be read: not a regular",
    ),
    # the index
    "index to /etc": (index(["/etc/passwd"]), "names a file outside its folder: '/etc/passwd'"),
    "index above": (index(["model.safetensors", "../../etc/passwd"]), "names a file outside its folder: '../../etc"),
    "index ..": (index([".."]), "names a file outside its folder: '..'"),
    "index .": (index(["."]), "names a file outside its folder: '.'"),
    "index empty": (index([""]), "'' is not the name of a file"),
    "index backslash": (index(["model.safetensors", "..\\x.safetensors"]), "lacks ..\\x.safetensors: 1 of 2"),
    "index NUL": (index(["a\0b"]), "'a\\x00b' is not the name of a file"),
    "index half a character": (index(["a\ud800b"]), "'a\\ud800b' is not the name of a file"),
    "index long": (index(["x" * 5000]), "xxx... is not the name of a file"),
    "index to the configuration": (index(["config.json"]), "config.json is cut off or not a safetensors file"),
    "index of 40,000 files": (index(["model.safetensors", *map(str, range(40_000))]), "1 of 40001 weight files"),
    "index of 300,000 files": (index([f"{n}.safetensors" for n in range(300_000)]), "cannot be read: larger"),
    "index of numbers": (written("model.safetensors.index.json", '{"weight_map": {"a": 1}}'), "1 is not the name"),
    "index nested": (written("model.safetensors.index.json", '{"weight_map":' * 50_000), "nested too deeply"),
    "index to a FIFO": (
        lambda f: (os.mkfifo(f / "a.safetensors"), index(["a.safetensors"])(f)),
        "a.safetensors cannot be read: not a regular file",
    ),
    # headers of weights
    "header of 99 MB": (
        lambda f: (f / "model.safetensors").write_bytes(struct.pack("<Q", 99_000_000) + b" " * 99_000_100),
        "header of 99,000,000 bytes",
    ),
    "Git LFS": (
        written("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:79d6\nsize 1876091704\n"),
        "FOLDER/model.safetensors is a pointer of Git LFS, not the weights. Run `git lfs pull`",
    ),
    "header 2^63": (written("model.safetensors", struct.pack("<Q", 1 << 63) + bytes(100)), "is cut off or not"),
    "header 2^64-1": (written("model.safetensors", b"\xff" * 100), "is cut off or not"),
    "header 0": (written("model.safetensors", bytes(100)), "is cut off or not"),
    "header nested": (
        lambda f: (f / "model.safetensors").write_bytes(struct.pack("<Q", 200_000) + b"[" * 200_000 + bytes(8)),
        "header is nested too deeply",
    ),
    "header of lists": (
        lambda f: (f / "model.safetensors").write_bytes(
            struct.pack("<Q", 6_000_009) + b'{"a":[' + b"[]," * 2_000_000 + b"]}" + bytes(9)
        ),
        "its header is too large, with more than",
    ),
    "header of 60,000 arrays": (
        header({f"w{n}": tensor(shape=(0,), offsets=(0, 0)) for n in range(60_000)}),
        "60,000 arrays",
    ),
    "shape 2^81": (header({"x": tensor(shape=[1 << 27] * 3, offsets=[0, 1 << 83])}), "x is invalid"),
    "shape of 400 digits": (header({"x": tensor(shape=[HUGE], offsets=[0, 4 * HUGE])}), "x is invalid"),
    "shape of 100,000 axes": (header({"x": tensor(shape=[1] * 100_000, offsets=[0, 4])}), "x is invalid"),
    "shape of truths": (header({"x": tensor(shape=[True], offsets=[0, 4])}), "x is invalid"),
    "offsets past the end": (header({"x": tensor(shape=[1 << 20], offsets=[0, 1 << 22])}), "is cut off: "),
    "offsets 10^400": (header({"x": tensor(offsets=[HUGE, HUGE + 8])}), "x is invalid"),
    "the same bytes 5000 times": (header({f"w{n}": tensor() for n in range(5000)}), "its arrays overlap"),
    "a long name": (header({"x" * 1_000_000: {}}), "holds xxx"),
    "a name with controls": (header({"\x1b]0;x\x07": {}}), "holds \\x1b]0;x\\x07 as None"),
    # arrays that do not fit
    "whole numbers": (
        rewritten(lambda w: w.update({name: array.astype(mx.int32) for name, array in w.items()})),
        "holds mlx.core.int32",
    ),
    "truths": (rewritten(lambda w: w.update({"thinker.model.norm.weight": mx.ones((64,)) > 0})), "norm.weight holds"),
    "packed without scales": (packed(WORDS, mx.ones((512, 0)), mx.ones((512, 0))), "is not packed as MLX packs it"),
    "packed with few scales": (packed(WORDS, mx.ones((3, 1)), mx.ones((3, 1))), "is not packed as MLX packs it"),
    "packed with whole scales": (
        packed(WORDS, mx.ones((512, 1), dtype=mx.int32), mx.ones((512, 1), dtype=mx.int32)),
        "is not packed as MLX packs it",
    ),
    "packed with a scale": (packed(WORDS, mx.array(1.0), mx.array(1.0)), "is not packed as MLX packs it"),
    "packed with other biases": (packed(WORDS, mx.ones((512, 1)), mx.ones((512, 2))), "is not packed as MLX packs it"),
    "packed as fractions": (
        packed(WORDS.astype(mx.float32), mx.ones((512, 1)), mx.ones((512, 1))),
        "is not packed as MLX packs it",
    ),
    "packed as a cube": (packed(WORDS[None], mx.ones((1, 1)), mx.ones((1, 1))), "is not packed as MLX packs it"),
    "an unknown type": (header({"x": tensor(dtype="F4" * 10_000)}), "holds x as F4F4"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each case."""
    root = tmp_path_factory.mktemp("hostile")
    made = {}
    for n, (name, (change, _)) in enumerate(HOSTILE.items()):
        folder = root / str(n)
        folder.mkdir()
        for path in SOURCE.iterdir():
            if path.suffix in (".json", ".txt"):
                shutil.copyfile(path, folder / path.name)
        shutil.copyfile(SOURCE / "model.safetensors", folder / "model.safetensors")
        change(folder)
        made[name] = folder
    return made


@pytest.fixture(scope="module", params=["mlx", "numpy"])
def said(request: pytest.FixtureRequest, folders: dict[str, Path]) -> dict[str, str]:
    """What loading each folder said, in one process with little memory."""
    command = [sys.executable, "-c", LOADS, request.param, SOURCE, MOST_MB, MOST_SECONDS, *folders.values()]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, cwd=ROOT, timeout=MOST_SECONDS * len(folders) * 3
    )
    answers = dict(json.loads(line) for line in done.stdout.splitlines())
    assert len(answers) == len(folders) and done.returncode == 0, done.stderr[-3000:]
    return {name: answers[str(folder)].replace(str(folder), "FOLDER") for name, folder in folders.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process cannot be limited here")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_model_is_one_clear_line(said: dict[str, str], case: str) -> None:
    message = said[case]
    assert HOSTILE[case][1] in message
    assert len(message) < 400 and message.isprintable()
    assert "cannot be used: " not in message, "the fault itself is named"
