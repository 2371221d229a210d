"""Count the shape of the code: its modules, what imports what, its functions, its words.

    python -m benchmarks.structure [ROOT ...]

ROOT is the folder of a checkout, by default this one; of several roots each gets a column, so that
a change is seen. There is a table for the engine (``worker/compression``), the rest of the worker,
and the app. All of it comes from the source alone: nothing is imported or run.

- A module is a file that holds more than a docstring. Files a kline, the lengths of files and
  every other rate refer to all lines, blank ones too.
- An arrow goes from a module to a module of the project that it imports, wherever in the file;
  two imports of the same module are one arrow and two imports.
- A module that lies directly in ``app``, ``worker`` or ``worker/compression`` stands for itself
  where folders are compared.
- A private function (or method) is called once where its name is used at one place, a call, in its
  own module and those that import it.
"""

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import ceil
from pathlib import Path
from statistics import median

GROUPS = {"engine": "worker.compression", "worker": "worker", "app": "app"}
"""Packages by the name of their group: a module belongs to the first that holds it."""
PACKAGES = ("app", "worker")
QUESTIONS = ("What", "Whether", "Which", "Who", "Where", "How")
DIRECTIVE = re.compile(r"#\s*(noqa|type:|pragma:|fmt:|!)", re.IGNORECASE)

Function = ast.FunctionDef | ast.AsyncFunctionDef
Arrow = tuple[str, str]


@dataclass(frozen=True)
class Module:
    """A source file under its dotted name."""

    name: str
    is_package: bool
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def package(self) -> str:
        """The dotted name of the folder that holds the file."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @property
    def has_code(self) -> bool:
        return len(self.tree.body) > (ast.get_docstring(self.tree) is not None)

    @property
    def lines(self) -> list[str]:
        return self.source.splitlines()

    @cached_property
    def functions(self) -> list[Function]:
        return [node for node in self.nodes if isinstance(node, Function)]


def read_modules(root: Path) -> list[Module]:
    """Read every module of the project's packages, in the order of their paths.

    Raises:
        SystemExit: there is none.

    """
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    if not paths:
        raise SystemExit(f"{root} has no modules in {' or '.join(PACKAGES)}: name a checkout.")
    return [_module(path, root) for path in paths]


def _module(path: Path, root: Path) -> Module:
    parts = path.relative_to(root).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    return Module(name, is_package, path.read_text(encoding="utf-8"))


def group_of(name: str) -> str:
    """Return the group that a module or folder belongs to."""
    return next(group for group, package in GROUPS.items() if f"{name}.".startswith(f"{package}."))


def project_imports(module: Module, names: set[str]) -> list[str]:
    """Return the modules that each import of the project names, one after the other.

    ``from package import name`` imports the module ``package.name`` where there is one, else
    ``package``; of several names in one statement, each module is given once. ``names`` are all
    modules of the project.
    """
    found: list[str] = []
    for node in module.nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in names]
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            targets = dict.fromkeys(_target(origin, alias.name, names) for alias in node.names)
            found += [target for target in targets if target in names]
    return found


def _origin(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parents = module.package.split(".")
    return ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [node.module])])


def _target(origin: str, name: str, names: set[str]) -> str:
    submodule = f"{origin}.{name}"
    return submodule if submodule in names else origin


def folder_pairs(arrows: Iterable[Arrow], modules: Iterable[Module]) -> list[Arrow]:
    """Return the pairs of folders that import each other."""
    roots = set(GROUPS.values())
    folders = {m.name: m.name if m.package in roots else m.package for m in modules}
    between = {(folders[source], folders[target]) for source, target in arrows}
    return sorted((a, b) for a, b in between if a < b and (b, a) in between)


def import_cycles(arrows: Iterable[Arrow]) -> list[list[str]]:
    """Return the groups of modules each of which reaches, and is reached by, all of its group."""
    targets: dict[str, set[str]] = {}
    for source, target in arrows:
        targets.setdefault(source, set()).add(target)
    reach = {name: _reachable(name, targets) for name in targets}
    cycles = {
        tuple(sorted(other for other in found if name in reach.get(other, ())))
        for name, found in reach.items()
        if name in found
    }
    return sorted(map(list, cycles))


def _reachable(start: str, targets: Mapping[str, set[str]]) -> set[str]:
    found, waiting = set[str](), list(targets.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += targets.get(name, ())
    return found


def private_functions(module: Module) -> list[str]:
    """Return the names of the private functions and methods that a module defines."""
    classes = [node for node in module.nodes if isinstance(node, ast.ClassDef)]
    bodies = [module.tree.body, *(node.body for node in classes)]
    defined = [node.name for body in bodies for node in body if isinstance(node, Function)]
    return [name for name in defined if name.startswith("_") and not name.endswith("__")]


def called_once(modules: Sequence[Module], arrows: Iterable[Arrow]) -> dict[str, list[str]]:
    """Return the private functions that are called once, by the module that defines them."""
    private = {module.name: private_functions(module) for module in modules}
    uses = {module.name: _uses(module) for module in modules}
    importers: dict[str, list[str]] = {}
    for source, target in arrows:
        importers.setdefault(target, []).append(source)

    def is_called_once(name: str, home: str) -> bool:
        others = [other for other in importers.get(home, ()) if name not in private[other]]
        places = [kind for where in (home, *others) for kind in uses[where].get(name, ())]
        return places == ["call"]

    return {
        home: [name for name in names if is_called_once(name, home)]
        for home, names in private.items()
    }


def _uses(module: Module) -> dict[str, list[str]]:
    """Return each place where a private name is read: a "call", or a "value"."""
    called = {id(node.func) for node in module.nodes if isinstance(node, ast.Call)}
    uses: dict[str, list[str]] = {}
    for node in module.nodes:
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name.startswith("_"):
                uses.setdefault(name, []).append("call" if id(node) in called else "value")
    return uses


def docstrings(module: Module) -> Iterator[str]:
    """Yield the docstrings of a module, its classes and its functions."""
    for node in module.nodes:
        if isinstance(node, ast.Module | ast.ClassDef | Function):
            text = ast.get_docstring(node)
            if text:
                yield text


def name_strings(module: Module) -> Iterator[str]:
    """Yield the strings that stand under an assignment, to say what its name is for."""
    for node in module.nodes:
        body = getattr(node, "body", None)
        for above, below in pairwise(body if isinstance(body, list) else []):
            if isinstance(above, ast.Assign | ast.AnnAssign) and isinstance(below, ast.Expr):
                value = below.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value


def first_words(texts: Iterable[str]) -> Counter[str]:
    """Count the words that open the texts."""
    return Counter(match[0] for text in texts if (match := re.search(r"\w+", text)))


def comment_lines(source: str) -> int:
    """Count the lines with a comment; one that only directs a tool is none."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return sum(not DIRECTIVE.match(comment) for comment in comments)


