"""Model files by the hash of their content: what a plan certified is what is served, or nothing is.

`store` and `verify` keep fitted models; `weights` prepares the published weights that some tiers
need, once, and finds them again without a connection. This room never imports what it downloads,
never decides which model is used, and fetches nothing when it is imported.
"""

from feasible.registry.archives import ARCHIVES, Archive
from feasible.registry.model_store import Savable, folder_hash, store, verify
from feasible.registry.prepared import Progress, cache_folder, weights

__all__ = [
    "ARCHIVES",
    "Archive",
    "Progress",
    "Savable",
    "cache_folder",
    "folder_hash",
    "store",
    "verify",
    "weights",
]
