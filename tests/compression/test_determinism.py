import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.compression import LoadedModel

COMPRESS = """
import json, sys
from pathlib import Path
from worker.compression import load_model, save_model, train_tokenizer, transfer_vocabulary
base, corpus = load_model(Path(sys.argv[1])), json.load(open(sys.argv[2]))
domain = train_tokenizer(base.tokenizer, lambda: corpus, 200)
model = transfer_vocabulary(base.model, base.tokenizer, domain, "pvt", 7).model
save_model(Path(sys.argv[3]), model, domain)
"""


@pytest.mark.slow
def test_processes_with_other_hash_seeds_write_the_same_bytes(
    minilm: LoadedModel, documents: list[str], tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus.json"
    corpus.write_text(json.dumps(documents))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COMPRESS, minilm.folder, corpus, tmp_path / seed],
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    assert [process.wait() for process in processes] == [0, 0]
    for name in ("tokenizer.json", "model.safetensors"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
