"""The entries of the toys: a line each."""

from tests.toy_extension.table import TABLE
from tests.toy_extension.vector_length import VECTOR_LENGTH
from worker.compression.evaluation.metrics import register_metric
from worker.compression.runtimes import register_runtime

register_metric(VECTOR_LENGTH)
register_runtime(TABLE)
