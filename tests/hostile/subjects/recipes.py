"""Recipes and other fields of a submission that cannot be."""

from typing import Any

from tests.hostile.case import Case, Works, refused, submission

BAD: dict[str, list[Any]] = {
    "vocab_size": [
        0,
        -1,
        1.5,
        "0.25",
        True,
        [],
        {},
        [0.5, 0.5],
        [0.5, None],
        -0.5,
        2.5,
        [n / 20 for n in range(1, 18)],
        [[0.5]],
        "",
        ["0.5"],
        [True],
        -1e308,
    ],
    "seed": [-1, 2**32, 1.5, "1", True, [1], 10**30],
    "nothing": [1, None],
    "vocab-size": [0.5],
    "__class__": [{}],
    "tokenizer": [1, "usage", [], {"nothing": 1}],
    "tokenizer.selection": ["best", 1, True, ["usage"], "USAGE", ""],
    "tokenizer.multiword": [-1, 100_001, 1.5, "1", True, 10**30],
    "tokenizer.keep_tokens": [
        "a",
        [""],
        [1],
        [["a"]],
        ["a" * 201],
        ["a\0b"],
        {"a": 1},
        ["a"] * 10_001,
    ],
    "transfer": [1, []],
    "transfer.method": ["mean", 1, True, [], "FVT"],
    "recovery": ["none", 1, []],
    "recovery.preset": ["slow", 1],
    "recovery.objective": ["mlm+clm+mlm", "", 1, True, "auto+mlm", "__import__", "a" * 5000],
    "recovery.epochs": [0, -1, 10_001, "1", True, 1e308],
    "recovery.max_steps": [0, 1.5, 1_000_001, "1", True],
    "recovery.batch_size": [0, 4097, 1.5, -1, "8"],
    "recovery.learning_rate": [0, -1, 1.1, "1e-4", True],
    "recovery.max_length": [7, 8193, "8"],
    "recovery.keep_layers": [0, 1001, 1.5, "1"],
    "recovery.max_minutes": [0, 10_001, -5, "5"],
    "recovery.embedding_steps": [-1, 1_000_001, "1"],
    "recovery.general_share": [-0.1, 0.91, 1, "0.2", True],
    "recovery.general_corpus_id": [5, [], "", "a\0b"],
    "recovery.queries_corpus_id": [5, [], "", "a\0b"],
    "recovery.pseudo_queries": ["much", 2, [], {}],
    "evaluation.holdout_fraction": [0, 0.6, -0.1, "0.1", True],
    "evaluation.latency": [1, "true", [], 0],
    "evaluation.memory": ["no", 2],
    "evaluation.task": [
        {},
        [],
        "retrieval",
        {"type": "nothing"},
        {"type": 1},
        {"type": None},
        {"type": "retrieval"},
        {"type": "sentence_pairs", "pairs": 5},
    ],
    "export.onnx": ["yes", 1],
    "export.nothing": [True],
    "gate.min_quality": [0, 1.1, -1, "0.9", True],
    "gate.metric": ["nothing", 1, "__dict__", "accuracy "],
    "gate.max_bytes": [0, -1, 1.5, "1"],
    "target": [{}, [], 5, {"nothing": 1}, {"max_bytes": 10**7, "batch_size": 0}],
    "target.max_bytes": [0, -1, 1.5, "5MB", 10**30],
    "target.max_ms": [0, -1, "1", [], {}],
    "target.min_quality": [0, 1.1, -1, "0.9"],
}
TOO_MUCH: list[tuple[str, Any, str]] = [
    ("vocab_size", 10**30, "vocab_size_above_base"),
    ("vocab_size", 32, "vocab_size_above_base"),
    ("vocab_size", [0.5, 1000], "vocab_size_above_base"),
    ("vocab_size", 1e300, "vocab_size_above_base"),
    ("gate", {"metric": "accuracy", "min_quality": 0.9}, "gate_metric_not_measured"),
    ("target", {"max_bytes": 1000}, "target_out_of_reach"),
    ("recovery.max_minutes", 61, "recovery_too_long"),
    ("recovery.objective", "clm", "recovery_unsupported"),
    ("recovery.objective", "mlm", "recovery_unsupported"),
    ("recovery.objective", "denoise", "recovery_unsupported"),
    ("recovery.keep_layers", 3, "keep_layers_above_base"),
    ("recovery.keep_layers", 1000, "keep_layers_above_base"),
]
WORKS: list[tuple[str, Any]] = [
    *(("vocab_size", size) for size in (2, 31, 1, 1.0, 1e-300, [1, 0.5], 5e-324)),
    ("tokenizer.keep_tokens", ["'; DROP TABLE jobs; --", "\u202e", "\U0001f600", "\ue000"]),
    ("seed", 2**32 - 1),
    ("recovery", {}),
    ("export", {}),
    ("evaluation.task", None),
]


