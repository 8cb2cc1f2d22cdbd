"""Starts the worker with the paths given first: before Slicer's own packages, wherever Slicer's launcher has put those.

    python start_worker.py PATHS worker [options]

PATHS are joined as in PYTHONPATH. The processes that the worker starts inherit them.
"""

import os
import runpy
import sys

paths = sys.argv.pop(1).split(os.pathsep)
sys.path[:1] = paths
os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH", "")])])
runpy.run_module("lowlight", run_name="__main__", alter_sys=True)
