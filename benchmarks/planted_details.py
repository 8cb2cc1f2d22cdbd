"""Whether small details survive: planted into clean images, degraded, enhanced, looked up again.

    python benchmarks/planted_details.py --data SHARED/bench/clean [--weights model.pt]

`lowlight.evaluation.planting` says what is planted and how it is measured. Kept: at least 70 % of the true contrast.
Targets: >= 85 % of those visible in the observation are kept; at most 0.1 false ones per image at medium. False ones
are counted for several least contrasts: what is left of salt-and-pepper is faint, invented structure need not be.
"""

from __future__ import annotations

import zlib
from collections import defaultdict

import numpy as np
from collection import SEVERITIES, clean_images, enhance, enhancer, observation, options, print_table, shown
from rich.progress import track

from lowlight.evaluation.planting import (
    CONTRAST,
    KEPT,
    VISIBLE,
    Kind,
    contrast_to_noise,
    false_details,
    plant,
    recovered,
)

LEAST = (CONTRAST[0], 0.12, 0.24)
"""Contrasts from which on false details are counted; the first, the least that is planted, is the one of the target."""


def main() -> None:
    """Measure and print two tables."""
    parser = options(__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of what is planted")
    chosen = parser.parse_args()
    engine = enhancer(chosen.weights)
    shares: dict[tuple[str, str], list[float]] = defaultdict(list)
    planted: dict[tuple[str, str], int] = defaultdict(int)
    false: dict[tuple[str, str], list[list[int]]] = defaultdict(list)
    for clean in track(list(clean_images(chosen.data, chosen.limit)), "enhancing"):
        seed = zlib.crc32(f"{clean.name} {chosen.seed}".encode())
        planting = plant(clean.pixels, np.random.RandomState(seed))
        for severity in SEVERITIES:
            observed = observation(planting.image, clean.name, clean.modality, severity)
            output = shown(enhance(engine, observed))
            counts = [len(false_details(output, planting.image, least)) for least in LEAST]
            false[severity, clean.modality].append(counts)
            for detail in planting.details:
                planted[severity, detail.kind] += 1
                if contrast_to_noise(observed, detail) > VISIBLE:
                    shares[severity, detail.kind].append(recovered(output, detail))
    rows = []
    for severity in SEVERITIES:
        for kinds in (*([kind] for kind in Kind), list(Kind)):
            seen = np.array([share for kind in kinds for share in shares[severity, kind]])
            count = sum(planted[severity, kind] for kind in kinds)
            name = kinds[0].value if len(kinds) == 1 else "all"
            kept, median = (f"{np.mean(seen >= KEPT):.0%}", f"{np.median(seen):.2f}") if len(seen) else ("-", "-")
            rows.append([severity, name, str(count), str(len(seen)), kept, median])
    columns = ["severity", "detail", "planted", "visible", "kept of the visible", "median contrast kept"]
    print_table("Planted details", columns, rows)
    modalities = sorted({modality for _, modality in false})
    rows = []
    for severity in SEVERITIES:
        counts = [false[severity, modality] for modality in modalities]
        means = np.array([np.mean(group, axis=0) for group in [*counts, np.concatenate(counts)]])
        rows += [
            [severity, f"{least:.2f}", *(f"{mean:.2f}" for mean in column)]
            for least, column in zip(LEAST, means.T, strict=True)
        ]
    print_table("False details per image", ["severity", "of contrast", *modalities, "all"], rows)


if __name__ == "__main__":
    main()
