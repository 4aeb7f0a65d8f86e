"""Each sampler's recursion, written again from its paper in NumPy and not from the code under test.

A recursion takes the start ``x``, the denoiser ``D(x, index)``, the path ``a[index]``, ``s[index]`` from the
first level down to the data, and ``noise(index)``.
"""

from __future__ import annotations

import numpy as np


def posterior(x, x0, a_t, s_t, a_s, s_s):
    """Condition x_s ~ N(a_s x0, s_s²) on x_t ~ N(ratio x_s, s_t² - ratio² s_s²) by Bayes' rule."""
    ratio = a_t / a_s
    transition = s_t**2 - ratio**2 * s_s**2
    precision = 1 / s_s**2 + ratio**2 / transition
    return (a_s * x0 / s_s**2 + ratio * x / transition) / precision, 1 / precision, transition


def ancestral(x, D, a, s, noise, v=0.0):
    for t in range(len(a) - 2):
        mean, variance, transition = posterior(x, D(x, t), a[t], s[t], a[t + 1], s[t + 1])
        x = mean + np.sqrt(variance ** (1 - v) * transition**v) * noise(t)
    return D(x, len(a) - 2)


def ddim(x, D, a, s, noise, eta=0.0):
    """Song et al. 2021, eq. 12, in the "predicted x0", "direction pointing to x_t" and "noise" terms."""
    for t in range(len(a) - 1):
        x0 = D(x, t)
        epsilon = (x - a[t] * x0) / s[t]
        last = s[t + 1] == 0
        variance = 0 if last else eta**2 * posterior(x, x0, a[t], s[t], a[t + 1], s[t + 1])[1]
        x = a[t + 1] * x0 + np.sqrt(max(0, s[t + 1] ** 2 - variance)) * epsilon
        x = x if last or not eta else x + np.sqrt(variance) * noise(t)
    return x


def dpm_solver_pp(x, D, a, s, noise):
    """Lu et al. 2022b, algorithm 2, with its exponentials and step ratios; infinite log-SNR included."""
    with np.errstate(divide="ignore"):
        lam = np.log(a) - np.log(s)
    h = np.diff(lam)
    estimates = []
    for t in range(len(a) - 1):
        estimates.append(D(x, t))
        mixed = estimates[t]
        if 0 < t < len(a) - 2:
            r = h[t - 1] / h[t]
            mixed = (1 + 1 / (2 * r)) * estimates[t] - 1 / (2 * r) * estimates[t - 1]
        x = s[t + 1] / s[t] * x - a[t + 1] * np.expm1(-h[t]) * mixed
    return x


def heun(x, D, a, s, noise):
    """Trapezoidal rule for dx = D da + N ds, Euler's method onto the data."""
    for t in range(len(a) - 1):
        da, ds = a[t + 1] - a[t], s[t + 1] - s[t]
        x0 = D(x, t)
        epsilon = (x - a[t] * x0) / s[t]
        ahead = x + da * x0 + ds * epsilon
        if s[t + 1] > 0:
            x0_ahead = D(ahead, t + 1)
            epsilon_ahead = (ahead - a[t + 1] * x0_ahead) / s[t + 1]
            ahead = x + da * (x0 + x0_ahead) / 2 + ds * (epsilon + epsilon_ahead) / 2
        x = ahead
    return x


RECURSIONS = {
    "ancestral": ancestral,
    "ancestral-interpolated": lambda *arguments: ancestral(*arguments, v=0.3),
    "ddim": ddim,
    "dpm-solver++": dpm_solver_pp,
    "heun": heun,
}
