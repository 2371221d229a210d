"""Every error code of the code, found in its syntax trees, is in the table, and the other way."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path

from app import errors
from app.contract.errors import ERRORS
from worker.compression.errors import ArtifactCheckFailedError

ROOT = Path(errors.__file__).parent.parent
NOT_THE_SERVICE = ("app/cli/",)
PAIRS = ("HTTP_PROBLEMS", "WHY_NOT", "NOT_YET")
"""Constants that hold a code and what is said of it."""
PASSED_ON = {"_refuse", "_refusal", "_finished", "_user_error", "_check_error", "_system_error"} | {
    *("problem_of", "on_user_fault", "on_http")
}
"""Functions that raise or answer with a code that they were given, or chose from `PAIRS`."""


@dataclass(frozen=True)
class Found:
    """A code where it stands: as a pattern, for an f-string, and what is said of it there."""

    pattern: str
    place: str
    status: int | None = None
    origin: str | None = None


def statuses(trees: dict[str, ast.Module]) -> dict[str, int | None]:
    """The status of each class of problems; that of `UserFault` too."""
    found = {"UserFault": 422, "_refuse": 422}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and "ProblemError" in map(ast.unparse, node.bases):
                name = next(ast.unparse(n.value) for n in node.body if isinstance(n, ast.Assign))
                found[node.name] = int(getattr(HTTPStatus, name.removeprefix("HTTPStatus.")))
    return {"ProblemError": 400, **found}


def literals(node: ast.AST) -> Iterator[str]:
    """The strings that an expression may be, as patterns."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.escape(node.value)
    elif isinstance(node, ast.JoinedStr):
        parts = (next(literals(v)) if isinstance(v, ast.Constant) else ".+" for v in node.values)
        yield "".join(parts)
    elif isinstance(node, ast.IfExp):
        yield from (*literals(node.body), *literals(node.orelse))
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from literals(value)


class Calls(ast.NodeVisitor):
    """Collects the codes given to errors, problems and job errors."""

    def __init__(self, place: str, known: dict[str, int | None]) -> None:
        self.place, self.known = place, known
        self.found = list[Found]()
        self.functions = [""]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.within(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.within(node)

    def within(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.functions.append(node.name)
        self.generic_visit(node)
        self.functions.pop()

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        fields = {keyword.arg: keyword.value for keyword in node.keywords}
        if name in self.known:
            self.add(node.args[0], self.known[name])
        elif name == "problem_response":
            self.add(node.args[2], node.args[1])
        elif name == "JobError" and "code" in fields:
            self.add(fields["code"], None, ast.literal_eval(fields["type"]))
        self.generic_visit(node)

    def add(self, code: ast.expr, status: int | ast.expr | None, origin: str | None = None) -> None:
        here, said = f"{self.place}:{code.lineno}", list(literals(code))
        if isinstance(status, ast.expr):
            status = status.value if isinstance(status, ast.Constant) else None  # type: ignore[assignment]
        # A code that a function was given is found where it is given.
        assert said or self.functions[-1] in PASSED_ON, f"{here}: {ast.unparse(code)} is no literal"
        self.found += [Found(pattern, here, status, origin) for pattern in said]  # type: ignore[arg-type]


def in_names(tree: ast.Module, place: str) -> Iterator[Found]:
    """The codes of classes (`code = "…"`), of local names, and of constants of pairs."""
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.AnnAssign) and node.value:
            targets = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        if not targets or not isinstance(targets[0], ast.Name):
            continue
        value, name, here = node.value, targets[0].id, f"{place}:{node.lineno}"  # type: ignore[attr-defined]
        if name == "code":
            yield from (Found(code, here) for code in literals(value))
        elif name in PAIRS:
            pairs = value.values if isinstance(value, ast.Dict) else [value]
            for pair in pairs:
                assert isinstance(pair, ast.Tuple), here
                yield from (Found(code, here) for code in literals(pair.elts[0]))


@cache
def every_code() -> list[Found]:
    trees = {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for folder in ("app", "worker")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    known = statuses(trees)
    found = list[Found]()
    for place, tree in trees.items():
        if place.startswith(NOT_THE_SERVICE):
            continue
        calls = Calls(place, known)
        calls.visit(tree)
        found += [*calls.found, *in_names(tree, place)]
    return found


def test_the_codes_of_the_table_are_those_of_the_code() -> None:
    found = every_code()
    patterns = {each.pattern for each in found}
    unknown = {each for each in found if not matching(each)}
    assert not unknown, "these are not in app/contract/errors.py"
    unused = {code for code in ERRORS if not any(re.fullmatch(p, code) for p in patterns)}
    assert not unused, "nothing raises these"
    assert len(found) > len(ERRORS)


def matching(found: Found) -> list[str]:
    return [code for code in ERRORS if re.fullmatch(found.pattern, code)]


def test_statuses_and_origins_are_those_of_the_code() -> None:
    for found in every_code():
        for code in matching(found):
            if found.status and found.place.startswith("app/"):
                assert ERRORS[code].status == found.status, found
            elif found.status:
                # A worker's `UserFault` fails the job.
                assert ERRORS[code].origin == "user", found
            if found.origin:
                assert ERRORS[code].origin == found.origin, found
            if found.place.startswith("worker/compression/errors.py"):
                ours = code == ArtifactCheckFailedError.code
                assert ERRORS[code].origin == ("system" if ours else "user"), found
    for status, (code, _) in errors.HTTP_PROBLEMS.items():
        assert ERRORS[code].status == status


def test_what_is_said_of_an_error_is_a_sentence() -> None:
    for error in ERRORS.values():
        for said in (error.meaning, error.remedy):
            assert said[0].isupper() or said[0] == "`", error
            assert said.endswith("."), error
            assert "|" not in said, error
        assert error.status is None or 400 <= error.status < 600
        assert error.origin != "request" or error.status
