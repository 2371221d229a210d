"""What the signatures of the routes do not say, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel

from app.jobs.schemas import JobForm, JobRequest


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON schema, in one piece."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        if name := node.get("$ref", "").removeprefix("#/$defs/"):
            return inline(definitions[name])
        # A discriminator's mapping names the definitions that are gone now.
        return {key: inline(value) for key, value in node.items() if key != "discriminator"}

    return {name: inline(value) for name, value in schema.items()}


SUBMISSION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": inlined(JobRequest),
                "examples": {
                    "default": {
                        "summary": "A quarter of the vocabulary, everything else as it comes",
                        "value": {
                            "base_model": "sentence-transformers/all-MiniLM-L6-v2",
                            "corpus_id": "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r",
                            "recipe": {"vocab_size": 0.25},
                        },
                    },
                    "task": {
                        "summary": "Measured on labelled texts, which `records` corpora hold",
                        "value": {
                            "base_model": "sentence-transformers/all-MiniLM-L6-v2",
                            "corpus_id": "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r",
                            "recipe": {
                                "vocab_size": 0.25,
                                "evaluation": {
                                    "task": {
                                        "type": "sequence_classification",
                                        "train": "corpus_01kaf41c3w8m2n6p9r4t7v0x5y",
                                        "test": "corpus_01kaf42g7z1b5d8f2h6k9m3q0s",
                                    }
                                },
                                "gate": {"min_quality": 0.98, "metric": "macro_f1"},
                            },
                        },
                    },
                    "sweep": {
                        "summary": "Three sizes; the smallest that keeps 90 % of the quality",
                        "value": {
                            "base_model": "sentence-transformers/all-MiniLM-L6-v2",
                            "corpus_id": "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r",
                            "recipe": {
                                "vocab_size": [0.5, 0.25, 0.1],
                                "gate": {"min_quality": 0.9},
                            },
                        },
                    },
                },
            },
            "multipart/form-data": {"schema": inlined(JobForm)},
        },
    }
}

RETRY_AFTER: dict[str, Any] = {
    "description": "Seconds until it is worth to look again; only while the job is active",
    "schema": {"type": "integer"},
}
LOOK_AGAIN: dict[str, Any] = {"headers": {"Retry-After": RETRY_AFTER}}
SUBMITTED: dict[int | str, dict[str, Any]] = {
    202: {
        "headers": {
            "Location": {"description": "Path of the job", "schema": {"type": "string"}},
            "Retry-After": RETRY_AFTER,
            "Idempotent-Replayed": {
                "description": "`true` where this submission had made the job before",
                "schema": {"type": "string"},
            },
        }
    }
}
STREAM = """event: stage.started
data: {"object":"event","id":"event_417","type":"stage.started","data":{"stage":"tokenizer"}, …}
id: event_417

"""
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": STREAM}}},
    204: {"description": "Stream only: the job has ended and nothing follows this event"},
}
