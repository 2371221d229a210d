"""Run one model on texts and say how much memory that took: `python memory_probe.py KIND …`.

It imports what a program would that does nothing else, so it is run as a file, by itself: KIND is
`torch` with a model's folder, `onnx` or `openvino` with a file and the folder of its tokenizer, or
`static` with a file that its tokenizer lies beside; then a JSON list of texts.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

# Tokens of a text at most.
LONGEST = 128


def run_torch(folder: str, texts: list[str]) -> None:
    """Load a model with transformers and run it on the texts at once."""
    import torch  # noqa: PLC0415
    from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.convert_ids_to_tokens(0)
    model: Any = AutoModel.from_pretrained(folder, dtype=torch.float32)
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    batch = tokenizer(texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
    with torch.inference_mode():
        model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])


def read_inputs(folder: str, texts: list[str]) -> dict[str, Any]:
    """Return the inputs of a graph, by name, of the texts at once."""
    import numpy as np  # noqa: PLC0415
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.enable_padding()
    tokenizer.enable_truncation(LONGEST)
    encodings = tokenizer.encode_batch(texts)
    return {
        "input_ids": np.array([encoding.ids for encoding in encodings]),
        "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
        "token_type_ids": np.array([encoding.type_ids for encoding in encodings]),
    }


def run_onnx(file: str, folder: str, texts: list[str]) -> None:
    """Load a file with ONNX Runtime and run it on the texts at once."""
    import onnxruntime  # noqa: PLC0415

    inputs = read_inputs(folder, texts)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    session.run(None, {node.name: inputs[node.name] for node in session.get_inputs()})


def run_openvino(file: str, folder: str, texts: list[str]) -> None:
    """Load a file with OpenVINO and run it on the texts at once."""
    # Else it would tell a third party that it is used.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino  # noqa: PLC0415

    inputs = read_inputs(folder, texts)
    compiled = openvino.Core().compile_model(file, "CPU")
    compiled({node.any_name: inputs[node.any_name] for node in compiled.inputs})


def run_static(file: str, texts: list[str]) -> None:
    """Load token vectors and their tokenizer, and average the vectors of each text's tokens."""
    import numpy as np  # noqa: PLC0415
    from safetensors.numpy import load_file  # noqa: PLC0415
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_file(str(Path(file).with_name("tokenizer.json")))
    table = load_file(file)["embeddings"]
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    np.stack([table[encoding.ids or [0]].mean(axis=0) for encoding in encodings])


def peak() -> int:
    """Return the most resident bytes of this program.

    Linux counts those of the program that started it in `ru_maxrss`, and not in `VmHWM`.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(status.read_text("utf-8").partition("VmHWM:")[2].split()[0])
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    kind, *paths, file = sys.argv[1:]
    texts = json.loads(Path(file).read_text("utf-8"))
    if kind == "torch":
        run_torch(paths[0], texts)
    elif kind == "onnx":
        run_onnx(paths[0], paths[1], texts)
    elif kind == "openvino":
        run_openvino(paths[0], paths[1], texts)
    else:
        run_static(paths[0], texts)
    print(peak())


if __name__ == "__main__":
    main()
