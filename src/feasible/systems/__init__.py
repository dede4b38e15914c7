"""Reference systems, one folder each: a brief, and where it runs, its data and tiers.

They are the product's proof and its tutorials. This room holds no logic that a user's own feature
could not have in its folder.
"""

from feasible.systems.datasets import DATA_DIR_VARIABLE, dataset_file, dataset_names
from feasible.systems.folders import system_folder, system_names
from feasible.systems.opening import open_feature
from feasible.systems.starter import write_starter

__all__ = [
    "DATA_DIR_VARIABLE",
    "dataset_file",
    "dataset_names",
    "open_feature",
    "system_folder",
    "system_names",
    "write_starter",
]
