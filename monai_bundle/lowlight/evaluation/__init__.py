"""How close enhanced images come to the truth: files paired by name, measured, summed up per group.

pairing = pair(collect(["clean"]), collect(["enhanced"]))
rows = [measure(one) for one in pairing.pairs]
for group in summarise(rows):
    psnr = group.measures["psnr"]
    print(group.name, group.count, psnr.mean, psnr.low, psnr.high, psnr.median)
"""

from __future__ import annotations

from lowlight.evaluation.meanings import MEANINGS, Meaning
from lowlight.evaluation.measuring import Measures, Row, compare, measure
from lowlight.evaluation.pairing import Grouping, Pair, Pairing, pair
from lowlight.evaluation.summary import ALL, Group, Statistic, interval_note, summarise
from lowlight.evaluation.tables import summary_path, write_csv, write_summary_csv

__all__ = [
    "ALL",
    "MEANINGS",
    "Group",
    "Grouping",
    "Meaning",
    "Measures",
    "Pair",
    "Pairing",
    "Row",
    "Statistic",
    "compare",
    "interval_note",
    "measure",
    "pair",
    "summarise",
    "summary_path",
    "write_csv",
    "write_summary_csv",
]
