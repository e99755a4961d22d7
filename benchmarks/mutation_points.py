"""The one-token changes that a Python file allows: operators, constants, conditions, statements, order of arguments.

Left out is what changes no behaviour: docstrings, annotations, `__all__`, wording of errors and of the program's log,
`assert`, arguments that only check (`strict=`) or only save memory (`slots=`), and the names of threads.
"""

import ast
import io
import tokenize
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

OPERATORS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "is": ("is not",),
    "is not": ("is",),
    "in": ("not in",),
    "not in": ("in",),
    "and": ("or",),
    "or": ("and",),
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
    "//": ("*",),
    "%": ("*",),
    "**": ("*",),
    "@": ("*",),
    "&": ("|",),
    "|": ("&",),
    "^": ("&",),
    "<<": (">>",),
    ">>": ("<<",),
    "+=": ("-=",),
    "-=": ("+=",),
    "*=": ("/=",),
    "/=": ("*=",),
    "//=": ("*=",),
    "|=": ("&=",),
    "&=": ("|=",),
}
"""Each operator and what may stand in its place."""

LOGS = {"log", "_log", "logger", "_logger", "logging", "warnings"}
ONLY_CHECKS = {"strict", "slots", "frozen", "kw_only", "repr", "stacklevel", "doc"}
KEY_METHODS = {"get", "pop", "setdefault"}
ANY_ORDER = {"max", "min", "gcd", "isclose", "isinstance", "issubclass", "cast"}


@dataclass(frozen=True, slots=True)
class Change:
    """A part of a file's text and the text in its place."""

    line: int
    start: int
    end: int
    before: str
    after: str
    function: str | None
    """The qualified name of the function; None where the line runs when the file is imported."""

    def applied(self, source: str) -> str:
        """The source with this change."""
        return source[: self.start] + self.after + source[self.end :]


class _Token(NamedTuple):
    start: int
    end: int
    text: str


def points(source: str) -> list[list[Change]]:
    """The places of a file where one token can change, in order; each with its possible changes."""
    found = _Finder(source)
    found.visit(ast.parse(source))
    return sorted(found.points, key=lambda changes: (changes[0].start, changes[0].end))


