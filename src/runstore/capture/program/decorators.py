"""Decorators in the program: whether the result of a call is only called with a function.

A function such as `start_run` returns an object that can also decorate a function. If it is called
as a decorator, the object is seen by nothing but the function that it decorates. The bytecode
shows this: it leaves the result alone until it calls it with the new function. Anything unusual
counts as a call of another kind.
"""

from __future__ import annotations

import functools
import opcode
import sys
import types
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

# Instructions that push values and read none of the stack.
_LOADS = frozenset({
    "LOAD_BUILD_CLASS", "LOAD_CLASSDEREF", "LOAD_CLOSURE", "LOAD_COMMON_CONSTANT", "LOAD_CONST",
    "LOAD_CONST_IMMORTAL", "LOAD_DEREF", "LOAD_FAST", "LOAD_FAST_BORROW",
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW", "LOAD_FAST_CHECK", "LOAD_FAST_LOAD_FAST", "LOAD_GLOBAL",
    "LOAD_LOCALS", "LOAD_NAME", "LOAD_SMALL_INT", "PUSH_NULL",
})  # fmt: skip
# Instructions that replace the top of the stack by one or two values.
_FROM_ONE = frozenset({
    "LOAD_ATTR", "LOAD_FROM_DICT_OR_DEREF", "LOAD_FROM_DICT_OR_GLOBALS", "LOAD_METHOD",
})  # fmt: skip
# Instructions that replace some values by one.
_TO_ONE = frozenset({
    "BINARY_ADD", "BINARY_AND", "BINARY_FLOOR_DIVIDE", "BINARY_LSHIFT", "BINARY_MODULO",
    "BINARY_MULTIPLY", "BINARY_OP", "BINARY_OR", "BINARY_POWER", "BINARY_RSHIFT", "BINARY_SLICE",
    "BINARY_SUBSCR", "BINARY_SUBTRACT", "BINARY_TRUE_DIVIDE", "BINARY_XOR", "BUILD_CONST_KEY_MAP",
    "BUILD_LIST", "BUILD_MAP", "BUILD_SET", "BUILD_SLICE", "BUILD_STRING", "BUILD_TUPLE",
    "CALL_FUNCTION", "CALL_FUNCTION_EX", "CALL_FUNCTION_KW", "CALL_INTRINSIC_1", "CALL_KW",
    "CALL_METHOD", "COMPARE_OP", "CONTAINS_OP", "CONVERT_VALUE", "FORMAT_SIMPLE", "FORMAT_VALUE",
    "FORMAT_WITH_SPEC", "GET_ITER", "IS_OP", "LIST_TO_TUPLE", "MAKE_FUNCTION",
    "SET_FUNCTION_ATTRIBUTE",
    "UNARY_INVERT", "UNARY_NEGATIVE", "UNARY_NOT", "UNARY_POSITIVE",
})  # fmt: skip
# Instructions that add the top of the stack to a collection below it.
_INTO = frozenset({"DICT_MERGE", "DICT_UPDATE", "LIST_APPEND", "LIST_EXTEND", "SET_UPDATE"})
# Without an effect on the stack of their own; PRECALL is part of the CALL that follows it.
_NOTHING = frozenset({"CACHE", "KW_NAMES", "NOP", "PRECALL"})
_CALLS = frozenset({
    "CALL", "CALL_FUNCTION", "CALL_FUNCTION_EX", "CALL_FUNCTION_KW", "CALL_KW", "CALL_METHOD",
})  # fmt: skip


class _Step(NamedTuple):
    """An instruction, with the number of values that it takes from the stack and puts there."""

    offset: int
    name: str
    argument: int
    pops: int
    pushes: int


def is_decorator(frame: FrameType, function: Callable[..., Any]) -> bool:
    """Check whether a frame is calling a function to decorate another one with the result.

    Args:
        frame: The frame, which is in the middle of the call.
        function: The function.
    """
    steps = _steps(frame.f_code)
    here = next((n for n, one in enumerate(steps) if one.offset == _offset(frame)), None)
    if here is None or not _is_called_with_a_function(steps[here + 1 :]):
        return False
    called = _called(steps[: here + 1], frame)
    while isinstance(called, functools.partial):
        called = called.func
    return called is function