@dataclass(frozen=True)
class Shape:
    """The figures of one group of modules; both counters hold first words."""

    files: int
    modules: int
    lines: int
    filled_lines: int
    file_lines: list[int]
    function_lines: list[int]
    imports: int
    arrows: list[Arrow]
    pairs: list[Arrow]
    cycles: list[list[str]]
    called_once: dict[str, list[str]]
    docstrings: Counter[str]
    name_strings: Counter[str]
    comments: int


def measure(root: Path) -> dict[str, Shape]:
    """Measure a checkout, group by group; pairs and cycles count in each group they touch."""
    modules = read_modules(root)
    names = {module.name for module in modules}
    imports = {module.name: project_imports(module, names) for module in modules}
    arrows = sorted({(source, target) for source in imports for target in imports[source]})
    pairs, cycles = folder_pairs(arrows, modules), import_cycles(arrows)
    once = called_once(modules, arrows)
    shapes = {}
    for group in GROUPS:
        own = [module for module in modules if group_of(module.name) == group]
        rooms = [module for module in own if module.has_code]
        functions = [function for module in own for function in module.functions]
        shapes[group] = Shape(
            files=len(own),
            modules=len(rooms),
            lines=sum(len(module.lines) for module in own),
            filled_lines=sum(bool(line.strip()) for module in own for line in module.lines),
            file_lines=[len(module.lines) for module in rooms],
            function_lines=[(f.end_lineno or f.lineno) - f.lineno + 1 for f in functions],
            imports=sum(len(imports[module.name]) for module in own),
            arrows=[arrow for arrow in arrows if group_of(arrow[0]) == group],
            pairs=[pair for pair in pairs if group in map(group_of, pair)],
            cycles=[cycle for cycle in cycles if group in map(group_of, cycle)],
            called_once={m.name: once[m.name] for m in own if once[m.name]},
            docstrings=first_words(text for module in own for text in docstrings(module)),
            name_strings=first_words(text for module in own for text in name_strings(module)),
            comments=sum(comment_lines(module.source) for module in own),
        )
    return shapes


