"""What each measure is called, means, and how its numbers are written: the same words in tables, CSV and pages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """One measure for a reader.

    Attributes:
        title: in words.
        text: what it is, and which way is better.
        digits: after the decimal point.
        unit: of the number; empty where it has none.
        ideal: what a perfect result has; None where more is better without end.
    """

    title: str
    text: str
    digits: int
    unit: str = ""
    ideal: float | None = None

    def written(self, value: float | None) -> str:
        """A value for a table; "-" where there is none."""
        return "-" if value is None else f"{value:.{self.digits}f}"


MEANINGS: dict[str, Meaning] = {
    "psnr": Meaning(
        "PSNR", "peak signal-to-noise ratio in dB, higher is closer; 100 for identical images", 2, unit="dB"
    ),
    "ssim": Meaning("SSIM", "structural similarity, 1 for identical images", 4, ideal=1.0),
    "ms_ssim": Meaning(
        "MS-SSIM",
        "structural similarity over five scales, 1 for identical images; - if a side is below 176 px, where they do "
        "not fit",
        4,
        ideal=1.0,
    ),
    "contrast": Meaning(
        "Contrast fidelity",
        "local contrast over that of CLEAN: 1 restored, below 1 flat, above 1 exaggerated; - if flat",
        3,
        ideal=1.0,
    ),
    "contrast_improvement": Meaning(
        "Contrast improvement index", "local contrast over that of DARK: above 1 is a gain; - if DARK is flat", 2
    ),
    "colour_difference": Meaning(
        "CIEDE2000",
        "mean CIEDE2000, lower is closer; about 1 can just be seen; - for grey images",
        2,
        ideal=0.0,
    ),
    "lightness_order_error": Meaning(
        "Lightness-order error",
        "share of pixel pairs whose order of lightness is not that of CLEAN, lower is closer",
        4,
        ideal=0.0,
    ),
    "detail_fidelity": Meaning(
        "Detail fidelity",
        "correlation of fine detail (1.5 to 12 px) with that of CLEAN after a brightness fit: 1 all kept and nothing "
        "else, 0 unrelated; - if CLEAN has none",
        3,
        ideal=1.0,
    ),
    "spurious_detail": Meaning(
        "Spurious detail",
        "energy of fine detail that CLEAN does not explain, left-over noise too, over that of CLEAN's own: 0 none; to "
        "be read with detail_fidelity (a flat picture has 0 of both); a single false spot hardly shows",
        3,
        ideal=0.0,
    ),
}
"""In the order in which they are shown."""
