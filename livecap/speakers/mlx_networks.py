"""The two networks in MLX, for GPUs: time-major, in float32."""

from livecap.model.backend import mx  # isort: skip - it comes first

import numpy as np

from livecap.speakers.networks import (
    BLOCKS,
    CONTEXT_FRAMES,
    EPSILON,
    Numbers,
    folded,
    read_weights,
    scale_and_shift,
)

_HIDDEN = 128
Layer = tuple[mx.array, mx.array]


class MLXNetworks:
    """See `VoiceNetworks`."""

    def __init__(self) -> None:
        weights = read_weights("segmentation")
        self._local = {name: mx.array(array) for name, array in weights.items()}
        # MLX's convolutions have the channels last: [n_out, taps, n_in].
        self._sinc = mx.array(weights["sincnet.filters"][:, :, None])
        self._convolutions = [mx.array(weights[f"sincnet.conv1d.{i}.weight"].swapaxes(1, 2)) for i in (1, 2)]
        self._lstms = [_Lstm(weights, number) for number in range(4)]
        voices = read_weights("voices")
        self._planes = {
            name: _layer(voices, f"head.{name}", f"head.{name.replace('conv', 'bn')}", (0, 2, 3, 1))
            for name in ("conv1", "conv2", *(f"layer{i}.{j}.conv{k}" for i in (1, 2) for j in (0, 1) for k in (1, 2)))
        }
        self._shortcuts = [
            _layer(voices, f"head.layer{i}.0.shortcut.0", f"head.layer{i}.0.shortcut.1", (0, 2, 3, 1)) for i in (1, 2)
        ]
        self._first = _layer(voices, "xvector.tdnn.linear", "xvector.tdnn.nonlinear.batchnorm", (0, 2, 1))
        self._blocks = [
            [_Dense(voices, f"xvector.block{number}.tdnnd{i + 1}", dilation) for i in range(n_layers)]
            for number, (n_layers, dilation) in enumerate(BLOCKS, 1)
        ]
        self._transits = [_transit(voices, number) for number in (1, 2, 3)]
        self._out = tuple(map(mx.array, scale_and_shift(voices, "xvector.out_nonlinear.batchnorm")))
        last, bias = folded(voices, "xvector.dense.linear", "xvector.dense.nonlinear.batchnorm")
        self._last = mx.array(last[:, :, 0].T), mx.array(bias)

    def segment(self, windows: Numbers) -> Numbers:
        weights = self._local
        x = self._normalised(mx.array(windows)[..., None], "wav_norm1d")
        x = self._pooled(mx.abs(mx.conv1d(x, self._sinc, stride=10)), 0)
        for number, matrix in enumerate(self._convolutions, 1):
            x = self._pooled(mx.conv1d(x, matrix) + weights[f"sincnet.conv1d.{number}.bias"], number)
        for lstm in self._lstms:
            x = lstm(x)
        for name in ("linear.0", "linear.1"):
            x = _leaky(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])
        logits = x @ weights["classifier.weight"].T + weights["classifier.bias"]
        return np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True))

    def embed(self, frames: Numbers) -> Numbers:
        x = mx.array((frames - frames.mean(axis=0)).T[None, :, :, None])  # [1, 80, n, 1]
        x = self._plane(x, "conv1", 1)
        for layer, (shortcut, bias) in enumerate(self._shortcuts, 1):
            for part, stride in ((0, 2), (1, 1)):
                y = self._plane(x, f"layer{layer}.{part}.conv1", stride)
                y = self._plane(y, f"layer{layer}.{part}.conv2", 1, relu=False)
                x = mx.maximum(y + (mx.conv2d(x, shortcut, stride=(2, 1)) + bias if part == 0 else x), 0)
        x = self._plane(x, "conv2", 2)  # [1, 10, n, 32]
        x = x[0].transpose(1, 2, 0).reshape(1, x.shape[2], 320)
        x = mx.maximum(mx.conv1d(x, self._first[0], stride=2, padding=2) + self._first[1], 0)
        for layers, (scale, shift, matrix) in zip(self._blocks, self._transits, strict=True):
            for dense in layers:
                x = mx.concatenate([x, dense(x)], axis=-1)
            x = mx.maximum(x * scale + shift, 0) @ matrix
        x = mx.maximum(x * self._out[0] + self._out[1], 0)[0]
        pooled = mx.concatenate([x.mean(axis=0), mx.sqrt(mx.var(x, axis=0, ddof=1))])
        return np.array(pooled @ self._last[0] + self._last[1])

    def _plane(self, x: mx.array, name: str, stride: int, relu: bool = True) -> mx.array:
        matrix, bias = self._planes[name]
        y = mx.conv2d(x, matrix, stride=(stride, 1), padding=1) + bias
        return mx.maximum(y, 0) if relu else y

    def _normalised(self, x: mx.array, name: str) -> mx.array:
        """x [B, n, C] normalised over time."""
        x = x - x.mean(axis=1, keepdims=True)
        x = x * mx.rsqrt(x.square().mean(axis=1, keepdims=True) + EPSILON)
        return x * self._local[f"sincnet.{name}.weight"] + self._local[f"sincnet.{name}.bias"]

    def _pooled(self, x: mx.array, number: int) -> mx.array:
        """The largest of each three frames, normalised, through a leaky ReLU."""
        n = x.shape[1] // 3
        x = x[:, : 3 * n].reshape(x.shape[0], n, 3, -1).max(axis=2)
        return _leaky(self._normalised(x, f"norm1d.{number}"))


