"""Store embedding tables in four bits, beside matrices in eight: more words for the same bytes.

A domain's rare words cost rows, and a row costs bits. In blocks of 32 numbers, each with a scale in
float16, a number takes 4.5 bits.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from worker.compression.models.loading import LoadedModel
from worker.compression.runtimes.comparison import beside
from worker.compression.runtimes.onnx import ONNX, OnnxEncoder, check_exportable
from worker.compression.runtimes.onnx_int8 import Table, TableFormat, check_quantized, quantize
from worker.compression.runtimes.runtime import Runtime, memory_probe

BLOCK = 32
_LARGEST = 7
# A scale that cuts the largest number of a block rounds the others better. Shares of the scale that
# cuts none, of which each block has the one with the least squared error.
_SHARES = np.arange(0.70, 1.01, 0.05, dtype=np.float32)
# Contributed operators of ONNX Runtime, those of transformers.js among them.
_DOMAIN, _VERSION = "com.microsoft", 1
_IR_VERSION = 10
"""The first that has INT4."""


def quantize_blocks(table: Table) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Return a table (rows, width) in whole numbers from -7 to 7, and the scale of each block.

    Scales are (rows, blocks); the last block of a row may be shorter than `BLOCK`.
    """
    rows, width = table.shape
    blocks = -(-width // BLOCK)
    padded = np.zeros((rows, blocks * BLOCK), dtype=np.float32)
    padded[:, :width] = table
    values = padded.reshape(rows, blocks, BLOCK)
    whole = np.abs(values).max(axis=2) / _LARGEST
    whole[whole == 0] = 1
    best, least = whole.astype(np.float16), np.full(whole.shape, np.inf, dtype=np.float32)
    for share in _SHARES:
        scales = (share * whole).astype(np.float16)
        scales[scales == 0] = np.finfo(np.float16).smallest_subnormal
        error = np.square(_round(values, scales) * scales[..., None] - values).sum(axis=2)
        best, least = np.where(error < least, scales, best), np.minimum(error, least)
    numbers = _round(values, best).reshape(rows, -1)[:, :width]
    return numbers.astype(np.int8), best


def _round(values: Table, scales: NDArray[np.float16]) -> Table:
    steps = values / scales[..., None].astype(np.float32)
    return np.clip(np.round(steps), -_LARGEST, _LARGEST)


def _store(name: str, table: Table) -> Iterator[TensorProto]:
    numbers, scales = quantize_blocks(table)
    # Two numbers a byte, the first in the lower half.
    flat = numbers.reshape(-1).astype(np.uint8) & 0xF
    flat = np.append(flat, np.zeros(flat.size % 2, dtype=np.uint8))
    packed = (flat[::2] | (flat[1::2] << 4)).tobytes()
    yield helper.make_tensor(f"{name}_int4", TensorProto.INT4, table.shape, packed, raw=True)
    yield numpy_helper.from_array(scales, f"{name}_scales")


def _look_up(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    table, ids, output = node.input[0], node.input[1], node.output[0]
    gather = helper.make_node(
        "GatherBlockQuantized",
        [f"{table}_int4", ids, f"{table}_scales"],
        [f"{output}_half"],
        domain=_DOMAIN,
        block_size=BLOCK,
        gather_axis=0,
        quantize_axis=1,
    )
    return [gather, helper.make_node("Cast", [f"{output}_half"], [output], to=TensorProto.FLOAT)]


INT4_BLOCKS = TableFormat(_store, _look_up, _IR_VERSION, (_DOMAIN, _VERSION))


def _write(_: LoadedModel, file: Path) -> None:
    """Quantize the ONNX file that lies beside."""
    quantize(beside(file, ONNX.row), file, INT4_BLOCKS)


def _check(loaded: LoadedModel, file: Path) -> None:
    check_quantized(ONNX_INT4.row, loaded, file)


ONNX_INT4 = Runtime(
    "onnx-int4",
    encoder=OnnxEncoder,
    write=_write,
    check=_check,
    check_model=check_exportable,
    probe=lambda file, folder: memory_probe("onnx", file, folder),
)
