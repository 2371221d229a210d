"""The entries of the toys: a line each."""

from tests.toy_extension.small_embeddings import SMALL_EMBEDDINGS
from tests.toy_extension.table import TABLE
from tests.toy_extension.vector_length import VECTOR_LENGTH
from worker.compression.evaluation.metrics import register_metric
from worker.compression.recovery.objectives import register_objective
from worker.compression.runtimes import register_runtime

register_objective(SMALL_EMBEDDINGS)
register_metric(VECTOR_LENGTH)
register_runtime(TABLE)
