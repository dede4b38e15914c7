"""Turn a stored ONNX graph into one that computes as asked; run as a program of its own.

The published file only stores its weights in 8 bits and computes in 32. Folding gives the 32-bit
graph. Quantising that per channel gives integer products: half of the time a text on a CPU.
Converting it to 16-bit floats halves its size; a CPU without 16-bit products casts them to 32 bits.

A process of its own keeps the quantiser's memory (about 400 MB) and its log settings out of the
caller's.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import onnx
import onnxruntime as ort  # type: ignore[import-untyped]
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    QuantType,
    quantize_dynamic,
)
from onnxruntime.transformers.float16 import (  # type: ignore[import-untyped]
    convert_float_to_float16,
)

__all__ = ["prepare"]


def prepare(source: Path, target: Path, precision: str) -> None:
    """Write one format of a graph.

    Args:
        source: An ONNX file whose weights can be folded to 32-bit floats.
        target: Where the format goes.
        precision: `int8`, `fp16` or `fp32`.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fold-") as scratch:
        folded = Path(scratch) / "folded.onnx"
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(folded)
        options.log_severity_level = 3  # it warns that a folded graph suits this machine only
        # Basic rewrites hold on every machine; the extended ones are chosen for this one's CPU.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        _STEPS[precision](folded, target)


def _as_int8(folded: Path, target: Path) -> None:
    quantize_dynamic(str(folded), str(target), per_channel=True, weight_type=QuantType.QInt8)


def _as_fp16(folded: Path, target: Path) -> None:
    """Convert weights and products; what goes in and comes out keeps its type."""
    onnx.save(convert_float_to_float16(onnx.load(folded), keep_io_types=True), target)


def _as_fp32(folded: Path, target: Path) -> None:
    folded.replace(target)


_STEPS: Final[dict[str, Callable[[Path, Path], None]]] = {
    "int8": _as_int8,
    "fp16": _as_fp16,
    "fp32": _as_fp32,
}

if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
