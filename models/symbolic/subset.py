"""The part of Python that the model is written in, as the translator knows it; anything else is refused with its place.

A function has positional parameters and a body of assignments to one name, `if`, `while`, `return` and `pass`. An
expression is a number or truth value, a name, a field of a tuple or a member of an IntEnum, `frame[offset]`, one
comparison of two integers or (`==`, `!=`) two truth values, `and`, `or`, `not` of truth values, `a if c else b`,
`+ - * << >> & | ^` of integers, `min` and `max` of two, or a call with positional arguments of a function of this
subset or of a NamedTuple.
"""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vnethash.spec.errors import VnethashError

if TYPE_CHECKING:
    from types import FunctionType

_HINTS: dict[type[ast.AST], str] = {
    ast.For: "write a while loop with a counter",
    ast.AugAssign: "write x = x + 1",
    ast.AnnAssign: "leave the annotation out",
    ast.Try: "test before, the subset has no exceptions",
    ast.Raise: "return a value that says so",
    ast.Break: "set the variable that the loop tests",
    ast.Continue: "write if and else",
    ast.List: "use a NamedTuple",
    ast.Dict: "use a NamedTuple",
    ast.Set: "write x == A or x == B",
    ast.Tuple: "use a NamedTuple",
    ast.ListComp: "write a while loop",
    ast.GeneratorExp: "write a while loop",
    ast.Lambda: "write a function",
    ast.JoinedStr: "the subset has no text",
    ast.NamedExpr: "assign in a statement of its own",
    ast.Match: "write if and elif",
    ast.With: "the subset has no contexts",
    ast.FunctionDef: "write it at the top of the module",
    ast.Assert: "leave it out, or write if",
    ast.Import: "import at the top of the module",
    ast.ImportFrom: "import at the top of the module",
}
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.LShift, ast.RShift, ast.BitAnd, ast.BitOr, ast.BitXor)


class SubsetError(VnethashError):
    """The model's source leaves the subset that all executions share: a fault of the model, so exit code 4.

    `where` is "file:line"; the hint says what to write instead.
    """

    def __init__(self, where: str, message: str, *, hint: str) -> None:
        super().__init__(f"{where}: {message}", hint=hint)
        self.where = where


class Source(NamedTuple):
    """A function of the subset: its tree, with line numbers of the file, and the file's name."""

    tree: ast.FunctionDef
    file: str
    parameters: tuple[str, ...]

    def place(self, node: ast.AST) -> str:
        """Return "file:line" of a node."""
        return f"{self.file}:{getattr(node, 'lineno', self.tree.lineno)}"

    def refused(self, node: ast.AST, message: str, hint: str) -> SubsetError:
        """Return the error for a node that the subset does not have."""
        return SubsetError(self.place(node), message, hint=hint)


@cache
def load(function: FunctionType) -> Source:
    """Return the source of a function, all of which is in the subset; raises SubsetError."""
    path = Path(function.__code__.co_filename)
    file = "/".join(path.parts[-2:])
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse("if 1:\n" + "".join(lines) if lines[0][:1].isspace() else "".join(lines)).body[0]
    except (OSError, SyntaxError) as error:
        raise SubsetError(f"{file}:{function.__code__.co_firstlineno}", f"no source: {error}", hint="") from error
    ast.increment_lineno(tree, first - 1)
    if not isinstance(tree, ast.FunctionDef):
        raise SubsetError(f"{file}:{first}", "not a function at the top of a module", hint="write it there")
    arguments = tree.args
    source = Source(tree, file, tuple(argument.arg for argument in arguments.args))
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs or arguments.defaults:
        raise source.refused(tree, "parameters other than plain positional ones", "give every argument by position")
    if tree.decorator_list:
        raise source.refused(tree, "a decorator", "leave it out: the three executions would not share it")
    for statement in tree.body:
        _statement(source, statement)
    return source


def _statement(source: Source, node: ast.stmt) -> None:
    match node:
        case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
            pass
        case ast.Assign(targets=[ast.Name()]):
            _expression(source, node.value)
        case ast.Assign():
            raise source.refused(node, "assignment to other than one name", "assign one name at a time")
        case ast.Return(value=None):
            raise source.refused(node, "return without a value", "return a value on every path")
        case ast.Return(value=ast.expr()):
            _expression(source, node.value)
        case ast.If() | ast.While():
            if isinstance(node, ast.While) and node.orelse:
                raise source.refused(node, "while with else", "test behind the loop")
            _expression(source, node.test)
            for inner in (*node.body, *node.orelse):
                _statement(source, inner)
        case _:
            raise source.refused(
                node, f"the statement {type(node).__name__}", _HINTS.get(type(node), "see docs/proofs.md")
            )


def _expression(source: Source, node: ast.expr | None) -> None:
    match node:
        case ast.Constant(value=bool() | int()) | ast.Name():
            return
        case ast.Constant():
            raise source.refused(node, f"the constant {node.value!r}", "only numbers and truth values")
        case ast.Attribute(value=ast.Name()):
            return
        case ast.Attribute(value=inner):
            _expression(source, inner)
        case ast.Subscript(value=ast.Name(), slice=index) if not isinstance(index, ast.Slice):
            _expression(source, index)
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if isinstance(operator, _COMPARISONS):
            _expression(source, left)
            _expression(source, right)
        case ast.Compare():
            hint = "write a < b and b < c, or x == A or x == B"
            raise source.refused(node, "a comparison that is a chain, `in` or `is`", hint)
        case ast.BinOp(left=left, op=operator, right=right) if isinstance(operator, _ARITHMETIC):
            _expression(source, left)
            _expression(source, right)
        case ast.BinOp():
            raise source.refused(node, f"the operator {type(node.op).__name__}", "use + - * << >> & | ^")
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            _expression(source, inner)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int())):
            return
        case ast.BoolOp(values=members):
            for member in members:
                _expression(source, member)
        case ast.IfExp(test=test, body=first, orelse=second):
            for member in (test, first, second):
                _expression(source, member)
        case ast.Call(func=ast.Name(), args=arguments, keywords=[]):
            for argument in arguments:
                _expression(source, argument)
        case ast.Call():
            raise source.refused(
                node, "a call by keyword, of a method or of an expression", "call a function by its name"
            )
        case None:
            raise AssertionError
        case _:
            hint = _HINTS.get(type(node), "see docs/proofs.md")
            raise source.refused(node, f"the expression {type(node).__name__}", hint)
