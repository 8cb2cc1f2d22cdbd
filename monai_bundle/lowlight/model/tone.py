"""The tone curve that undoes under-exposure, its inverse, and the blend with strengths.

One curve family serves every pixel, all channels alike. With log-gain g and log-gamma c it is T(y) = (y e^g)^(e^c),
which undoes y = gain * x^gamma exactly for g = -log(gain), c = -log(gamma). Three ranges make it safe:

- toe: from y = 0 to a knee y0 <= 1/128 it is the chord of the power, because the bare power has infinite slope at 0
  (NaN gradients; 1/255 lifted to a third of white). Below 0 the chord simply goes on.
- power: from the knee to the level that the gain brings to white (y e^g = 1).
- shoulder: above white a straight line of small slope, so that a white impulse in a dark image stays near white and
  values outside the window keep their order.

T is continuous and strictly increasing on the whole real line, T(0) = 0, and its inverse exists everywhere. Functions
accept NumPy arrays and torch tensors alike: the same few lines run in the network's training and in a blend that must
work without torch.
"""

from __future__ import annotations

import sys
from typing import Any

TOE = 1 / 128
"""Highest knee of the toe in units of the displayed range: the second grey level of an 8-bit image."""

SHOULDER_SLOPE = 0.2
"""Slope of the curve above white, per unit of y e^g."""


def _namespace(array: Any) -> Any:
    """The module (torch or numpy) whose exp, log, where and clip fit `array`."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        return torch
    import numpy

    return numpy


def _knee(xp: Any, log_gain: Any) -> Any:
    # Half of the white level at most: with extreme gains the toe must not swallow the whole power range.
    return xp.clip(0.5 * xp.exp(-log_gain), None, TOE)


def tone_curve(y: Any, log_gain: Any, log_gamma: Any) -> Any:
    """Brighten `y` by the safe tone curve.

    Args:
        y: floating array or tensor in display space, 0 black and 1 white; any real value. Broadcasts with the maps.
        log_gain: g, natural logarithm of the gain.
        log_gamma: c, natural logarithm of the exponent (negative brightens mid tones).

    Returns:
        T(y), same shape and dtype as the broadcast of the inputs; strictly increasing in y, T(0) = 0, not clipped.
    """
    xp = _namespace(y)
    gain, gamma = xp.exp(log_gain), xp.exp(log_gamma)
    knee = _knee(xp, log_gain)
    at_knee = xp.exp(gamma * (xp.log(knee) + log_gain))
    toe = y * (at_knee / knee)
    inside = xp.minimum(xp.maximum(y, knee), 1 / gain)
    power = xp.exp(gamma * (xp.log(inside) + log_gain))
    shoulder = 1 + SHOULDER_SLOPE * (y * gain - 1)
    return xp.where(y < knee, toe, xp.where(y * gain > 1, shoulder, power))


def inverse_tone_curve(t: Any, log_gain: Any, log_gamma: Any) -> Any:
    """The y with `tone_curve(y, log_gain, log_gamma) == t`, for every real `t`. Arguments as for `tone_curve`."""
    xp = _namespace(t)
    gain, gamma = xp.exp(log_gain), xp.exp(log_gamma)
    knee = _knee(xp, log_gain)
    at_knee = xp.exp(gamma * (xp.log(knee) + log_gain))
    toe = t * (knee / at_knee)
    inside = xp.clip(xp.maximum(t, at_knee), None, 1.0)
    power = xp.exp(xp.log(inside) / gamma - log_gain)
    shoulder = ((t - 1) / SHOULDER_SLOPE + 1) / gain
    return xp.where(t < at_knee, toe, xp.where(t > 1, shoulder, power))


def blend(y: Any, residual: Any, log_gain: Any, log_gamma: Any, brightness: float, denoise: float) -> Any:
    """The result for given strengths, from one network output: d = T^-1(T(y) + n r), result = T_b(d).

    Args:
        y: observation in display space, as given to the network.
        residual: r of the denoise path, in display space after the tone curve.
        log_gain, log_gamma: maps of the tone path.
        brightness: b in [0, 1.5]; T_b uses b g and b c. 0 keeps the exposure, 1 is the network's own guess.
        denoise: n in [0, 1]; 0 keeps noise and detail as they are.

    Returns:
        Array or tensor of the shape of `y`, not clipped. With b = n = 0 it is `y` itself.

    Raises:
        ValueError: a strength outside its range.
    """
    if not 0 <= brightness <= 1.5:
        raise ValueError(f"brightness must lie in [0, 1.5], got {brightness}")
    if not 0 <= denoise <= 1:
        raise ValueError(f"denoise must lie in [0, 1], got {denoise}")
    denoised = y
    if denoise > 0:
        toned = tone_curve(y, log_gain, log_gamma) + denoise * residual
        if brightness == 1:
            return toned
        denoised = inverse_tone_curve(toned, log_gain, log_gamma)
    if brightness == 0:
        return denoised
    return tone_curve(denoised, brightness * log_gain, brightness * log_gamma)
