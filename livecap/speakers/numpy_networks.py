"""The two networks in NumPy, for processors: feature-major, with normalisations folded into the layers before them."""

from typing import NamedTuple

import numpy as np

from livecap.speakers.networks import (
    BLOCKS,
    CONTEXT_FRAMES,
    EPSILON,
    LARGEST_SINC,
    Numbers,
    Weights,
    folded,
    read_weights,
    scale_and_shift,
)
from livecap.speakers.one_core import one_core

_STRIDE = 10
_SINC_FRAMES_AT_ONCE = 512
"""Frames of the first filters that are multiplied together: they stay in the cache."""
_HIDDEN = 128


class NumpyNetworks:
    """See `VoiceNetworks`."""

    def __init__(self) -> None:
        self._segmentation = _Segmentation(read_weights("segmentation"))
        self._voices = _Voices(read_weights("voices"))

    def segment(self, windows: Numbers) -> Numbers:
        with one_core():
            return self._segmentation(windows)

    def embed(self, frames: Numbers) -> Numbers:
        return self._voices(frames - frames.mean(axis=0))


class _Segmentation:
    """SincNet, four LSTMs in both directions, two linear layers and a head."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._sinc = np.ascontiguousarray(weights["sincnet.filters"].T)
        self._convolutions = [
            [np.ascontiguousarray(weights[f"sincnet.conv1d.{i}.weight"][:, :, k].T) for k in range(5)] for i in (1, 2)
        ]
        self._layers = [_lstm_layer(weights, number) for number in range(4)]
        self._linear = [weights[f"{name}.weight"].T for name in ("linear.0", "linear.1", "classifier")]

    def __call__(self, windows: Numbers) -> Numbers:
        weights = self._weights
        x = np.stack([self._sinc_net(window) for window in windows])  # [B, n_frames, 60]
        for layer in self._layers:
            x = _both_directions(layer, x)
        for name, matrix in zip(("linear.0", "linear.1"), self._linear, strict=False):
            x = x @ matrix
            x += weights[f"{name}.bias"]
            np.maximum(x, 0.01 * x, out=x)
        logits = x @ self._linear[2] + weights["classifier.bias"]
        logits -= logits.max(axis=-1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))  # type: ignore[no-any-return]

    def _sinc_net(self, window: Numbers) -> Numbers:
        weights = self._weights
        window = window - window.mean(dtype=np.float64).astype(np.float32)
        window *= weights["sincnet.wav_norm1d.weight"] / np.sqrt(np.mean(np.square(window)) + EPSILON)
        window += weights["sincnet.wav_norm1d.bias"]
        n = (len(window) - LARGEST_SINC) // _STRIDE + 1
        frames = np.lib.stride_tricks.as_strided(window, (n, LARGEST_SINC), (4 * _STRIDE, 4))
        x = np.empty((n, self._sinc.shape[1]), np.float32)
        for start in range(0, n, _SINC_FRAMES_AT_ONCE):
            some = np.ascontiguousarray(frames[start : start + _SINC_FRAMES_AT_ONCE])
            np.matmul(some, self._sinc, out=x[start : start + len(some)])
        x = self._pooled(np.abs(x, out=x), 0)
        for number, taps in enumerate(self._convolutions, 1):
            n = len(x) - 4
            y = x[:n] @ taps[0]
            for k in range(1, 5):
                y += x[k : k + n] @ taps[k]
            x = self._pooled(y + weights[f"sincnet.conv1d.{number}.bias"], number)
        return x

    def _pooled(self, x: Numbers, number: int) -> Numbers:
        """The largest of each three frames, normalised over time, through a leaky ReLU."""
        n = len(x) // 3
        x = x[: 3 * n].reshape(n, 3, -1).max(axis=1)
        x -= x.mean(axis=0)
        x *= self._weights[f"sincnet.norm1d.{number}.weight"] / np.sqrt(np.mean(np.square(x), axis=0) + EPSILON)
        x += self._weights[f"sincnet.norm1d.{number}.bias"]
        return np.maximum(x, np.float32(0.01) * x)  # type: ignore[no-any-return]


class _Lstm(NamedTuple):
    """One layer. The gates are in the order enter, keep, leave, new; the first three are halved, see below."""

    inward: Numbers
    """[n_in, 2 * 512] for the forward and the backward direction."""
    bias: Numbers
    """[2 * 512]"""
    recurrent: Numbers
    """[2, 128, 512]"""


def _lstm_layer(weights: Weights, number: int) -> _Lstm:
    halves = np.repeat(np.array([0.5, 0.5, 0.5, 1.0], np.float32), _HIDDEN)

    def ordered(name: str, direction: str) -> Numbers:
        enter, keep, new, leave = np.split(weights[f"lstm.{name}_l{number}{direction}"], 4)
        gates = np.concatenate([enter, keep, leave, new])
        return gates * halves.reshape(-1, *[1] * (gates.ndim - 1))

    inward, bias, recurrent = [], [], []
    for direction in ("", "_reverse"):
        inward.append(ordered("weight_ih", direction).T)
        bias.append(ordered("bias_ih", direction) + ordered("bias_hh", direction))
        recurrent.append(ordered("weight_hh", direction).T)
    return _Lstm(np.concatenate(inward, axis=1), np.concatenate(bias), np.stack(recurrent))


def _both_directions(layer: _Lstm, x: Numbers) -> Numbers:
    """The output [B, n, 256] of an LSTM over x [B, n, n_in]. The sigmoid of a is 1/2 + tanh(a / 2) / 2."""
    n_windows, n, _ = x.shape
    inputs = (x.reshape(n_windows * n, -1) @ layer.inward + layer.bias).reshape(n_windows, n, 2, 4 * _HIDDEN)
    found = np.empty((n_windows, n, 2, _HIDDEN), np.float32)
    hidden = np.zeros((2, n_windows, _HIDDEN), np.float32)
    cell = np.zeros((2, n_windows, _HIDDEN), np.float32)
    gates = np.empty((2, n_windows, 4 * _HIDDEN), np.float32)
    new = gates[..., 3 * _HIDDEN :]
    enter, keep, leave = (gates[..., i * _HIDDEN : (i + 1) * _HIDDEN] for i in range(3))
    for here in range(n):
        np.matmul(hidden, layer.recurrent, out=gates)
        gates[0] += inputs[:, here, 0]
        gates[1] += inputs[:, n - 1 - here, 1]
        np.tanh(gates, out=gates)
        opened = gates[..., : 3 * _HIDDEN]
        opened *= 0.5
        opened += 0.5
        cell *= keep
        enter *= new
        cell += enter
        np.tanh(cell, out=hidden)
        hidden *= leave
        found[:, here, 0] = hidden[0]
        found[:, n - 1 - here, 1] = hidden[1]
    return found.reshape(n_windows, n, 2 * _HIDDEN)


class _Dense(NamedTuple):
    """A layer of a dense block of CAM++: it sees the channels of all layers before it."""

    scale: Numbers
    shift: Numbers
    narrow: Numbers
    narrow_bias: Numbers
    taps: Numbers
    """[3, 32, 128]"""
    context: Numbers
    context_bias: Numbers
    gate: Numbers
    gate_bias: Numbers


class _Voices:
    """CAM++: convolutions over frequency and time, then densely connected layers, each with a gate that looks at the
    mean of the whole sound and of 2 s of it; then mean and standard deviation over time."""

    def __init__(self, weights: Weights) -> None:
        self._head = {
            name: _plane(*folded(weights, f"head.{name}", f"head.{name.replace('conv', 'bn')}"))
            for name in ("conv1", "conv2", *(f"layer{i}.{j}.conv{k}" for i in (1, 2) for j in (0, 1) for k in (1, 2)))
        }
        self._shortcuts = [
            folded(weights, f"head.layer{i}.0.shortcut.0", f"head.layer{i}.0.shortcut.1") for i in (1, 2)
        ]
        first, self._first_bias = folded(weights, "xvector.tdnn.linear", "xvector.tdnn.nonlinear.batchnorm")
        # The original joins channels and frequencies with the frequency last, this one with the channel last.
        first = first.reshape(len(first), 32, 10, 5).swapaxes(1, 2)
        self._first = np.ascontiguousarray(first.reshape(len(first), 320, 5).transpose(2, 0, 1))
        self._blocks = [
            [_dense_layer(weights, f"xvector.block{number}.tdnnd{i + 1}") for i in range(n_layers)]
            for number, (n_layers, _) in enumerate(BLOCKS, 1)
        ]
        self._transits = []
        for number in (1, 2, 3):
            scale, shift = scale_and_shift(weights, f"xvector.transit{number}.nonlinear.batchnorm")
            matrix, bias = weights[f"xvector.transit{number}.linear.weight"][:, :, 0], np.zeros(1, np.float32)
            if number == 3:
                after, bias = scale_and_shift(weights, "xvector.out_nonlinear.batchnorm")
                matrix = matrix * after[:, None]
            self._transits.append((scale[:, None], shift[:, None], matrix, bias[:, None]))
        self._last, self._last_bias = folded(weights, "xvector.dense.linear", "xvector.dense.nonlinear.batchnorm")

    def __call__(self, frames: Numbers) -> Numbers:
        x = self._first_layer(self._planes(frames))
        for layers, (scale, shift, matrix, bias), (_, dilation) in zip(
            self._blocks, self._transits, BLOCKS, strict=True
        ):
            x = _dense_block(layers, x, dilation)
            x *= scale
            x += shift
            x = matrix @ np.maximum(x, 0, out=x)
            x += bias
        np.maximum(x, 0, out=x)  # the last bias belongs to a normalisation that is followed by a ReLU
        pooled = np.concatenate([x.mean(axis=1), x.std(axis=1, ddof=1)])
        return self._last[:, :, 0] @ pooled + self._last_bias  # type: ignore[no-any-return]

    def _planes(self, frames: Numbers) -> Numbers:
        """[320, n] of frames [n, 80]: 10 frequencies of 32 channels."""
        head = self._head
        x = _convolved(_padded(frames.T[:, None]), head["conv1"], 1)
        x = _padded(np.maximum(x, 0, out=x))
        for layer, (shortcut, shortcut_bias) in enumerate(self._shortcuts, 1):
            for part, stride in ((0, 2), (1, 1)):
                y = _convolved(x, head[f"layer{layer}.{part}.conv1"], stride)
                y = _convolved(_padded(np.maximum(y, 0, out=y)), head[f"layer{layer}.{part}.conv2"], 1)
                if part == 0:
                    y += np.matmul(shortcut[:, :, 0, 0], x[1:-1:stride, :, 1:-1]) + shortcut_bias[:, None]
                else:
                    y += x[1:-1, :, 1:-1]
                x = _padded(np.maximum(y, 0, out=y))
        x = _convolved(x, head["conv2"], 2)
        return np.maximum(x, 0, out=x).reshape(320, -1)

    def _first_layer(self, x: Numbers) -> Numbers:
        """[128, ceil(n / 2)]: five taps, every second frame."""
        n = (x.shape[1] + 1) // 2
        padded = np.zeros((len(x), 2 * n + 4), np.float32)
        padded[:, 2 : 2 + x.shape[1]] = x
        phases = np.ascontiguousarray(padded[:, ::2]), np.ascontiguousarray(padded[:, 1::2])
        y = self._first[0] @ phases[0][:, :n]
        for k in range(1, 5):
            y += self._first[k] @ phases[k % 2][:, k // 2 : k // 2 + n]
        y += self._first_bias[:, None]
        return np.maximum(y, 0, out=y)  # type: ignore[no-any-return]


class _Plane(NamedTuple):
    """A 3 x 3 convolution: one product for the three frequencies, whose results for the three times are added."""

    matrix: Numbers
    """[3 * n_out, 3 * n_in]: time and output, frequency and input."""
    bias: Numbers
    """[n_out, 1]"""


def _plane(weight: Numbers, bias: Numbers) -> _Plane:
    """From weight [n_out, n_in, 3 frequencies, 3 times]."""
    n_out, n_in = weight.shape[:2]
    return _Plane(np.ascontiguousarray(weight.transpose(3, 0, 2, 1).reshape(3 * n_out, 3 * n_in)), bias[:, None])


def _padded(x: Numbers) -> Numbers:
    """x [F, C, n] with zeros around it in frequency and time."""
    found = np.zeros((x.shape[0] + 2, x.shape[1], x.shape[2] + 2), np.float32)
    found[1:-1, :, 1:-1] = x
    return found


def _convolved(x: Numbers, plane: _Plane, stride: int) -> Numbers:
    """[F / stride, n_out, n] of padded x [F + 2, n_in, n + 2]."""
    n_high, n_in, n_wide = x.shape
    n_out = len(plane.bias)
    shape, strides = ((n_high - 2) // stride, 3 * n_in, n_wide), (stride * x.strides[0], x.strides[1], x.strides[2])
    y = np.matmul(plane.matrix, np.lib.stride_tricks.as_strided(x, shape, strides))
    found = y[:, :n_out, :-2] + y[:, n_out : 2 * n_out, 1:-1]
    found += y[:, 2 * n_out :, 2:]
    found += plane.bias
    return found  # type: ignore[no-any-return]


def _dense_layer(weights: Weights, name: str) -> _Dense:
    scale, shift = scale_and_shift(weights, f"{name}.nonlinear1.batchnorm")
    narrow, narrow_bias = folded(weights, f"{name}.linear1", f"{name}.nonlinear2.batchnorm")
    cam = f"{name}.cam_layer"
    return _Dense(
        scale[:, None],
        shift[:, None],
        narrow[:, :, 0],
        narrow_bias[:, None],
        np.ascontiguousarray(weights[f"{cam}.linear_local.weight"].transpose(2, 0, 1)),
        weights[f"{cam}.linear1.weight"][:, :, 0],
        weights[f"{cam}.linear1.bias"][:, None],
        weights[f"{cam}.linear2.weight"][:, :, 0],
        weights[f"{cam}.linear2.bias"][:, None],
    )


def _dense_block(layers: list[_Dense], x: Numbers, dilation: int) -> Numbers:
    """[C + 32 * n_layers, n] of x [C, n]: each layer adds 32 channels to what the later ones see."""
    n_channels, n = x.shape
    found = np.empty((n_channels + 32 * len(layers), n), np.float32)
    found[:n_channels] = x
    wide = np.empty_like(found)
    narrow = np.zeros((128, n + 2 * dilation), np.float32)  # with zeros on both sides
    inner = narrow[:, dilation:-dilation]
    for layer in layers:
        seen = np.multiply(found[:n_channels], layer.scale, out=wide[:n_channels])
        seen += layer.shift
        np.maximum(seen, 0, out=seen)
        np.add(layer.narrow @ seen, layer.narrow_bias, out=inner)
        np.maximum(inner, 0, out=inner)
        y = layer.taps[0] @ narrow[:, :n]
        y += layer.taps[1] @ inner
        y += layer.taps[2] @ narrow[:, 2 * dilation :]
        y *= _gate(layer, inner)
        found[n_channels : n_channels + 32] = y
        n_channels += 32
    return found


def _gate(layer: _Dense, x: Numbers) -> Numbers:
    """[32, n]: how much of each channel passes, by the means of x [128, n] over all of it and over each 100 frames."""
    n = x.shape[1]
    starts = np.arange(0, n, CONTEXT_FRAMES)
    lengths = np.diff(np.append(starts, n))
    sums = np.add.reduceat(x, starts, axis=1)
    context = sums / lengths.astype(np.float32) + sums.sum(axis=1, keepdims=True) / np.float32(n)
    seen = layer.context @ context + layer.context_bias
    opened = layer.gate @ np.maximum(seen, 0) + layer.gate_bias
    return np.repeat(0.5 + 0.5 * np.tanh(0.5 * opened), lengths, axis=1)
