"""What lies between the products, feature-major and in place: norms, GELU, SwiGLU, softmax.

They go in blocks that stay in the cache and are shared out among the cores, at one to six nanoseconds a number: NumPy's
exponential takes whole vectors, and the normal distribution function is a quotient of polynomials, fitted to float32's
own accuracy (tests compare). That is far from the tanh form of GELU, which is another function.
"""

from collections.abc import Sequence

import numpy as np

from livecap.model.cpu.cores import share_out
from livecap.model.cpu.products import Numbers

BLOCK = 16_384
"""Numbers of one block: its few copies fit into the second-level cache."""
FEWEST_SHARED = 4 * BLOCK
"""Numbers that are worth waking another core for."""

NORMAL_LIMIT = 5.5
"""Beyond this the normal distribution function is 0 or 1 to float32."""
NORMAL_NUMERATOR = (0.398941986, 0.0351418508, 0.00476157364, 0.000182849361, 6.53030316e-06, 2.22142737e-08)
NORMAL_DENOMINATOR = (1.0, 0.254751152, 0.0293983792, 0.00196239482, 7.86052134e-05, 1.19531515e-06)
"""(normal(x) - 1/2) / x as a quotient of polynomials in x**2, minimax, error 2e-8."""


def rms_norm(x: Numbers, weight: Numbers, eps: float, out: Numbers) -> Numbers:
    """x [..., K, n] by the root of the mean square of its K features, times weight [K, 1]; out may be x."""
    scale = np.einsum("...kn,...kn->...n", x, x)
    scale /= np.float32(x.shape[-2])
    scale += np.float32(eps)
    np.sqrt(scale, out=scale)
    np.reciprocal(scale, out=scale)
    np.multiply(x, scale[..., None, :], out=out)
    out *= weight
    return out


def layer_norm(x: Numbers, weight: Numbers, bias: Numbers, eps: float, out: Numbers) -> Numbers:
    """x [K, n] less the mean of its K features, by their standard deviation, times weight [K, 1], plus bias [K, 1]."""
    np.subtract(x, x.mean(axis=0), out=out)
    scale = np.einsum("kn,kn->n", out, out)
    scale /= np.float32(len(x))
    scale += np.float32(eps)
    np.sqrt(scale, out=scale)
    np.reciprocal(scale, out=scale)
    out *= scale
    out *= weight
    out += bias
    return out


def gelu(x: Numbers, bias: Numbers) -> None:
    """x [K, n] becomes GELU of x + bias [K, 1]: x times the normal distribution function of x, the exact form."""

    def rows(first: int, last: int) -> None:
        step = max(1, BLOCK // x.shape[1])
        for start in range(first, last, step):
            block = x[start : min(start + step, last)]
            block += bias[start : start + len(block)]
            _gelu_block(block)

    share_out(rows, len(x), 1, FEWEST_SHARED // x.shape[1] + 1)


def swiglu(gate_up: Numbers) -> Numbers:
    """The first half of gate_up [2 K, n] becomes its SiLU times the second half; returns that half."""
    gate, up = np.split(gate_up, 2)

    def rows(first: int, last: int) -> None:
        step = max(1, BLOCK // gate.shape[1])
        with np.errstate(over="ignore"):  # where the exponential is too large for float32, SiLU is 0
            for start in range(first, last, step):
                block = gate[start : min(start + step, last)]
                divisor = np.exp(-block)
                divisor += 1
                block /= divisor
                block *= up[start : start + len(block)]

    share_out(rows, len(gate), 1, FEWEST_SHARED // gate.shape[1] + 1)
    return gate


def attend(scores: Numbers, values: Numbers, out: Numbers, causal: bool) -> None:
    """Softmax of scores over positions, and what it sees of the values.

    Args:
        scores: [H_kv, G, S, n] for each query head how near its n queries are to the S keys; is overwritten.
        values: [H_kv, D, S].
        out: [H_kv, G, D, n].
        causal: the queries are the last n of the S positions, and see no later one.
    """
    n_kv_heads, n_group, S, n = scores.shape
    later = np.tril(np.full((n, n), -np.inf, np.float32), k=-1) if causal and n > 1 else None
    sums = np.empty((n_kv_heads, n_group, 1, n), np.float32)

    def heads(first: int, last: int) -> None:
        for head in range(first, last):
            place = divmod(head, n_group)
            mine = scores[place]
            if later is not None:
                mine[S - n :] += later
            mine -= mine.max(axis=0)
            np.exp(mine, out=mine)
            mine.sum(axis=0, keepdims=True, out=sums[place])

    share_out(heads, n_kv_heads * n_group, 1, FEWEST_SHARED // (S * n) + 1)
    np.matmul(values[:, None], scores, out=out)
    out /= sums


def _gelu_block(x: Numbers) -> None:
    """GELU in place, by a rational approximation of the normal distribution function."""
    near = np.clip(x, -NORMAL_LIMIT, NORMAL_LIMIT)
    square = near * near
    share = _polynomial(square, NORMAL_NUMERATOR)
    share /= _polynomial(square, NORMAL_DENOMINATOR)
    share *= near
    share += 0.5
    x *= share


def _polynomial(x: Numbers, coefficients: Sequence[float]) -> Numbers:
    """Sum of coefficients[i] x**i, by Horner's rule."""
    total = x * np.float32(coefficients[-1])
    total += np.float32(coefficients[-2])
    for coefficient in reversed(coefficients[:-2]):
        total *= x
        total += np.float32(coefficient)
    return total
