from __future__ import annotations

from pathlib import Path

import pytest

from feasible.errors import EngineMissing, ModelFileError
from feasible.tiers.embedding import SentenceEmbedder


def test_without_weights_it_says_how_to_hand_them_in() -> None:
    """Nothing is fetched behind the user's back."""
    with pytest.raises(EngineMissing, match=r"weights=feasible\.registry\.weights"):
        SentenceEmbedder(None, threads=1, max_tokens=64).embed(["hi"])


@pytest.mark.parametrize("files", [{}, {"model.onnx": "no model", "tokenizer.json": "{}"}])
def test_a_folder_with_something_else_in_it_is_refused(
    tmp_path: Path, files: dict[str, str]
) -> None:
    """The error names the folder and what to do."""
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    embedder = SentenceEmbedder(lambda _name: tmp_path, threads=1, max_tokens=64)
    with pytest.raises(ModelFileError, match=rf"(?s){tmp_path.name}.*delete the folder"):
        embedder.open()
