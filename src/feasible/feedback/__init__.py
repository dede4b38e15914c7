"""What came back: labels that arrive late, and how every promise stands by what is known now.

This room joins labels to decisions and judges the objectives of a brief on them, with the
definitions and the bounds of the plan's certificate. It never serves, plans or writes to a ledger:
decisions and labels are handed to it or read from one, and it keeps no more of them than its
figures need.
"""

from feasible.feedback.following import Following
from feasible.feedback.headroom import HeadroomTracker
from feasible.feedback.labels_file import read_labels

__all__ = ["Following", "HeadroomTracker", "read_labels"]
