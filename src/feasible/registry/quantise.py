"""Turn a stored ONNX graph into one that computes in 8-bit integers; run as a program of its own.

The published file only stores its weights in 8 bits and computes in 32. Folding gives the 32-bit
graph, quantising it per channel gives integer products: 45-57 % less time a text on a CPU.

A process of its own keeps the quantiser's memory (about 400 MB) and its log settings out of the
caller's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import onnxruntime as ort  # type: ignore[import-untyped]
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    QuantType,
    quantize_dynamic,
)

__all__ = ["quantise"]


def quantise(source: Path, target: Path) -> None:
    """Write the integer form of a graph.

    Args:
        source: An ONNX file whose weights can be folded to 32-bit floats.
        target: Where the integer form goes.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fold-") as scratch:
        folded = Path(scratch) / "folded.onnx"
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(folded)
        options.log_severity_level = 3  # it warns that a folded graph suits this machine only
        # Basic rewrites hold on every machine; the extended ones are chosen for this one's CPU.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        quantize_dynamic(str(folded), str(target), per_channel=True, weight_type=QuantType.QInt8)


if __name__ == "__main__":
    quantise(Path(sys.argv[1]), Path(sys.argv[2]))
