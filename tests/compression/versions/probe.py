"""Load models with whatever transformers runs this, and write down what they compute.

``python probe.py REQUESTS ANSWERS``: REQUESTS is a JSON object of folders to make with this very
transformers (``make``) and folders to load (``load``). It reads nothing of the project, so that an
environment without it can run it.
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoTokenizer

TEXTS = [
    "methotrexate and ibuprofen",
    'Unhepatotoxicitys  "seizures", <mask> <extra_id_0> evening',
    "<s>lithium</s> travel 12,5 [x]",
]
NEW_TOKENS = 4


def make(folder: str, spec: dict[str, Any]) -> None:
    """Save a tiny model with random weights, and its tokenizer, as this transformers does."""
    torch.manual_seed(0)
    config = getattr(transformers, spec["config"])(**spec["settings"])
    model = getattr(transformers, spec["model"])(config)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter)
    model.to(getattr(torch, spec.get("dtype", "float32"))).save_pretrained(folder)
    tokenizer_class = getattr(transformers, spec["tokenizer_class"])
    tokenizer = tokenizer_class(tokenizer_file=spec["tokenizer_file"], **spec["tokenizer"])
    tokenizer.save_pretrained(folder)


def load(folder: str) -> dict[str, Any]:
    """Return what the tokenizer and the model of a folder make of the texts."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = AutoConfig.from_pretrained(folder)
    model_class = getattr(transformers, config.architectures[0])
    model, info = model_class.from_pretrained(
        folder, output_loading_info=True, torch_dtype=torch.float32
    )
    model.eval()
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=24, return_tensors="pt")
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    kwargs = dict(inputs)
    if config.is_encoder_decoder:
        kwargs["decoder_input_ids"] = inputs["input_ids"]
    with torch.inference_mode():
        output = model(**kwargs)
    numbers = output["logits" if "logits" in output else 0]
    if numbers.shape[:2] == inputs["attention_mask"].shape:
        numbers = numbers[inputs["attention_mask"].bool()]
    answer = {
        "missing": sorted(info["missing_keys"]),
        "unexpected": sorted(info["unexpected_keys"]),
        "texts": [tokenizer(text)["input_ids"] for text in TEXTS],
        "pair": tokenizer(TEXTS[0], TEXTS[1])["input_ids"],
        "batch": inputs["input_ids"].tolist(),
        "mask": inputs["attention_mask"].tolist(),
        "decoded": [tokenizer.decode(tokenizer(text)["input_ids"]) for text in TEXTS],
        "plain": [
            tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True)
            for text in TEXTS
        ],
        "special": sorted(set(tokenizer.all_special_ids)),
        "roles": {
            role: getattr(tokenizer, f"{role}_token_id")
            for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
        },
        "sides": [tokenizer.padding_side, tokenizer.truncation_side],
        "longest": min(tokenizer.model_max_length, 10**9),
        "size": len(tokenizer),
        "output": numbers.flatten().tolist(),
    }
    if tokenizer.chat_template:
        said = [{"role": "user", "content": "lithium"}]
        answer["chat"] = tokenizer.apply_chat_template(said, tokenize=False)
    if model.can_generate() and model.get_output_embeddings() is not None:
        alone = {name: tensor[:1, :6] for name, tensor in inputs.items()}
        produced = model.generate(**alone, max_new_tokens=NEW_TOKENS, do_sample=False)
        answer["generated"] = produced.tolist()
    return answer


def main() -> None:
    """Answer the requests; a folder that does not load is answered with the error."""
    requests, answers = (Path(argument) for argument in sys.argv[1:])
    asked = json.loads(requests.read_text("utf-8"))
    for folder, spec in asked.get("make", {}).items():
        make(folder, spec)
    said: dict[str, Any] = {"version": transformers.__version__}
    for folder in asked.get("load", []):
        try:
            said[folder] = load(folder)
        except Exception:
            said[folder] = {"error": traceback.format_exc(limit=-3)}
    answers.write_text(json.dumps(said), "utf-8")


if __name__ == "__main__":
    main()
