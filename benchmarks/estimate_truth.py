"""Estimate ten jobs, run them, and print the estimates against the truth.

Run as `python -m benchmarks.estimate_truth` on a machine that does nothing else. It starts a
service with one worker; each job is estimated before it runs, so that the later ones are estimated
by the history of the earlier ones.
"""

import ast
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.recording import recorded
from tests.support.domain import domain_documents
from tests.support.matrix_models import KINDS, Kind
from tests.support.matrix_tokenizers import tokenizer_pair
from tests.support.servers import valkey_server
from tests.support.serving import MODEL, serving
from tests.support.workers import worker_process
from worker.compression import save_model

FAST: dict[str, Any] = {"recovery": {"preset": "fast"}}
SHORT: dict[str, Any] = {"recovery": {"max_steps": 50}}
UNTRAINED: dict[str, Any] = {"recovery": {"objective": "none"}}
TINY = {"bert": "matrix/bert", "llama": "matrix/llama", "t5": "matrix/t5"}
JOBS: list[tuple[str, str, dict[str, Any]]] = [
    (MODEL, "domain", {"vocab_size": 0.05, **SHORT}),
    (MODEL, "prose", {"vocab_size": 0.25, **FAST}),
    (MODEL, "prose", {"vocab_size": [0.25, 0.1], **FAST}),
    (MODEL, "prose", {"vocab_size": 0.25, "recovery": {"preset": "fast", "keep_layers": 3}}),
    (MODEL, "prose", {"vocab_size": 0.25, "export": {"int8": True}, **SHORT}),
    (MODEL, "prose", {"vocab_size": 0.25}),
    (MODEL, "prose", {"vocab_size": 0.1, **UNTRAINED}),
    (TINY["bert"], "domain", {"vocab_size": 0.5, **SHORT}),
    (TINY["llama"], "domain", {"vocab_size": 0.9, **SHORT}),
    (TINY["t5"], "domain", {"vocab_size": 0.75, **UNTRAINED}),
]


COLUMNS = (
    *("bytes", "true bytes", "tokens a text", "true tokens"),
    *("minutes", "true minutes", "inside the intervals"),
)


def main() -> None:
    """Run the jobs one after the other and print a line for each."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder, "models")
        for kind in {kind.model_type: kind for kind in reversed(KINDS)}.values():
            if kind.model_type in TINY:
                _save_tiny(kind, models / TINY[kind.model_type])
        broker = valkey_server()
        with (
            serving(Path(folder), next(broker), models_dir=models, dispatch_seconds=1) as service,
            worker_process(service.settings),
        ):
            texts = {"domain": domain_documents(5000), "prose": _docstrings()}
            corpora = {
                name: service.corpus("\n".join(documents).encode())
                for name, documents in texts.items()
            }
            print(f"| job | {' | '.join(COLUMNS)} |")
            print(f"| --- {'| --- ' * len(COLUMNS)}|")
            for base_model, corpus, recipe in JOBS:
                shown = f"{base_model.rpartition('/')[2]}, {corpus}, {json.dumps(recipe)}"
                body = {
                    "base_model": base_model,
                    "corpus_id": corpora[corpus],
                    "recipe": recipe,
                }
                found = _compare(service.http, body)
                cells = (found.get(column, "") for column in COLUMNS)
                print(f"| {shown} | {' | '.join(cells)} |", flush=True)
        next(broker, None)


def _save_tiny(kind: Kind, folder: Path) -> None:
    base, _ = tokenizer_pair(kind.family)
    save_model(folder, kind.make(kind.classes[0], base), base)


def _docstrings() -> list[str]:
    """Return the docstrings of the standard library, a line each."""
    found = dict[str, None]()
    for file in sorted(Path(os.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and (
                text := ast.get_docstring(node)
            ):
                found[" ".join(text.split())] = None
    return list(found)


def _compare(http: httpx.Client, body: dict[str, Any]) -> dict[str, str]:
    """Return the cells of a job, which is run to its end, by their columns."""
    answer = http.post("/v1/estimate", json=body)
    if answer.status_code != 200:
        return {COLUMNS[-1]: f"refused: {answer.json()['code']}"}
    estimate = answer.json()
    job = http.post("/v1/jobs", json=body).json()
    path, began = f"/v1/jobs/{job['id']}", time.monotonic()
    while job["status"] not in {"succeeded", "failed", "cancelled"}:
        time.sleep(0.5)
        job = http.get(path).json()
    minutes = (time.monotonic() - began) / 60
    if job["status"] != "succeeded":
        warned = [warning["code"] for warning in estimate["warnings"]]
        return {COLUMNS[-1]: f"failed: {job['error']['code']}, warned: {', '.join(warned)}"}
    result, size = job["result"], estimate["sizes"][0]
    one = next(
        (s for s in estimate["sizes"] if s["vocab_size"] == result["vocab_size_after"]), size
    )
    tokens, after = one["tokens_per_text"], result["tokens_per_text_after"]
    outside = [
        name
        for name, found, true in (
            ("tokens", tokens, after),
            ("minutes", estimate["minutes"], minutes),
        )
        if not found["low"] <= true <= found["high"]
    ]
    cells = (
        *(f"{one['bytes']:,}", f"{result['bytes_after']:,}", _interval(tokens), f"{after:.1f}"),
        *(_interval(estimate["minutes"]), f"{minutes:.2f}"),
        f"not the {' and the '.join(outside)}" if outside else "yes",
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _interval(found: dict[str, float]) -> str:
    return f"{found['value']:.1f} ({found['low']:.1f}-{found['high']:.1f})"


if __name__ == "__main__":
    with recorded():
        main()
