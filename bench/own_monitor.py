"""Our estimates and drift over a table: `python -m bench.own_monitor REFERENCE.npy CURRENT.npy`.

Prints JSON, as the peers' scripts do; a process of its own, so that its memory can be told.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from bench.peers.monitors.meter import measured

from feasible.feedback.plug_in import PlugIn
from feasible.feedback.shift import Reference

_CHUNK = 10_000


def main(reference_file: str, current_file: str) -> None:
    """Measure both parts."""
    reference, current = np.load(reference_file), np.load(current_file)
    names = tuple(f"x{i}" for i in range(reference.shape[1] - 2))
    before = Reference(reference[:, :-2], names)
    plug_in = PlugIn(reference[:, -2], reference[:, -1] > 0, act_at=0.5)
    estimate_s, one, _ = measured(lambda: plug_in.figures(current[:, -2], chunk=_CHUNK))
    drift_s, two, _ = measured(lambda: before.distances(current[:, :-2], chunk=_CHUNK))
    print(json.dumps({"seconds": [estimate_s, drift_s], "mib": one + two}))


if __name__ == "__main__":
    main(*sys.argv[1:])
