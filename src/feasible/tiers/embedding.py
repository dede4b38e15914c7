"""Sentence embeddings from a small transformer, one text at a time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import onnxruntime as ort  # type: ignore[import-untyped]
from tokenizers import Encoding, Tokenizer

from feasible.errors import EngineMissing, ModelFileError
from feasible.tiers.base import Weights

__all__ = ["DIMENSIONS", "PRECISIONS", "SentenceEmbedder"]

Float32: TypeAlias = npt.NDArray[np.float32]

DIMENSIONS: Final = 384
PRECISIONS: Final = {"int8": "minilm", "fp16": "minilm-fp16", "fp32": "minilm-fp32"}
"""How the network computes -> name of the weights that do."""
_MEMORY_TEXTS: Final = 100_000  # 150 MB of embeddings


class _Session(Protocol):
    """The part of onnxruntime's session that is used."""

    def run(self, names: None, feed: dict[str, npt.NDArray[np.int64]]) -> list[Float32]: ...


class SentenceEmbedder:
    """all-MiniLM-L6-v2: mean over the tokens, brought to length 1.

    Integer products are scaled by the largest value of the whole batch, so that in a batch a text's
    embedding would depend on its neighbours (by up to 0.03 a coordinate, measured). Texts are
    therefore embedded one by one: what was certified in bulk is what is served singly. It costs a
    seventh of the speed (693 texts/s against 815 in batches of 32, one core).

    Args:
        weights: Gives the folder with `model.onnx` and `tokenizer.json`; asked at first use.
        threads: Threads of one call.
        max_tokens: Tokens that are read; the rest of a text is not.
        precision: One of `PRECISIONS`.
    """

    def __init__(
        self, weights: Weights | None, *, threads: int, max_tokens: int, precision: str = "int8"
    ) -> None:
        self.weights = weights
        self._named = PRECISIONS[precision]
        self._threads = threads
        self._max_tokens = max_tokens
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._sha256 = ""
        self._tokenizer: Tokenizer | None = None
        self._session: _Session | None = None
        self._memory: dict[str, Float32] = {}

    def open(self) -> str:
        """Make ready and give the hash of the weights in use.

        Raises:
            EngineMissing: Nobody said where the weights are, or they cannot be had.
            ModelFileError: They are not a model of this kind.
        """
        with self._lock:
            if self._session is None:
                self._load()
        return self._sha256

    def embed(self, texts: Sequence[str]) -> Float32:
        """Give the embeddings, shape (n_texts, 384), each of length 1. Nothing is looked up."""
        self.open()
        found = np.empty((len(texts), DIMENSIONS), np.float32)
        for row, text in enumerate(texts):
            found[row] = self._one(text)
        return found

    def embed_once(self, texts: Sequence[str]) -> Float32:
        """Give the embeddings and keep them, in memory and beside the weights, for the next fit.

        Only fitting looks them up: a latency that was measured on a look-up would be a lie.
        """
        self.open()
        keys = [hashlib.sha256(_utf8(text)).hexdigest() for text in texts]
        missing = {
            key: text for key, text in zip(keys, texts, strict=True) if key not in self._memory
        }
        if len(self._memory) + len(missing) > _MEMORY_TEXTS:
            self._memory.clear()
            missing = dict(zip(keys, texts, strict=True))
        if missing:
            self._memory.update(zip(missing, self._stored(missing), strict=True))
        return np.stack([self._memory[key] for key in keys])

    def _stored(self, texts: dict[str, str]) -> Float32:
        """Read the embeddings of these texts from disk, or make them and write them there."""
        assert self._folder is not None  # noqa: S101  it is open
        known = "\n".join([self._sha256, str(self._max_tokens), *texts])
        name = f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.npz"
        path = self._folder.with_name(f"{self._folder.name}-embeddings") / name
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                found = np.asarray(stored["embeddings"], np.float32)
            if found.shape == (len(texts), DIMENSIONS):
                return found
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            pass  # not there, or damaged: made again below
        found = self.embed(list(texts.values()))
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{threading.get_ident()}.new.npz")
        np.savez(fresh, allow_pickle=False, embeddings=found)
        fresh.replace(path)
        return found

    def _one(self, text: str) -> Float32:
        assert self._tokenizer is not None  # noqa: S101  it is open
        assert self._session is not None  # noqa: S101
        encoded: Encoding = self._tokenizer.encode(_utf8(text).decode())
        ids = np.asarray([encoded.ids], np.int64)
        feed = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        mean = self._session.run(None, feed)[0][0].mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)

    def _load(self) -> None:
        if self.weights is None:
            raise EngineMissing(
                "nobody said where the weights of MiniLM are",
                asked="a function from a name to a folder",
                attempt="MiniLMHead(weights=feasible.registry.weights)",
            )
        folder = self.weights(self._named)
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        try:
            content = (folder / "model.onnx").read_bytes()
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        # Both libraries raise bare exceptions of their own for a file they cannot use.
        except Exception as error:
            raise ModelFileError(
                f"the weights in {folder} cannot be used",
                asked="model.onnx and tokenizer.json of all-MiniLM-L6-v2",
                found=f"{type(error).__name__}: {error}"[:300],
                attempt="delete the folder; it will be fetched again",
            ) from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(self._max_tokens)
        self._tokenizer, self._folder = tokenizer, folder
        self._sha256 = hashlib.sha256(content).hexdigest()
        self._session = session


def _utf8(text: str) -> bytes:
    """Give the text as bytes; half a surrogate pair, which JSON can carry, becomes `?`."""
    return text.encode("utf-8", "replace")
