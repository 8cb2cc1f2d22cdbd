"""Self-contained HTML pages about images: how damaged they are, and what enhancing them changed.

A page is one file that loads nothing and runs nothing; pictures travel inside it. Names of files are shown as text,
whatever they hold, and nothing else that a file says of its patient.
"""

from lowlight.reports.enhanced import EnhancedPage
from lowlight.reports.findings import FACTORS, findings, reassurance, state, verdict
from lowlight.reports.quantified import QuantifiedPage
from lowlight.reports.tables import flat, write_csv

__all__ = [
    "FACTORS",
    "EnhancedPage",
    "QuantifiedPage",
    "findings",
    "flat",
    "reassurance",
    "state",
    "verdict",
    "write_csv",
]
