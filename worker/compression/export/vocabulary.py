"""vocabulary.jsonl: each token of the domain, its pieces, and how its embedding was made."""

import json
from collections.abc import Sequence
from pathlib import Path

from worker.compression.transfer.partitions import Partition


def write_vocabulary(folder: Path, partitions: Sequence[Partition]) -> Path:
    """Write a line a token, in the order of ids: id, token, source, pieces and base_ids."""
    path = folder / "vocabulary.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for partition in partitions:
            line = {
                "id": partition.id,
                "token": partition.token,
                "source": partition.source,
                "pieces": partition.pieces,
                "base_ids": partition.base_ids,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path
