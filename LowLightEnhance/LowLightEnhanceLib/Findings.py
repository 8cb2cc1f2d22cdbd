"""Artifact numbers as rows for people: what was found, before and after."""

from slicer.i18n import tr as _

SEVERITIES = {
    "none": _("none"),
    "weak": _("weak"),
    "moderate": _("moderate"),
    "strong": _("strong"),
    "unknown": _("not measurable"),
}
_COLOURS = {"none": "#3d8b4f", "weak": "#8a7a1f", "moderate": "#c06a14", "strong": "#b5322b", "unknown": "#707070"}


def _percent(value):
    return _("{value:.1f} % of range").format(value=100 * value)


_ROWS = (
    ("exposure", _("Under-exposure"), "mean", lambda value: _("mean {value:.0f} % of white").format(value=100 * value)),
    ("noise", _("Noise"), "noise_sigma", _percent),
    ("impulses", _("Salt and pepper"), "impulse_ratio", lambda value: _("{value:.2f} % of pixels").format(value=100 * value)),
    ("blur", _("Blur"), "blur_width", lambda value: _("{value:.1f} pixels").format(value=value)),
    ("jpeg", _("JPEG damage"), "jpeg_quality", lambda value: _("quality {value:.0f}").format(value=value)),
)


def rows(before, after):
    """Rows for the table: [(what, before, after)], the last two as (text, colour); `after` None: nothing was changed."""
    found = []
    for name, title, number, words in _ROWS:
        found.append((title, *(_cell(numbers, name, number, words) for numbers in (before, after))))
    return found


def _cell(numbers, name, number, words):
    if numbers is None:
        return "–", _COLOURS["unknown"]
    severity = numbers.get("severities", {}).get(name, "unknown")
    value = numbers.get(number)
    text = SEVERITIES.get(severity, severity)
    # Of what is not there, the number would only puzzle; exposure is worth knowing always.
    if value is not None and (severity not in ("none", "unknown") or name == "exposure"):
        text = f"{text} ({words(value)})"
    return text, _COLOURS.get(severity, _COLOURS["unknown"])