def nested(path: str, value: Any) -> dict[str, Any]:
    """Put a value at a place of a recipe."""
    *parts, last = path.split(".")
    recipe: dict[str, Any] = {last: value}
    for part in reversed(parts):
        recipe = {part: recipe}
    return recipe


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) < 40 else f"{shown[:30]}… ({len(shown)})"


FIELDS: dict[str, list[Any]] = {
    "name": ["", "a" * 201, "a\nb", "a\0b", 5, [], {"a": 1}, "\x7f"],
    "metadata": [
        [],
        "a",
        {"": "a"},
        {"a" * 65: "a"},
        {"a": "b" * 513},
        {"a": 1},
        {"a": None},
        {"a": "b\0"},
        {"a\0": "b"},
        {"a\n": "b"},
        {f"k{n}": "v" for n in range(17)},
        {"a": {"b": "c"}},
    ],
    "revision": ["", "a" * 201, "a\0", 1, ["main"]],
    "corpus_id": ["", 5, ["a"], "a\0b", "a" * 201, ..., {"id": "x"}],
    "webhook": ["http://169.254.169.254/latest/meta-data/", {"url": "file:///etc/passwd"}],
    "nothing": [1],
    "status": ["succeeded"],
    "id": ["job_01kaf3xg6zq0w8m2v7c5rjt4he"],
}
CASES: list[Case] = [
    *(
        submission(
            f"{path} = {_shown(value)}", refused("invalid_recipe"), recipe=nested(path, value)
        )
        for path, values in BAD.items()
        for value in values
    ),
    *(
        submission(f"{path} = {_shown(value)}", refused(code), recipe=nested(path, value))
        for path, value, code in TOO_MUCH
    ),
    *(
        submission(f"{path} = {_shown(value)}", Works(202), recipe=nested(path, value))
        for path, value in WORKS
    ),
    *(
        submission(f"recipe = {_shown(value)}", refused("invalid_recipe"), recipe=value)
        for value in ("fvt", 1, [], True, [{"vocab_size": 0.5}])
    ),
    *(
        submission(f"field {name} = {_shown(value)}", refused("invalid_request"), **{name: value})
        for name, values in FIELDS.items()
        for value in values
    ),
    submission("no recipe", Works(202), recipe=None),
    submission("a name of signs", Works(202, {"name": "'\"><\u202e%s"}), name="'\"><\u202e%s"),
    submission("16 labels", Works(202), metadata={f"k{n}": "v" * 512 for n in range(16)}),
    submission("a label of lines", Works(202), metadata={"a": "b\nc\x1b"}),
    submission("a webhook of nothing", Works(202), webhook=None),
    submission(
        "a corpus that is not there", refused("corpus_not_found"), corpus_id="corpus_" + "0" * 26
    ),
    submission("SQL as a corpus", refused("corpus_not_found"), corpus_id="' OR 1=1; --"),
]
