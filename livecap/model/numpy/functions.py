"""The functions between the products, feature-major and in place: norms, GELU, SwiGLU, attention.

They work in blocks that fit into the cache and are divided among the cores, at one to six nanoseconds per number.
NumPy's exponential is vectorised. The normal distribution function is a quotient of polynomials, as exact as float32
(the tests compare it). The tanh form of GELU would be another function.
"""

from collections.abc import Callable, Sequence

import numpy as np

from livecap.model.numpy.cores import share_out
from livecap.model.numpy.products import Numbers, Scratch

BLOCK = 131_072
"""Numbers in one block. Large enough to make NumPy's overhead of a microsecond or more per call negligible."""
FEWEST_SHARED = 2 * BLOCK
"""Numbers that are worth another core, since it waits for Python's lock at every call."""

NORMAL_LIMIT = 5.5
"""Beyond this, the normal distribution function is 0 or 1 in float32."""
NORMAL_NUMERATOR = (0.398941986, 0.0351418508, 0.00476157364, 0.000182849361, 6.53030316e-06, 2.22142737e-08)
NORMAL_DENOMINATOR = (1.0, 0.254751152, 0.0293983792, 0.00196239482, 7.86052134e-05, 1.19531515e-06)
"""(normal(x) - 1/2) / x as a quotient of polynomials in x**2; minimax, error 2e-8."""


def rms_norm(x: Numbers, eps: float, out: Numbers) -> Numbers:
    """x [..., K, n] divided by the root mean square of its K features. `out` may be x."""
    np.multiply(x, _inverse_root(x, eps), out=out)
    return out


def layer_norm(x: Numbers, weight: Numbers, bias: Numbers, eps: float, out: Numbers) -> Numbers:
    """x [K, n] normalised over its K features, times weight [K, 1], plus bias [K, 1]. `out` may be x."""
    np.subtract(x, x.mean(axis=0), out=out)
    out *= _inverse_root(out, eps)
    out *= weight
    out += bias
    return out


def gelu(x: Numbers, bias: Numbers) -> None:
    """Replace x [K, n] by GELU(x + bias [K, 1]), the exact form: x times the normal distribution function of x."""

    def rows(some: slice) -> None:
        block = x[some]
        block += bias[some]
        _gelu_block(block)

    _in_blocks(rows, *x.shape)


def swiglu(gate_up: Numbers) -> Numbers:
    """Replace the first half of gate_up [2 K, n] by its SiLU times the second half, and return it."""
    gate, up = np.split(gate_up, 2)

    def rows(some: slice) -> None:
        block = gate[some]
        divisor = np.negative(block)
        with np.errstate(over="ignore"):  # SiLU is 0 where the exponential overflows float32
            np.exp(divisor, out=divisor)
        divisor += 1
        block /= divisor
        block *= up[some]

    _in_blocks(rows, *gate.shape)
    return gate


def attend(queries: Numbers, keys: Numbers, values: Numbers, scratch: Scratch, causal: bool) -> Numbers:
    """Attention of queries, which are scaled already: [H_kv, G, D, n].

    Args:
        queries: [H_kv, G, D, n]; G query heads share the same keys.
        keys: [H_kv, D, S].
        values: [H_kv, D, S].
        causal: the queries are the last n of the S positions, and do not see later ones.
    """
    n_kv_heads, n_group, D, n = queries.shape
    S = keys.shape[2]
    if n == 1:  # one row of scores per head: sums over a row are faster than sums over a few columns
        scores = np.matmul(queries.reshape(n_kv_heads, n_group, D), keys)
        scores -= scores.max(axis=2, keepdims=True)
        np.exp(scores, out=scores)
        seen: Numbers = np.matmul(scores, values.swapaxes(1, 2))
        seen /= scores.sum(axis=2, keepdims=True)
        return seen.reshape(queries.shape)
    columns = scratch.take("columns", n_kv_heads, D, n_group * n)
    columns.reshape(n_kv_heads, D, n_group, n)[:] = queries.swapaxes(1, 2)
    scores = np.matmul(keys.swapaxes(1, 2), columns, out=scratch.take("scores", n_kv_heads, S, n_group * n))
    if causal:
        later = np.tril(np.full((n, n), -np.inf, np.float32), k=-1)
        scores.reshape(n_kv_heads, S, n_group, n)[:, S - n :] += later[:, None]
    sums = np.empty((n_kv_heads, 1, n_group * n), np.float32)

    def heads(some: slice) -> None:
        mine = scores[some]
        mine -= mine.max(axis=1, keepdims=True)
        np.exp(mine, out=mine)
        mine.sum(axis=1, keepdims=True, out=sums[some])

    _in_blocks(heads, n_kv_heads, scores[0].size)
    np.matmul(values, scores, out=columns)
    columns /= sums
    seen = scratch.take("seen", *queries.shape)
    seen[:] = columns.reshape(n_kv_heads, D, n_group, n).swapaxes(1, 2)
    return seen


def attention_weights(queries: Numbers, keys: Numbers) -> Numbers:
    """The weights [H_kv * G, n, S] of causal attention, for queries and keys as in `attend`."""
    n, S = queries.shape[3], keys.shape[2]
    scores: Numbers = np.matmul(queries.swapaxes(2, 3), keys[:, None])
    scores += np.triu(np.full((n, S), -np.inf, np.float32), k=S - n + 1)
    scores -= scores.max(axis=3, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=3, keepdims=True)
    return scores.reshape(-1, n, S)


def _in_blocks(work: Callable[[slice], None], n: int, size: int) -> None:
    """Call `work` for slices of range(n), whose items stand for `size` numbers each; on several cores if worth it."""
    step = max(1, BLOCK // size)

    def stretch(first: int, last: int) -> None:
        for start in range(first, last, step):
            work(slice(start, min(start + step, last)))

    share_out(stretch, n, 1, FEWEST_SHARED // size + 1)


def _inverse_root(x: Numbers, eps: float) -> Numbers:
    """1 / root mean square over the K features of x [..., K, n]: [..., 1, n]."""
    scale: Numbers = np.einsum("...kn,...kn->...n", x, x)[..., None, :]
    scale *= np.float32(1 / x.shape[-2])
    scale += np.float32(eps)
    np.power(scale, np.float32(-0.5), out=scale)
    return scale


def _gelu_block(x: Numbers) -> None:
    """GELU in place, with the rational approximation of the normal distribution function."""
    near = np.clip(x, -NORMAL_LIMIT, NORMAL_LIMIT)
    square = np.square(near)
    share = _polynomial(square, NORMAL_NUMERATOR)
    share /= _polynomial(square, NORMAL_DENOMINATOR)
    share *= near
    share += 0.5
    x *= share


def _polynomial(x: Numbers, coefficients: Sequence[float]) -> Numbers:
    """Sum of coefficients[i] * x**i, by Horner's method."""
    total = x * np.float32(coefficients[-1])
    total += np.float32(coefficients[-2])
    for coefficient in reversed(coefficients[:-2]):
        total *= x
        total += np.float32(coefficient)
    return total