class _Lstm:
    """One layer in both directions, whose steps are taken together."""

    def __init__(self, weights: dict[str, Numbers], number: int) -> None:
        names = [f"l{number}", f"l{number}_reverse"]
        inward = [weights[f"lstm.weight_ih_{name}"].T for name in names]
        self._inward = mx.array(np.concatenate(inward, axis=1))
        self._bias = mx.array(
            np.concatenate([weights[f"lstm.bias_ih_{name}"] + weights[f"lstm.bias_hh_{name}"] for name in names])
        )
        self._recurrent = mx.array(np.stack([weights[f"lstm.weight_hh_{name}"].T for name in names]))

    def __call__(self, x: mx.array) -> mx.array:
        n_windows, n, _ = x.shape
        inputs = (x @ self._inward + self._bias).reshape(n_windows, n, 2, 4 * _HIDDEN).transpose(1, 2, 0, 3)
        inputs = mx.stack([inputs[:, 0], inputs[::-1, 1]], axis=1)  # [n, 2, B, 512]
        hidden = cell = mx.zeros((2, n_windows, _HIDDEN))
        found = []
        for gates in inputs:
            enter, keep, new, leave = mx.split(gates + hidden @ self._recurrent, 4, axis=-1)
            cell = mx.sigmoid(keep) * cell + mx.sigmoid(enter) * mx.tanh(new)
            hidden = mx.sigmoid(leave) * mx.tanh(cell)
            found.append(hidden)
        both = mx.stack(found)
        joined = mx.concatenate([both[:, 0], both[::-1, 1]], axis=-1).swapaxes(0, 1)  # [B, n, 256]
        mx.eval(joined)  # otherwise the graph of all steps of all layers is in memory
        return joined


class _Dense:
    """A layer of a dense block of CAM++."""

    def __init__(self, weights: dict[str, Numbers], name: str, dilation: int) -> None:
        cam = f"{name}.cam_layer"
        self._dilation = dilation
        self._scale, self._shift = map(mx.array, scale_and_shift(weights, f"{name}.nonlinear1.batchnorm"))
        narrow, bias = folded(weights, f"{name}.linear1", f"{name}.nonlinear2.batchnorm")
        self._narrow, self._narrow_bias = mx.array(narrow[:, :, 0].T), mx.array(bias)
        self._taps = mx.array(weights[f"{cam}.linear_local.weight"].swapaxes(1, 2))
        self._context, self._gate = (
            (mx.array(weights[f"{cam}.{part}.weight"][:, :, 0].T), mx.array(weights[f"{cam}.{part}.bias"]))
            for part in ("linear1", "linear2")
        )

    def __call__(self, x: mx.array) -> mx.array:
        """[1, n, 32] of x [1, n, C]."""
        n = x.shape[1]
        x = mx.maximum(x * self._scale + self._shift, 0)
        x = mx.maximum(x @ self._narrow + self._narrow_bias, 0)
        y = mx.conv1d(x, self._taps, padding=self._dilation, dilation=self._dilation)
        starts = range(0, n, CONTEXT_FRAMES)
        means = mx.stack([x[0, start : start + CONTEXT_FRAMES].mean(axis=0) for start in starts])
        seen = mx.maximum((means + x[0].mean(axis=0)) @ self._context[0] + self._context[1], 0)
        gate = mx.sigmoid(seen @ self._gate[0] + self._gate[1])
        return y * mx.repeat(gate, CONTEXT_FRAMES, axis=0)[:n]


def _layer(weights: dict[str, Numbers], name: str, norm: str, axes: tuple[int, ...]) -> Layer:
    matrix, bias = folded(weights, name, norm)
    return mx.array(matrix.transpose(axes)), mx.array(bias)


def _transit(weights: dict[str, Numbers], number: int) -> tuple[mx.array, mx.array, mx.array]:
    name = f"xvector.transit{number}"
    scale, shift = scale_and_shift(weights, f"{name}.nonlinear.batchnorm")
    return mx.array(scale), mx.array(shift), mx.array(weights[f"{name}.linear.weight"][:, :, 0].T)


def _leaky(x: mx.array) -> mx.array:
    return mx.maximum(x, 0.01 * x)
