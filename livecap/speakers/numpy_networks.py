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
_POOL = 3
"""Frames of which the largest is kept."""
_ROWS_AT_ONCE = 256
"""Rows of SincNet that are multiplied together: they stay in the cache, and so do their products."""
_HIDDEN = 128
_FEWEST_TOGETHER = 4
"""Fewest windows that go through an LSTM together; fewer are faster one by one, as matrix-vector products."""
_CACHED = 96 << 10
"""About so many numbers of a convolution are computed before they are added up, so that they are still in the cache."""


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
        self._sinc = _beside_each_other(weights["sincnet.filters"])
        # [n_in, 5 * n_out]. What they add is the same in all frames, and the normalisation takes it away.
        self._convolutions = [
            np.concatenate([weights[f"sincnet.conv1d.{i}.weight"][:, :, k].T for k in range(5)], axis=1) for i in (1, 2)
        ]
        self._layers = [_lstm_layer(weights, number) for number in range(4)]
        self._linear = [weights[f"{name}.weight"].T for name in ("linear.0", "linear.1", "classifier")]

    def __call__(self, windows: Numbers) -> Numbers:
        weights = self._weights
        x = np.stack([self._sinc_net(window) for window in windows], axis=1)  # [n_frames, B, 60]
        at_once = len(windows) if len(windows) >= _FEWEST_TOGETHER else 1
        for layer in self._layers:
            parts = [_both_directions(layer, x[:, i : i + at_once]) for i in range(0, len(windows), at_once)]
            x = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        for name, matrix in zip(("linear.0", "linear.1"), self._linear, strict=False):
            x = x @ matrix
            x += weights[f"{name}.bias"]
            np.maximum(x, 0.01 * x, out=x)
        logits = x @ self._linear[2] + weights["classifier.bias"]
        logits -= logits.max(axis=-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        return logits.swapaxes(0, 1)

    def _sinc_net(self, window: Numbers) -> Numbers:
        weights = self._weights
        window = window - window.mean(dtype=np.float64).astype(np.float32)
        window *= weights["sincnet.wav_norm1d.weight"] / np.sqrt(np.mean(np.square(window)) + EPSILON)
        window += weights["sincnet.wav_norm1d.bias"]
        n = ((len(window) - LARGEST_SINC) // _STRIDE + 1) // _POOL
        strides = 4 * _POOL * _STRIDE, 4
        frames = np.lib.stride_tricks.as_strided(window, (n, len(self._sinc)), strides, writeable=False)
        x = np.empty((n, self._sinc.shape[1] // _POOL), np.float32)
        for start in range(0, n, _ROWS_AT_ONCE):
            some = x[start : start + _ROWS_AT_ONCE]
            y = np.ascontiguousarray(frames[start : start + len(some)]) @ self._sinc
            _largest(np.abs(y, out=y).reshape(len(some), _POOL, -1), some)
        x = self._normalised(x, 0)
        for number, taps in enumerate(self._convolutions, 1):
            n = (len(x) - 4) // _POOL
            pooled = np.empty((n, taps.shape[1] // 5), np.float32)
            for start in range(0, n, _ROWS_AT_ONCE // _POOL):
                some = pooled[start : start + _ROWS_AT_ONCE // _POOL]
                n_rows = _POOL * len(some)
                products = (x[_POOL * start : _POOL * start + n_rows + 4] @ taps).reshape(n_rows + 4, 5, -1)
                y = products[:n_rows, 0] + products[1 : n_rows + 1, 1]
                for k in range(2, 5):
                    y += products[k : k + n_rows, k]
                _largest(y.reshape(len(some), _POOL, -1), some)
            x = self._normalised(pooled, number)
        return x

    def _normalised(self, x: Numbers, number: int) -> Numbers:
        """x normalised over time, through a leaky ReLU. Changes x."""
        x -= x.mean(axis=0)
        x *= self._weights[f"sincnet.norm1d.{number}.weight"] / np.sqrt(np.mean(np.square(x), axis=0) + EPSILON)
        x += self._weights[f"sincnet.norm1d.{number}.bias"]
        return np.maximum(x, np.float32(0.01) * x, out=x)  # type: ignore[no-any-return]


def _beside_each_other(filters: Numbers) -> Numbers:
    """Filters [n_out, n] as a matrix [n + 20, 3 * n_out] that computes three frames from one row of sound."""
    n_out, n = filters.shape
    found = np.zeros((n + (_POOL - 1) * _STRIDE, _POOL, n_out), np.float32)
    for i in range(_POOL):
        found[i * _STRIDE : i * _STRIDE + n, i] = filters.T
    return found.reshape(len(found), -1)


def _largest(x: Numbers, out: Numbers) -> None:
    """The largest of each three: out [n, C] of x [n, 3, C]."""
    np.maximum(x[:, 0], x[:, 1], out=out)
    np.maximum(out, x[:, 2], out=out)


class _Lstm(NamedTuple):
    """One layer. The gates are in the order enter, keep, leave, new; the first three are negated, see below."""

    inward: Numbers
    """[2, n_in, 4 * 128] for the forward and the backward direction."""
    bias: Numbers
    """[2, 4, 1, 128]"""
    recurrent: Numbers
    """[4, 2, 128, 128]"""


def _lstm_layer(weights: Weights, number: int) -> _Lstm:
    def ordered(name: str, direction: str) -> Numbers:
        enter, keep, new, leave = np.split(weights[f"lstm.{name}_l{number}{direction}"], 4)
        return np.stack([-enter, -keep, -leave, new])

    inward, bias, recurrent = [], [], []
    for direction in ("", "_reverse"):
        inward.append(ordered("weight_ih", direction).reshape(4 * _HIDDEN, -1).T)
        bias.append((ordered("bias_ih", direction) + ordered("bias_hh", direction))[:, None])
        recurrent.append(ordered("weight_hh", direction).swapaxes(1, 2))
    return _Lstm(np.stack(inward), np.stack(bias), np.ascontiguousarray(np.stack(recurrent, axis=1)))


def _both_directions(layer: _Lstm, x: Numbers) -> Numbers:
    """The output [n, B, 256] of an LSTM over x [n, B, n_in]. Both directions take each step together, in place."""
    n, n_windows, n_in = x.shape
    inputs = np.empty((n, 4, 2, n_windows, _HIDDEN), np.float32)
    rows = x.reshape(n * n_windows, n_in)
    for direction, (inward, bias) in enumerate(zip(layer.inward, layer.bias, strict=True)):
        products = (rows @ inward).reshape(n, n_windows, 4, _HIDDEN).swapaxes(1, 2)
        np.add(products[:: -1 if direction else 1], bias, out=inputs[:, :, direction])
    found = np.empty((n, 2, n_windows, _HIDDEN), np.float32)
    hidden = np.zeros(found.shape[1:], np.float32)
    cell, seen = np.zeros_like(hidden), np.empty_like(hidden)
    gates = np.empty(inputs.shape[1:], np.float32)
    opened, (enter, keep, leave, new) = gates[:3], gates
    one = np.ones_like(opened)
    with np.errstate(over="ignore"):  # exp may be infinite: the gate is closed
        for given, here in zip(inputs, found, strict=True):
            np.matmul(hidden, layer.recurrent, gates)
            np.add(gates, given, gates)
            np.exp(opened, opened)
            np.add(opened, one, opened)  # a sigmoid is one divided by this
            np.tanh(new, new)
            np.divide(cell, keep, cell)
            np.divide(new, enter, new)
            np.add(cell, new, cell)
            np.tanh(cell, seen)
            hidden = np.divide(seen, leave, here)
    return np.concatenate([found[:, 0], found[::-1, 1]], axis=-1)


class _Limited(NamedTuple):
    """A batch normalisation, a ReLU and a matrix, as a limit for each channel and another matrix.

    Where the scale is above 0, relu(scale * x + shift) = scale * max(x, limit) + shift, with limit = -shift / scale;
    where it is below 0, the smaller one counts.
    """

    limit: Numbers
    """[C, 1]"""
    falling: list[int]
    """The channels whose scale is below 0."""
    matrix: Numbers
    """[n_out, C]"""
    bias: Numbers
    """[n_out, 1]"""

    def __call__(self, x: Numbers, space: Numbers, out: Numbers) -> Numbers:
        """out [n_out, n] of x [C, n], with a space of the size of x."""
        np.maximum(x, self.limit, out=space)
        for channel in self.falling:
            np.minimum(x[channel], self.limit[channel], out=space[channel])
        np.matmul(self.matrix, space, out=out)
        out += self.bias
        return out


class _Dense(NamedTuple):
    """A layer of a dense block of CAM++: it sees the channels of all layers before it."""

    narrow: _Limited
    taps: Numbers
    """[3 * 32, 128]"""
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
            matrix, bias = weights[f"xvector.transit{number}.linear.weight"][:, :, 0], np.zeros(1, np.float32)
            if number == 3:
                after, bias = scale_and_shift(weights, "xvector.out_nonlinear.batchnorm")
                matrix = matrix * after[:, None]
            self._transits.append(_limited(weights, f"xvector.transit{number}.nonlinear.batchnorm", matrix, bias))
        self._last, self._last_bias = folded(weights, "xvector.dense.linear", "xvector.dense.nonlinear.batchnorm")

    def __call__(self, frames: Numbers) -> Numbers:
        x = self._first_layer(self._planes(frames))
        for layers, transit, (_, dilation) in zip(self._blocks, self._transits, BLOCKS, strict=True):
            x = _dense_block(layers, x, dilation)
            x = transit(x, np.empty_like(x), np.empty((len(transit.bias), x.shape[1]), np.float32))
        np.maximum(x, 0, out=x)  # the last bias belongs to a normalisation that is followed by a ReLU
        pooled = np.concatenate([x.mean(axis=1), x.std(axis=1, ddof=1)])
        return self._last[:, :, 0] @ pooled + self._last_bias  # type: ignore[no-any-return]

    def _planes(self, frames: Numbers) -> Numbers:
        """[320, n] of frames [n, 80]: 10 frequencies of 32 channels."""
        head = self._head
        x = _convolved(_padded(frames.T[:, None]), head["conv1"], 1)
        for layer, (shortcut, shortcut_bias) in enumerate(self._shortcuts, 1):
            for part, stride in ((0, 2), (1, 1)):
                y = _convolved(x, head[f"layer{layer}.{part}.conv1"], stride)
                x = x[1:-1:stride]
                if part == 0:
                    x = np.matmul(shortcut[:, :, 0, 0], x) + shortcut_bias[:, None]
                x = _convolved(y, head[f"layer{layer}.{part}.conv2"], 1, x)
        return _convolved(x, head["conv2"], 2)[1:-1, :, 1:-1].reshape(320, -1)

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


def _convolved(x: Numbers, plane: _Plane, stride: int, more: Numbers | None = None) -> Numbers:
    """A convolution through a ReLU, padded again: [F / stride + 2, n_out, n + 2] of padded x [F + 2, n_in, n + 2].

    Args:
        more: [F / stride, n_out, n + 2], added before the ReLU.
    """
    n_high, n_in, n_wide = x.shape
    n_out, n_rows = len(plane.bias), (n_high - 2) // stride
    shape, strides = (n_rows, 3 * n_in, n_wide), (stride * x.strides[0], x.strides[1], x.strides[2])
    seen = np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)
    size = n_out * n_wide
    found = np.zeros((n_rows + 2, n_out, n_wide), np.float32)
    flat = found[1:-1].reshape(n_rows, size)  # long rows are added faster; what lands on the edges is removed
    at_once = max(1, _CACHED // (3 * size))
    products = np.empty((at_once, 3 * n_out, n_wide), np.float32)
    for start in range(0, n_rows, at_once):
        rows = slice(start, min(start + at_once, n_rows))
        y, here = np.matmul(plane.matrix, seen[rows], out=products[: rows.stop - start]), flat[rows, 1:-1]
        y = y.reshape(-1, 3 * size)
        np.add(y[:, : size - 2], y[:, size + 1 : 2 * size - 1], out=here)
        here += y[:, 2 * size + 2 :]
        here = found[1:-1][rows]
        here += plane.bias
        if more is not None:
            here += more[rows]
        np.maximum(here, 0, out=here)
    found[:, :, 0] = found[:, :, -1] = 0
    return found


def _limited(weights: Weights, norm: str, matrix: Numbers, bias: Numbers) -> _Limited:
    """From a normalisation, and a matrix [n_out, C] with its bias [n_out]."""
    scale, shift = scale_and_shift(weights, norm)
    falling = np.flatnonzero(scale < 0).tolist()
    return _Limited((-shift / scale)[:, None], falling, matrix * scale, (matrix @ shift + bias)[:, None])


def _dense_layer(weights: Weights, name: str) -> _Dense:
    narrow, narrow_bias = folded(weights, f"{name}.linear1", f"{name}.nonlinear2.batchnorm")
    cam = f"{name}.cam_layer"
    taps = weights[f"{cam}.linear_local.weight"].transpose(2, 0, 1)
    return _Dense(
        _limited(weights, f"{name}.nonlinear1.batchnorm", narrow[:, :, 0], narrow_bias),
        np.ascontiguousarray(taps.reshape(-1, taps.shape[-1])),
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
    narrow, local = np.empty((128, n), np.float32), np.empty((96, n), np.float32)
    context, contexts = _means(n)
    for layer in layers:
        layer.narrow(found[:n_channels], wide[:n_channels], narrow)
        np.maximum(narrow, 0, out=narrow)
        np.matmul(layer.taps, narrow, out=local)
        y = local[32:64]
        y[:, dilation:] += local[:32, :-dilation]
        y[:, :-dilation] += local[64:, dilation:]
        seen = np.maximum(layer.context @ (narrow @ context) + layer.context_bias, 0)
        opened = 0.5 + 0.5 * np.tanh(0.5 * (layer.gate @ seen + layer.gate_bias))
        for i, part in enumerate(contexts):
            np.multiply(y[:, part], opened[:, i : i + 1], out=found[n_channels : n_channels + 32, part])
        n_channels += 32
    return found


def _means(n: int) -> tuple[Numbers, list[slice]]:
    """A matrix [n, n_parts] that gives the mean of each 100 of n frames plus the mean of all, and these parts."""
    parts = [slice(start, min(start + CONTEXT_FRAMES, n)) for start in range(0, n, CONTEXT_FRAMES)]
    matrix = np.full((n, len(parts)), 1 / n, np.float32)
    for i, part in enumerate(parts):
        matrix[part, i] += 1 / (part.stop - part.start)
    return matrix, parts