class _Finder(ast.NodeVisitor):
    """Collects the points of one file."""

    def __init__(self, source: str) -> None:
        self.points: list[list[Change]] = []
        self._source = source
        self._names: list[str] = []
        self._functions = 0
        self._is_wording = False
        lines = source.splitlines(keepends=True)
        self._lines = lines
        self._offsets = [0]
        for line in lines:
            self._offsets.append(self._offsets[-1] + len(line))
        self._tokens = [
            _Token(self._offsets[token.start[0] - 1] + token.start[1], self._at(token), token.string)
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type in (tokenize.OP, tokenize.NAME)
        ]

    def _at(self, token: tokenize.TokenInfo) -> int:
        return self._offsets[token.end[0] - 1] + token.end[1]

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def _offset(self, line: int, column: int) -> int:
        """The place in the text; `ast` counts columns in bytes."""
        return self._offsets[line - 1] + len(self._lines[line - 1].encode()[:column].decode())

    def _add(self, start: int, end: int, *after: str) -> None:
        before = self._source[start:end]
        line = bisect_right(self._offsets, start)
        function = ".".join(self._names) if self._functions else None
        self.points.append([Change(line, start, end, before, text, function) for text in after if text != before])

    def _replace(self, node: ast.expr | ast.stmt, *after: str) -> None:
        self._add(*self._span(node), *after)

    def _text(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._source[start:end]

    def _operators(self, left: ast.expr, right: ast.expr) -> None:
        """The operator between two operands."""
        start, end = self._span(left)[1], self._span(right)[0]
        between = self._tokens[bisect_left(self._tokens, (start,)) : bisect_left(self._tokens, (end,))]
        operators = [token for token in between if token.text not in "()"]
        if operators and (text := " ".join(token.text for token in operators)) in OPERATORS:
            self._add(operators[0].start, operators[-1].end, *OPERATORS[text])

    # Statements

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for expression in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(expression)
        if node.name in ("__repr__", "__str__"):
            return
        outside = self._enter(node.name)
        self._functions += 1
        for statement in node.body:
            self.visit(statement)
        if isinstance(node.body[-1], ast.Return) and node.body[-1].value is None:
            self.points.pop()  # a bare return at the end changes nothing
        self._functions -= 1
        self._names = outside

    def _enter(self, name: str) -> list[str]:
        """Go into a function or class, as its qualified name says it; the names before."""
        outside = self._names
        self._names = [*outside, *(["<locals>"] if self._functions else []), name]
        return outside

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        outside = self._enter(node.name)
        for statement in node.body:
            self.visit(statement)
        self._names = outside

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant) or _is_log(node.value):
            return
        if isinstance(node.value, ast.Call | ast.Await):
            self._replace(node, "pass")
        self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            return
        if not any(isinstance(target, ast.Name | ast.Tuple | ast.List) for target in node.targets):
            self._replace(node, "pass")
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._replace(node, "pass")
        self._operators(node.target, node.value)
        self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self._replace(node, "pass")
        elif not (isinstance(node.value, ast.Constant) and not node.value.value):  # the caller reads None as falsy, too
            self._replace(node, "return None")
            self.visit(node.value)
        else:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._replace(node, "pass")
        before, self._is_wording = self._is_wording, True
        self.generic_visit(node)
        self._is_wording = before

    def visit_Delete(self, node: ast.Delete) -> None:
        self._replace(node, "pass")

    def visit_Break(self, node: ast.Break) -> None:
        self._replace(node, "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._replace(node, "break")

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'"):
            return
        self._condition(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self._condition(condition)
        self.generic_visit(node)

    def _condition(self, test: ast.expr) -> None:
        """A bare condition gets a `not`; comparisons and operators change in their own way."""
        if isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
            self._replace(test, f"not {self._text(test)}")

    # Expressions

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, right in zip(operands[:-1], operands[1:], strict=True):
            self._operators(left, right)
        for operand in operands:
            self._keys(operand)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in zip(node.values[:-1], node.values[1:], strict=True):
            self._operators(left, right)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not self._functions and isinstance(node.op, ast.BitOr) and isinstance(node.right, ast.Name | ast.Attribute):
            return  # a union of types
        self._operators(node.left, node.right)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            text = self._text(node.operand)
            self._replace(node, f"({text})" if "\n" in text else text)
        self.visit(node.operand)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._keys(node.slice)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key in node.keys:
            if key is not None:
                self._keys(key)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        if name in ("TypeVar", "NewType", "ParamSpec", "cast") or _is_log(node):
            return
        if name in KEY_METHODS and node.args:
            self._keys(node.args[0])
        if name not in ANY_ORDER:
            self._swaps(node.args)
        self.visit(node.func)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            if keyword.arg not in ONLY_CHECKS and not (keyword.arg == "name" and name == "Thread"):
                self.visit(keyword.value)

    def _swaps(self, arguments: Sequence[ast.expr]) -> None:
        for left, right in zip(arguments[:-1], arguments[1:], strict=True):
            texts = [self._text(one) for one in (left, right) if isinstance(one, ast.Name | ast.Attribute)]
            if len(texts) == 2 and texts[0] != texts[1]:
                (start, middle), (after, end) = self._span(left), self._span(right)
                self._add(start, end, texts[1] + self._source[middle:after] + texts[0])

    def _keys(self, node: ast.expr) -> None:
        """Strings that are compared or looked up."""
        for key in _strings(node):
            if not self._is_wording:
                self._replace(key, repr(f"{key.value!s}X"))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Mostly wording; before Python 3.12 the places inside are not known either."""

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._replace(node, str(not value))
        elif isinstance(value, int | float):
            self._replace(node, repr(value + 1), repr(value - 1))


def _strings(node: ast.expr) -> Iterator[ast.Constant]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        for element in node.elts:
            yield from _strings(element)


def _is_log(node: ast.expr) -> bool:
    """A line for the program's own log, or a warning."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    return isinstance(node.func.value, ast.Name) and node.func.value.id in LOGS
