"""A vocabulary made by hand, a small corpus of a domain, and the shape of a tiny BERT."""

import random
import string
from collections.abc import Callable
from typing import Any

DRUGS = ["ibuprofen", "methotrexate", "carbamazepine", "clozapine", "amiodarone", "lithium"]
EFFECTS = ["rash", "neutropenia", "hepatotoxicity", "seizures", "agranulocytosis", "nausea"]
WORDS = ["a", "an", "the", "patient", "developed", "after", "in", "is", "of", "and", "was", "with"]
PIECES = ["##ing", "##ed", "##s", "##ine", "##ate", "##tox", "##icity", "meth", "hepa", "ad", "is"]
UNUSED = [f"[unused{number}]" for number in range(2, 80)]
SPECIALS = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def base_vocabulary(letters: str) -> dict[str, int]:
    """Return special tokens among unused ones, letters in both forms, words and pieces."""
    continued = [f"##{c}" for c in letters + string.digits]
    tokens = [*SPECIALS, *string.punctuation, *string.digits, *letters, *continued]
    return {token: i for i, token in enumerate(dict.fromkeys([*tokens, *WORDS, *PIECES, *UNUSED]))}


def domain_documents(count: int, seed: int = 0) -> list[str]:
    choose = random.Random(seed)
    return [
        f"The patient developed {choose.choice(EFFECTS)} and {choose.choice(EFFECTS)} after "
        f"{choose.choice(DRUGS)}, {choose.randint(1, 99)} mg in {number}."
        for number in range(count)
    ]


MakeModel = Callable[..., Any]
SHAPE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 70,
}
