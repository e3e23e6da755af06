"""Student's t distribution, to about 13 digits, without a library.

With t = sqrt(n) sinh(s) for n degrees of freedom, the density of s is proportional to cosh(s)**-n.
Every probability is then a ratio of two such integrals, so no gamma function is needed and tails
keep their relative accuracy.
"""

from __future__ import annotations

import math
from functools import lru_cache

_STEP = 0.13
_NOTHING = 1e-20  # of a sum of about one
_ACCURATE = 1e-7  # Newton's method doubles the digits, so the step after this one is rounding


def _nodes() -> list[tuple[float, float]]:
    """Return points and weights of an integral from zero of a function that decays.

    Source: Takahasi and Mori, Double exponential formulas for numerical integration, 1974.
    """
    places = [_STEP * place for place in range(-26, 35)]
    return [
        (math.exp(u - math.exp(-u)), _STEP * math.exp(u - math.exp(-u)) * (1 + math.exp(-u)))
        for u in places
    ]


_NODES = _nodes()


def _log_cosh(s: float) -> float:
    if s > 1:
        return s + math.log1p(math.exp(-2 * s)) - math.log(2)
    return 0.5 * math.log1p(math.sinh(s) ** 2)


def _beyond(freedom: float, s: float) -> float:
    """Return the integral of cosh**-freedom from s on, divided by its integrand at s."""
    slope = math.tanh(s)
    scale = 1 / (freedom * slope + math.sqrt(freedom))
    half, power = scale / 2, -freedom
    sinh, sqrt, log1p, exp = math.sinh, math.sqrt, math.log1p, math.exp
    terms = []
    for x, weight in _NODES:
        # cosh(s + d) / cosh(s) = cosh(d) + tanh(s) sinh(d), less one, by the sinh of d / 2
        sh = sinh(half * x)
        more = 2 * sh * (sh + slope * sqrt(1 + sh * sh))
        term = weight * exp(power * log1p(more))
        if term < _NOTHING and x > 1:
            break
        terms.append(term)
    return scale * math.fsum(terms)


@lru_cache(maxsize=1024)
def _whole(freedom: float) -> float:
    return 2 * _beyond(freedom, 0.0)


def t_below(freedom: float, t: float) -> float:
    """Return the probability of a value below t.

    Args:
        freedom: Degrees of freedom, 1 or more, whole or not.
        t: Any number.
    """
    if math.isinf(t):
        return float(t > 0)
    s = math.asinh(abs(t) / math.sqrt(freedom))
    share = math.exp(-freedom * _log_cosh(s)) * _beyond(freedom, s) / _whole(freedom)
    return 1 - share if t > 0 else share


@lru_cache(maxsize=1024)
def t_quantile(freedom: float, share: float) -> float:
    """Return the value below which a share of the distribution lies.

    Args:
        freedom: Degrees of freedom, 1 or more, whole or not.
        share: Between 0 and 1, such as 0.975.
    """
    tail = min(share, 1 - share)
    # The logarithm of the tail is concave, so Newton's method converges from anywhere; it begins
    # where cosh(s)**-freedom, which the tail is roughly proportional to, has fallen as far.
    s, step = 2 * math.asinh(math.sqrt(math.expm1(-math.log(2 * tail) / freedom) / 2)), math.inf
    while tail < 0.5 and abs(step) > _ACCURATE * s:  # noqa: PLR2004 - the median is zero
        rest = _beyond(freedom, s)
        step = rest * (math.log(rest / _whole(freedom) / tail) - freedom * _log_cosh(s))
        s += step
    return math.copysign(math.sqrt(freedom) * math.sinh(s), share - 0.5)
