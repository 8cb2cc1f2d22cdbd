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


_ROWS = (
    # What, its title, the number that measures it, its factor, in short, and in words.
    ("exposure", _("Under-exposure"), "mean", 100, "{value:.0f} %", _("The mean is {value:.0f} % of white.")),
    ("noise", _("Noise"), "noise_sigma", 100, "{value:.1f} %", _("Its spread is {value:.1f} % of black to white.")),
    (
        "impulses",
        _("Salt and pepper"),
        "impulse_ratio",
        100,
        "{value:.2f} %",
        _("{value:.2f} % of the pixels are specks."),
    ),
    ("blur", _("Blur"), "blur_width", 1, _("{value:.1f} px"), _("Edges are blurred over {value:.1f} pixels.")),
    (
        "jpeg",
        _("JPEG damage"),
        "jpeg_quality",
        1,
        _("Q {value:.0f}"),
        _("It was compressed at about quality {value:.0f}."),
    ),
)


def rows(before, after):
    """Rows for the table: [(what, before, after)], the last two as (text, colour, explanation); None: not known."""
    return [(row[1], *(_cell(numbers, *row) for numbers in (before, after))) for row in _ROWS]


def _cell(numbers, name, title, number, factor, short, words):
    if numbers is None:
        return "–", _COLOURS["unknown"], ""
    severity = numbers.get("severities", {}).get(name, "unknown")
    text, colour = SEVERITIES.get(severity, severity), _COLOURS.get(severity, _COLOURS["unknown"])
    value = numbers.get(number)
    if value is None:
        reason = numbers.get("not_measurable", {}).get(number, "")
        return text, colour, f"{title}: {reason}" if reason else ""
    bound = "≥ " if number in numbers.get("lower_bounds", []) else ""
    # Of what is not there, the number would only puzzle; exposure is worth knowing always.
    if severity not in ("none", "unknown") or name == "exposure":
        text = f"{text} ({bound}{short.format(value=factor * value)})"
    return text, colour, f"{title}: {bound}{words.format(value=factor * value)}"
