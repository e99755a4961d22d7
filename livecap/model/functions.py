"""GELU, SiLU and attention: MLX's own where they are fast, the same functions by NumPy where not.

MLX's CPU build takes the exponential and the error function of one number at a time, tens of nanoseconds each: on
that build these three functions were most of the time. So there, in float32 and unless there are few numbers, NumPy
makes them in blocks that stay in the cache, at one to six nanoseconds a number: its exponential takes whole vectors,
and the normal distribution function is a quotient of polynomials, fitted to float32's own accuracy (tests compare).
That is far from the tanh form of GELU, which is another function.
"""

from collections.abc import Callable, Sequence

import numpy as np

from livecap.model.backend import mx, on_cpu
from livecap.model.cores import share_out
from livecap.model.linear import Numbers
from livecap.model.nn import gelu as exact_gelu

BLOCK = 16_384
"""Numbers of one block: its few copies fit into the second-level cache."""
FEWEST_NUMBERS = 10_000
"""With fewer, leaving MLX costs more than it saves."""
FEWEST_SHARED = 16 * BLOCK
"""Numbers that are worth waking another core for."""

NORMAL_LIMIT = 5.5
"""Beyond this the normal distribution function is 0 or 1 to float32."""
NORMAL_NUMERATOR = (0.398941986, 0.0351418508, 0.00476157364, 0.000182849361, 6.53030316e-06, 2.22142737e-08)
NORMAL_DENOMINATOR = (1.0, 0.254751152, 0.0293983792, 0.00196239482, 7.86052134e-05, 1.19531515e-06)
"""(normal(x) - 1/2) / x as a quotient of polynomials in x**2, minimax, error 2e-8."""


def gelu(x: mx.array) -> mx.array:
    """x times the standard normal distribution function of x: the exact form, with erf."""
    return in_blocks(gelu_block, x) if _by_numpy(x, x.size) else exact_gelu(x)


def silu(x: mx.array) -> mx.array:
    """x times the logistic function of x."""
    return in_blocks(silu_block, x) if _by_numpy(x, x.size) else x * mx.sigmoid(x)


def attention(queries: mx.array, keys: mx.array, values: mx.array, scale: float, causal: bool = False) -> mx.array:
    """softmax(queries keysᵀ scale) values, [B, H, L, D].

    Args:
        queries: [B, H, L, D].
        keys: [B, H_kv, S, D], where H is a multiple of H_kv.
        values: [B, H_kv, S, D].
        causal: the queries are the last L of the S positions, and see no later one.
    """
    B, H, L, _ = queries.shape
    if _by_numpy(queries, B * H * L * keys.shape[2]):
        return attention_by_numpy(queries, keys, values, scale, causal)
    mask = "causal" if causal and L > 1 else None
    return mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)


def in_blocks(function: Callable[[Numbers, Numbers], None], x: mx.array) -> mx.array:
    """`function` of every number of a float32 array. It is given a block and where to write its values."""
    numbers = np.array(x, copy=False).reshape(-1)  # a door: waits for x
    out = np.empty_like(numbers)

    def fill(first: int, last: int) -> None:
        for start in range(first, last, BLOCK):
            stop = min(start + BLOCK, last)
            function(numbers[start:stop], out[start:stop])

    share_out(fill, numbers.size, BLOCK, FEWEST_SHARED)
    return mx.array(out).reshape(x.shape)


def gelu_block(x: Numbers, out: Numbers) -> None:
    """GELU by a rational approximation of the normal distribution function."""
    near = np.clip(x, -NORMAL_LIMIT, NORMAL_LIMIT)
    square = near * near
    np.divide(_polynomial(square, NORMAL_NUMERATOR), _polynomial(square, NORMAL_DENOMINATOR), out=out)
    out *= near
    out += 0.5
    out *= x


def silu_block(x: Numbers, out: Numbers) -> None:
    """x / (1 + exp(-x)); where the exponential is too large for float32, 0."""
    np.negative(x, out=out)
    with np.errstate(over="ignore"):
        np.exp(out, out=out)
    out += 1
    np.divide(x, out, out=out)


def attention_by_numpy(queries: mx.array, keys: mx.array, values: mx.array, scale: float, causal: bool) -> mx.array:
    """`attention` by NumPy alone, with its exponential; float32."""
    B, H, L, D = queries.shape
    H_kv, S = keys.shape[1:3]
    q, k, v = (np.array(x, copy=False) for x in (queries, keys, values))  # a door: waits for them
    # the queries of all heads that share keys, one below another: fewer and larger products
    scores = np.matmul((q * np.float32(scale)).reshape(B, H_kv, -1, D), k.swapaxes(2, 3))  # [B, H_kv, H / H_kv * L, S]
    if causal and L > 1:
        scores.reshape(B, H, L, S)[..., S - L :] += np.triu(np.full((L, L), -np.inf, np.float32), k=1)
    rows = scores.reshape(-1, S)
    sums = np.empty((len(rows), 1), np.float32)
    piece = max(1, BLOCK // S)

    def exponentials(first: int, last: int) -> None:
        for start in range(first, last, piece):
            block = rows[start : min(start + piece, last)]
            block -= block.max(axis=1, keepdims=True)
            np.exp(block, out=block)
            block.sum(axis=1, keepdims=True, out=sums[start : start + len(block)])

    share_out(exponentials, len(rows), piece, FEWEST_SHARED // S)
    out = np.matmul(scores, v)
    out /= sums.reshape(*scores.shape[:-1], 1)
    return mx.array(out.reshape(B, H, L, D))


def _by_numpy(x: mx.array, n_numbers: int) -> bool:
    return on_cpu and x.dtype == mx.float32 and n_numbers >= FEWEST_NUMBERS


def _polynomial(x: Numbers, coefficients: Sequence[float]) -> Numbers:
    """Sum of coefficients[i] x**i, by Horner's rule."""
    total = x * np.float32(coefficients[-1])
    total += np.float32(coefficients[-2])
    for coefficient in reversed(coefficients[:-2]):
        total *= x
        total += np.float32(coefficient)
    return total
