"""The names of the toys: a line each, with what people read of them."""

from app.contract.names import (
    METRICS,
    OBJECTIVES,
    RUNTIMES,
    MetricName,
    ObjectiveName,
    RuntimeName,
    register,
)

register(OBJECTIVES, ObjectiveName("toy", "small embeddings", with_distill=True))
register(METRICS, MetricName("toy_vector_length", "Same lengths of vectors", "lengths"))
register(
    RUNTIMES,
    RuntimeName(
        "toy-table",
        "Toy table",
        ("toy/table.npy", "toy/table.json"),
        "float16",
        field="toy",
        is_quantized=True,
        description="Whether to write `toy/table.npy`, the embeddings alone.",
    ),
)
