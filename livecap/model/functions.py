"""GELU, SiLU and attention: MLX's own where they are fast, the same functions from products where not.

MLX's CPU build takes the exponential and the error function of one number at a time, tens of nanoseconds
each, while it multiplies and divides whole vectors at less than one. On that build these three functions were
most of the time. So there, in float32 and unless there are few numbers, they are made of products: exp by
range reduction and a polynomial, the normal distribution function by a quotient of polynomials. Both are
fitted to float32's own accuracy (tests compare), far from the tanh form of GELU, which is another function.
"""

import math
from collections.abc import Sequence

from livecap.model.backend import mx, on_cpu
from livecap.model.nn import gelu as exact_gelu

LOG2_E = math.log2(math.e)
EXP2_COEFFICIENTS = (
    1.0,
    0.693147206,
    0.240226469,
    0.0555032878,
    0.00961848896,
    0.00133999312,
    0.000153458104,
)
"""2**x on -0.5..0.5, minimax, error 2e-9."""
EXPONENT_LIMIT = 126.0
"""2**x is a normal float32 up to here, both ways; beyond, it stays at this value."""

FEWEST_NUMBERS = 10_000
"""With fewer, calling some twenty operations costs more than they save."""

NORMAL_LIMIT = 5.5
"""Beyond this the normal distribution function is 0 or 1 to float32."""
NORMAL_NUMERATOR = (0.398941986, 0.0351418508, 0.00476157364, 0.000182849361, 6.53030316e-06, 2.22142737e-08)
NORMAL_DENOMINATOR = (1.0, 0.254751152, 0.0293983792, 0.00196239482, 7.86052134e-05, 1.19531515e-06)
"""(normal(x) - 1/2) / x as a quotient of polynomials in x**2, minimax, error 2e-8."""


def gelu(x: mx.array) -> mx.array:
    """x times the standard normal distribution function of x: the exact form, with erf."""
    return gelu_from_products(x) if _from_products(x, x.size) else exact_gelu(x)


def silu(x: mx.array) -> mx.array:
    """x times the logistic function of x."""
    return x / (1.0 + exp_from_products(-x)) if _from_products(x, x.size) else x * mx.sigmoid(x)


def attention(queries: mx.array, keys: mx.array, values: mx.array, scale: float, causal: bool = False) -> mx.array:
    """softmax(queries keysᵀ scale) values, [B, H, L, D].

    Args:
        queries: [B, H, L, D].
        keys: [B, H_kv, S, D], where H is a multiple of H_kv.
        values: [B, H_kv, S, D].
        causal: the queries are the last L of the S positions, and see no later one.
    """
    B, H, L, _ = queries.shape
    if _from_products(queries, B * H * L * keys.shape[2]):
        return attention_from_products(queries, keys, values, scale, causal)
    mask = "causal" if causal and L > 1 else None
    return mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)


def gelu_from_products(x: mx.array) -> mx.array:
    """GELU by a rational approximation of the normal distribution function; float32."""
    near = mx.clip(x, -NORMAL_LIMIT, NORMAL_LIMIT)
    square = near * near
    slope = _polynomial(square, NORMAL_NUMERATOR) / _polynomial(square, NORMAL_DENOMINATOR)
    return x * (near * slope + 0.5)


def exp_from_products(x: mx.array) -> mx.array:
    """The exponential, relative error below 1e-6 near 0 and 5e-6 at the ends; constant beyond 87 and -87."""
    power = mx.clip(x * LOG2_E, -EXPONENT_LIMIT, EXPONENT_LIMIT)
    whole = mx.round(power)
    exponent_bits = (whole.astype(mx.int32) + 127) * (1 << 23)  # of a float32
    return _polynomial(power - whole, EXP2_COEFFICIENTS) * exponent_bits.view(mx.float32)


def attention_from_products(
    queries: mx.array, keys: mx.array, values: mx.array, scale: float, causal: bool
) -> mx.array:
    """`attention` with a softmax of cheap operations; float32."""
    B, H, L, D = queries.shape
    H_kv, S = keys.shape[1:3]
    # the queries of all heads that share keys, one below another: fewer and larger products
    grouped = (queries * scale).reshape(B, H_kv, H // H_kv * L, D)
    scores = grouped @ keys.swapaxes(2, 3)  # [B, H_kv, H / H_kv * L, S]
    if causal and L > 1:
        later = mx.triu(mx.full((L, S), -math.inf), k=S - L + 1)
        scores = (scores.reshape(B, H, L, S) + later).reshape(scores.shape)
    weights = exp_from_products(scores - scores.max(axis=-1, keepdims=True))
    out = (weights @ values) / weights.sum(axis=-1, keepdims=True)
    return out.reshape(B, H, L, D)


def _from_products(x: mx.array, n_numbers: int) -> bool:
    return on_cpu and x.dtype == mx.float32 and n_numbers >= FEWEST_NUMBERS


def _polynomial(x: mx.array, coefficients: Sequence[float]) -> mx.array:
    """Sum of coefficients[i] x**i, by Horner's rule."""
    total = x * coefficients[-1] + coefficients[-2]
    for coefficient in reversed(coefficients[:-2]):
        total = total * x + coefficient
    return total
