"""Look at a model and the beginning of a corpus, in a process apart: both are a stranger's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.base_models.checks import TOKENIZER
from app.base_models.files import MAX_TOKENIZER_BYTES, read_json
from app.base_models.weights import StoredTensor, weight_files
from app.contract.architectures import ARCHITECTURES
from app.contract.model_kinds import ModelKind, Role
from app.contract.points import plan
from app.contract.recipe import Recipe
from app.corpora.formats.compression import Limits
from app.estimates import weights
from app.estimates.beginnings import Source, language_of, looks_like, read_beginning
from app.estimates.counts import Reader, Split, TokenCounts, count_tokens
from app.estimates.sizes import (
    HubModel,
    SizeFacts,
    files_of,
    fitting_points,
    grid_of,
    size_of,
)
from app.estimates.tokens import BaseTokenizer
from app.estimates.weights import Weights

LONGEST_INPUT = 512
"""Tokens, where no file says how many a model reads."""
CHARACTERS_PER_TOKEN = 4.0


@dataclass(frozen=True)
class ModelFacts:
    """Holds what the estimate needs of the base."""

    architecture: str
    role: Role
    encoder_decoder: bool
    weights: Weights
    vocab_size: int
    layers: int
    max_length: int
    cuts: bool
    """Whether the model's own program cuts texts there."""
    from_hub: bool
    sizes: list[SizeFacts]


@dataclass(frozen=True)
class CorpusFacts:
    """Holds what the estimate needs of the corpus."""

    documents: int
    characters: int
    is_sample: bool
    language: str | None
    looks_like: str | None


@dataclass(frozen=True)
class Facts:
    """Everything that files say."""

    model: ModelFacts
    corpus: CorpusFacts
    tokens: TokenCounts


def examine(
    model: Path | HubModel,
    source: Source,
    limits: Limits,
    recipe: Recipe,
) -> Facts:
    """Find out what an estimate of this recipe needs; raises `UserFault`."""
    beginning = read_beginning(source, limits)
    kind, config, settings, tensors = files_of(model)
    tokenizer = None
    if isinstance(model, Path):
        content = read_json(model / kind.transformer / TOKENIZER, MAX_TOKENIZER_BYTES)
        tokenizer = BaseTokenizer(content)
    kept = weights.kept_tensors(config, tensors)
    base = weights.measure(config, kept)
    if isinstance(model, Path):
        stored = sum(file.stat().st_size for file in weight_files(model / kind.transformer))
        base = replace(base, bytes=stored)
    rows = weights.table_rows(config, kept)
    vocab_size = tokenizer.size if tokenizer else rows
    sizes = _sizes(recipe, kind, config, kept, vocab_size)
    max_length = _longest(kind, config, settings)
    architecture = weights.architecture_of(config)
    row = ARCHITECTURES[str(config["model_type"])]
    facts = ModelFacts(
        architecture=architecture or row.model_type,
        role=kind.role,
        encoder_decoder=row.kind == "encoder-decoder",
        weights=base,
        vocab_size=vocab_size,
        layers=weights.layer_count(config, kept),
        max_length=max_length,
        cuts=kind.library == "sentence-transformers",
        from_hub=isinstance(model, HubModel),
        sizes=sizes,
    )
    corpus = CorpusFacts(
        beginning.documents,
        beginning.characters,
        beginning.is_sample,
        language_of(beginning.texts),
        looks_like(beginning.texts, beginning.format),
    )
    asked = [size.vocab_size for size in sizes]
    if tokenizer:
        reader = Reader(
            tokenizer, kind.default_prompt, max_length if facts.cuts else None, max_length
        )
        split = Split(recipe.evaluation.holdout_fraction, recipe.seed, beginning.documents)
        tokens = count_tokens(reader, beginning.texts, split, asked)
    else:
        tokens = TokenCounts.by_characters(beginning.texts, asked, CHARACTERS_PER_TOKEN, max_length)
    return Facts(facts, corpus, tokens)


def _sizes(
    recipe: Recipe,
    kind: ModelKind,
    config: dict[str, Any],
    kept: Sequence[StoredTensor],
    tokens: int,
) -> list[SizeFacts]:
    """Return the models that a recipe asks for of a base with so many tokens."""
    if target := recipe.target:
        found = grid_of(kind, config, kept, tokens)
        fits = fitting_points("this base", found, target)
        planned = plan(fits, target.max_bytes, only_quality=target.only_quality)
        return [replace(found.sizes[one.point], weighed=list(one.files)) for one in planned]
    sizes = (round(size * tokens) if size <= 1 else int(size) for size in recipe.sizes)
    layers = recipe.recovery.keep_layers
    return [size_of(config, kept, size, layers) for size in dict.fromkeys(sizes)]


def _longest(kind: ModelKind, config: Mapping[str, Any], settings: Mapping[str, Any]) -> int:
    """Return the tokens that the model reads of a text."""
    positions = config.get("max_position_embeddings") or config.get("n_positions")
    asked = kind.max_length or settings.get("model_max_length")
    said = [n for n in (positions, asked) if isinstance(n, int) and 0 < n < 1 << 24]
    return min(said, default=LONGEST_INPUT)