def spread(values: Sequence[int]) -> str:
    """Write the median, the smallest value that nine in ten do not exceed, and the largest."""
    if not values:
        return "-"
    ordered = sorted(values)
    return f"{median(ordered):g} / {ordered[ceil(0.9 * len(ordered)) - 1]} / {ordered[-1]}"


def share(part: int, whole: int) -> str:
    """Write a part of a whole as a count and a percentage."""
    return f"{part} ({100 * part / max(whole, 1):.1f} %)"


def questions(words: Counter[str]) -> str:
    """Write how many of these first words ask."""
    return share(sum(words[word] for word in QUESTIONS), words.total())


def by_word(words: Counter[str]) -> str:
    """Write how often each word that asks is the first."""
    return ", ".join(f"{word} {words[word]}" for word in QUESTIONS)


ROWS: dict[str, Callable[[Shape], str]] = {
    "files": lambda shape: f"{shape.files:,}",
    "rooms (modules)": lambda shape: f"{shape.modules:,}",
    "lines": lambda shape: f"{shape.lines:,}",
    "lines that are not blank": lambda shape: f"{shape.filled_lines:,}",
    "files a kline": lambda shape: f"{1000 * shape.modules / max(shape.lines, 1):.1f}",
    "file lines, median / p90 / max": lambda shape: spread(shape.file_lines),
    "functions": lambda shape: f"{len(shape.function_lines):,}",
    "function lines, median / p90 / max": lambda shape: spread(shape.function_lines),
    "project imports": lambda shape: f"{shape.imports:,}",
    "project imports a kline": lambda shape: f"{1000 * shape.imports / max(shape.lines, 1):.1f}",
    "arrows": lambda shape: f"{len(shape.arrows):,}",
    "pairs of folders that import each other": lambda shape: str(len(shape.pairs)),
    "import cycles": lambda shape: str(len(shape.cycles)),
    "private functions called once, of all functions": lambda shape: share(
        sum(map(len, shape.called_once.values())), len(shape.function_lines)
    ),
    "docstrings that open with a question": lambda shape: questions(shape.docstrings),
    "of these": lambda shape: by_word(shape.docstrings),
    "strings under a name that open so": lambda shape: questions(shape.name_strings),
    "comment lines": lambda shape: share(shape.comments, shape.lines),
}


def table(group: str, heads: Sequence[str], shapes: Sequence[Shape]) -> str:
    """Write the figures of one group as a Markdown table with a column for each checkout."""
    rows = [[group, *heads], ["---"] * (len(heads) + 1)]
    rows += [[name, *map(write, shapes)] for name, write in ROWS.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def knots(shapes: Mapping[str, Shape]) -> Iterator[str]:
    """Name each pair of folders and each cycle once."""
    pairs = {pair for shape in shapes.values() for pair in shape.pairs}
    cycles = {tuple(cycle) for shape in shapes.values() for cycle in shape.cycles}
    yield from (f"- folders: {first} and {second}" for first, second in sorted(pairs))
    yield from (f"- cycle: {', '.join(cycle)}" for cycle in sorted(cycles))


def main() -> None:
    """Print the tables of the checkouts that the command line names."""
    roots = sys.argv[1:] or [str(Path(__file__).resolve().parent.parent)]
    measured = [measure(Path(root)) for root in roots]
    for group in GROUPS:
        print(table(group, roots, [shapes[group] for shapes in measured]), end="\n\n")
    for root, shapes in zip(roots, measured, strict=True):
        print(f"Import each other in {root}:", *list(knots(shapes)) or ["- none"], sep="\n")


if __name__ == "__main__":
    main()