def _offset(frame: FrameType) -> int:
    """Return the offset of the current instruction; Python 3.11 may be at its last cache."""
    code, offset = frame.f_code.co_code, frame.f_lasti
    while offset > 0 and opcode.opname[code[offset]] == "CACHE":
        offset -= 2
    return offset


def _steps(code: CodeType) -> list[_Step]:
    return [_step(*one) for one in _instructions(code.co_code)]


def _instructions(code: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield offset, operation and argument of each instruction."""
    extended = 0
    for offset in range(0, len(code), 2):
        operation, argument = code[offset], code[offset + 1] | extended
        if operation == opcode.EXTENDED_ARG:
            extended = argument << 8
            continue
        extended = 0
        if opcode.opname[operation] not in _NOTHING:
            yield offset, operation, argument


def _step(offset: int, operation: int, argument: int) -> _Step:
    """Return an instruction; one with an unknown effect takes more than there can be."""
    name = opcode.opname[operation]
    if name == "CALL":  # with a method or NULL, and its object or the function
        return _Step(offset, name, argument, argument + 2, 1)
    if name in _INTO:
        return _Step(offset, name, argument, argument + 1, argument)
    if name not in _LOADS | _FROM_ONE | _TO_ONE:
        return _Step(offset, name, argument, 1 << 30, 0)
    effect = opcode.stack_effect(
        operation, argument if operation >= opcode.HAVE_ARGUMENT else None
    )
    pops = 0 if name in _LOADS else 1 if name in _FROM_ONE else 1 - effect
    return _Step(offset, name, argument, pops, pops + effect)


def _is_called_with_a_function(steps: list[_Step]) -> bool:
    """Check whether the value on top of the stack is next used to decorate a new function."""
    above = 0
    for one in steps:
        if one.pops > above:
            # Since Python 3.11, only decorators are called without an argument beside a value.
            is_call = (one.name, one.argument) in {("CALL", 0), ("CALL_FUNCTION", 1)}
            return is_call and above == 1 and one.pops == 2  # noqa: PLR2004 - itself, a function
        above += one.pushes - one.pops
    return False


def _called(steps: list[_Step], frame: FrameType) -> Any:
    """Return the object that the last of these instructions calls; None if it is unknown."""
    call = steps[-1]
    missing = call.pops if call.name in _CALLS else 0
    # Back to the lowest of the values that the call takes: the object, or NULL before it.
    for place in range(len(steps) - 2, -1 if missing else len(steps), -1):
        one = steps[place]
        if one.pushes >= missing:
            last = place + (one.name == "PUSH_NULL")
            if one.name not in _FROM_ONE and steps[last + 1].name == "LOAD_ATTR":
                last += 1  # of the module just loaded
            return _loaded(steps[last], steps[last - 1], frame)
        missing += one.pops - one.pushes
    return None


def _loaded(one: _Step, before: _Step, frame: FrameType) -> Any:
    """Return the object that an instruction loads, by a name or from a module."""
    names = frame.f_code.co_names
    if one.name not in _FROM_ONE:
        return _named(one, frame)
    owner = _named(before, frame)
    is_shifted = one.name == "LOAD_ATTR" and sys.version_info >= (3, 12)
    name = names[one.argument >> is_shifted]
    return vars(owner).get(name) if isinstance(owner, types.ModuleType) else None


def _named(one: _Step, frame: FrameType) -> Any:
    """Return the object with the name that an instruction loads; None if it loads no name."""
    code = frame.f_code
    if one.name in {"LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_DEREF"}:
        return frame.f_locals.get(_local_names(code, one.name)[one.argument])
    if one.name not in {"LOAD_GLOBAL", "LOAD_NAME"}:
        return None
    is_shifted = one.name == "LOAD_GLOBAL" and sys.version_info >= (3, 11)
    name = code.co_names[one.argument >> is_shifted]
    places = (frame.f_globals,) if one.name == "LOAD_GLOBAL" else (frame.f_locals, frame.f_globals)
    return next((place[name] for place in places if name in place), None)


def _local_names(code: CodeType, instruction: str) -> tuple[str, ...]:
    """Return the names of variables in the order in which an instruction counts them."""
    if sys.version_info >= (3, 11):
        cells = tuple(one for one in code.co_cellvars if one not in code.co_varnames)
        return code.co_varnames + cells + code.co_freevars
    is_cell = instruction == "LOAD_DEREF"
    return code.co_cellvars + code.co_freevars if is_cell else code.co_varnames
