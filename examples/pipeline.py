"""A step of a pipeline: a corpus in, a compressed model handed on, its figures out.

It is a plain function, so that it runs under any scheduler and in a test without one:

    Prefect:  compress_model = task(retries=2)(compress_and_push)
    Airflow:  PythonOperator(task_id="compress", python_callable=compress_and_push, op_kwargs=...)

A scheduler that runs a step again gets the same job: the idempotency key is of the run and what it
asks for.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

from fvt_client import Client


def compress_and_push(
    model: str, corpus: str, target: str, *, min_quality: float = 0.95, run_id: str = ""
) -> dict[str, Any]:
    """Compress `model` for the file `corpus` and hand the result on to `target`.

    Raises JobFailure where less than `min_quality` of the quality is left: the step fails.
    """
    recipe = {
        "vocab_size": 0.25,
        "export": {"int8": True},
        "gate": {"min_quality": min_quality},
    }
    content = hashlib.sha256(Path(corpus).read_bytes()).hexdigest()
    key = hashlib.sha256(f"{run_id} {model} {content} {recipe}".encode()).hexdigest()
    with Client() as client:
        job = client.compress(
            model, corpus, recipe=recipe, idempotency_key=key, metadata={"run": run_id}
        )
        job.wait()
        pushed = job.push(target)
    return {"job": job.id, "uri": pushed.uri, "version": pushed.version, "figures": job.result}


if __name__ == "__main__":
    sys.stdout.write(f"{compress_and_push(*sys.argv[1:])}\n")
