"""Every timing of this folder, and one table of all of them: what `make bench` runs.

    python benchmarks/all.py [NAME ...]

NAME: a script without .py, to run that one alone. Seconds depend on the machine; ratios are to a reference that ran in
the same minutes. Ends with 1 where a script failed or missed a bound of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import ROWS_FILE, Row, table

FOLDER = Path(__file__).resolve().parent
SCRIPTS = (
    "enhance_time",
    "memory",
    "flicker",
    "degradation_time",
    "worker_time",
    "pacs_time",
    "label_time",
    "slicer_time",
    "cluster_time",
    "archive_ledger",
)


def main() -> int:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *SCRIPTS], metavar="NAME")
    names = parser.parse_args().names or SCRIPTS
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        file.touch()
        for name in names:
            print(f"== {name}", file=sys.stderr, flush=True)
            environment = {**os.environ, ROWS_FILE: str(file)}
            # What a script says besides is for who watches; the table is what this prints.
            script = [sys.executable, str(FOLDER / f"{name}.py")]
            if subprocess.run(script, env=environment, stdout=sys.stderr, check=False).returncode:
                failed.append(name)
        rows = [Row(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    print(table(rows))
    if failed:
        print(f"\nfailed, or missed a bound: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
