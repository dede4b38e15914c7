"""ADWIN on streams of errors: `python alarms.py STREAMS.npz`, one line of JSON.

`quiet` and `jump` have the shape (n_streams, n_steps), packed as bits. Gives for each stream the
step of its first alarm, -1 without one; for `jump` alarms before the step `at` do not count.
"""

import json
import sys

import numpy as np
from river import drift

data = np.load(sys.argv[1])
n, at = int(data["n_steps"]), int(data["at"])


def first_alarm(stream: list[int], start: int) -> int:
    """Give the step of the first alarm from a step on."""
    adwin = drift.ADWIN(delta=0.002)
    for step, value in enumerate(stream):
        adwin.update(value)
        if step >= start and adwin.drift_detected:
            return step
    return -1


streams = {name: np.unpackbits(data[name], axis=1) for name in ("quiet", "jump")}
quiet = [first_alarm(row[:n].tolist(), 0) for row in streams["quiet"]]
jump = [first_alarm(row.tolist(), at) for row in streams["jump"]]
print(json.dumps({"quiet": quiet, "jump": jump}))
