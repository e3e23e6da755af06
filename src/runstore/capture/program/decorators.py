"""Decorators in the program: whether the result of a call is only called with a function.

A function such as `start_run` returns an object that can also decorate a function. If it is called
as a decorator, the object is seen by nothing but the function that it decorates. The bytecode
shows this: it leaves the result alone until it calls it with the new function. Anything unusual
counts as a call of another kind.
"""

from __future__ import annotations

import dis
import functools
import opcode
import types
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from runstore.value_classes import NamedTuple

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
_NOTHING = frozenset({"CACHE", "EXTENDED_ARG", "KW_NAMES", "NOP", "PRECALL"})
_CALLS = frozenset({
    "CALL", "CALL_FUNCTION", "CALL_FUNCTION_EX", "CALL_FUNCTION_KW", "CALL_KW", "CALL_METHOD",
})  # fmt: skip
_JUMPS = frozenset({*opcode.hasjrel, *opcode.hasjabs})
_LIMIT = 1 << 30
_NAMED = frozenset({"LOAD_DEREF", "LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_GLOBAL", "LOAD_NAME"})
# The instruction that follows in the text is not the next one.
_LEAVES = ("JUMP_ABSOLUTE", "JUMP_BACKWARD", "JUMP_FORWARD", "RAISE", "RERAISE", "RETURN")


class _Step(NamedTuple):
    """An instruction, with the number of values that it takes from the stack and puts there."""

    offset: int
    name: str
    argument: Any
    pops: int
    pushes: int
    # The size of the stack before it, from an instruction that is not in the same expression.
    depth: int


def is_decorator(frame: FrameType, function: Callable[..., Any]) -> bool:
    """Check whether a frame is calling a function to decorate another one with the result.

    The frame is in the middle of the call.
    """
    steps = _steps(frame.f_code)
    here = sum(one.offset <= frame.f_lasti for one in steps)
    if not here or not _is_called_with_a_function(steps[here:]):
        return False
    called = _called(steps[:here], frame)
    while isinstance(called, functools.partial):
        called = called.func
    return called is function


@functools.lru_cache(maxsize=1)
def _steps(code: CodeType) -> list[_Step]:
    steps = []
    depth = 0
    depths: dict[int, int] = {}  # at the targets of jumps
    for one in dis.get_instructions(code):
        depth = depths.get(one.offset, depth)
        if one.opname not in _NOTHING:
            steps.append(_step(one, depth))
        if one.opcode in _JUMPS:
            depths.setdefault(one.argval, depth + _effect(one, jump=True))
        depth = 0 if one.opname.startswith(_LEAVES) else depth + _effect(one, jump=False)
    return steps


def _effect(one: dis.Instruction, *, jump: bool) -> int:
    """Return by how much an instruction changes the size of the stack."""
    if one.opname == "PRECALL":  # Python 3.11 has two instructions for a call
        return 0
    if one.opname == "CALL":
        return -1 - (one.arg or 0)
    argument = one.arg if one.opcode >= opcode.HAVE_ARGUMENT else None
    return opcode.stack_effect(one.opcode, argument, jump=jump)


def _step(one: dis.Instruction, depth: int) -> _Step:
    """Return an instruction; one with an unknown effect takes more than there can be."""
    name, pops, pushes = one.opname, _LIMIT, 0
    if name == "CALL":  # of a method or NULL, with its object or the function
        pops, pushes = (one.arg or 0) + 2, 1
    elif name in _INTO:
        pops, pushes = (one.arg or 0) + 1, one.arg or 0
    elif name in _LOADS | _FROM_ONE | _TO_ONE:
        effect = _effect(one, jump=False)
        pops = 0 if name in _LOADS else 1 if name in _FROM_ONE else 1 - effect
        pushes = pops + effect
    return _Step(one.offset, name, one.arg if name in _CALLS else one.argval, pops, pushes, depth)


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
    if call.name not in _CALLS:
        return None
    # Back to the lowest of the values that the call takes: the object, or NULL before it.
    lowest = call.depth - call.pops
    for place in range(len(steps) - 2, -1, -1):
        one = steps[place]
        if one.depth - (one.name in _FROM_ONE) <= lowest:
            last = place + (one.name == "PUSH_NULL")
            if one.name not in _FROM_ONE and steps[last + 1].name == "LOAD_ATTR":
                last += 1  # of the module just loaded
            return _loaded(steps[last], steps[last - 1], frame)
    return None


def _loaded(one: _Step, before: _Step, frame: FrameType) -> Any:
    """Return the object that an instruction loads, by a name or from a module."""
    if one.name not in _FROM_ONE:
        return _named(one, frame)
    owner = _named(before, frame)
    return vars(owner).get(one.argument) if isinstance(owner, types.ModuleType) else None


def _named(one: _Step, frame: FrameType) -> Any:
    """Return the object with the name that an instruction loads; None if it loads no name."""
    if one.name not in _NAMED:
        return None
    places = (frame.f_globals,) if one.name == "LOAD_GLOBAL" else (frame.f_locals, frame.f_globals)
    return next((place[one.argument] for place in places if one.argument in place), None)
