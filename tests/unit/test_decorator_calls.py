"""Calls of a function as a decorator are recognised, and calls of any other kind are not."""

import asyncio
import contextlib
import functools
import sys
import types

from runstore.capture.program.decorators import is_decorator

DECORATORS = [
    "@start('a')\ndef f(): pass",
    "@start('a')\nasync def f(): pass",
    "@start('a', params={'x': 1}, tags=['y', k])\ndef f(x=1, *, y: int = 2) -> str: return x",
    "@other(1)\n@start('a')\n\n# a comment\n@other(2)\ndef f(): yield 1",
    "@module.start('a')\ndef f(): pass",
    "@module.start('a', params=k)\ndef f(): pass",
    "def h(x):\n  @module.start('a', params={'x': x})\n  def f(): return x\nh(1)",
    "def h(x):\n  @module.start('a', params=x.real, tags=[x])\n  def f(): return x\nh(1)",
    "@start('a', params=module.start)\ndef f(): pass",
    "@start('a', params={'x': 1 if k else 2}, store=k or 'runs')\ndef f(): pass",
    "@module.start('a', params={n: n for n in range(k)}, tags=[n for n in 'ab'])\ndef f(): pass",
    "def h(x):\n  @start('a', tags=[n for n in (x, k) if n])\n  def f(): return x\nh(1)",
    "try:\n  k()\nexcept TypeError:\n  @start('a', params=k)\n  def f(): pass",
    "for n in range(2):\n  if n:\n    continue\n  @start('a', params=n and k)\n  def f(): pass",
    "while True:\n  with block(k):\n    @start('a')\n    def f(): pass\n  break",
    "async def h():\n  @start('a', params=await g())\n  def f(): pass\nasync def g(): k\nrun(h())",
    "def h():\n  yield 1\n  @start('a', params=k)\n  def f(): pass\nlist(h())",
    "@partial(params=k)\ndef f(): pass",
    "@(start)('a')\ndef f(): pass",
    "class A:\n  @module.start('a')\n  def f(self): pass",
    "class A:\n  @staticmethod\n  @start('b')\n  def f(): pass",
    "def h(own):\n  @own('a')\n  def f(): return own\nh(start)",
    "def h():\n  own = start\n  def g():\n    @own('a')\n    def f(): pass\n  g()\nh()",
    "@start('a')\nclass A: pass",
    "def h():\n  @module.start('a')\n  def f(x=k): return x\nh()",
    "def h(own):\n  @own('a')\n  def f(x=k): return x\nh(start)",
    "def h(x):\n  @start('a', params=x)\n  async def f(): return x\nh(1)",
    "@start(*['a'], **{'x': k})\ndef f(): pass",
    "@start(f'a{k}', x=other(1), y=-k + 1, z=[1, 2, 3, 4, k], w={**{'a': 1}})\ndef f(): pass",
    "@start('a')\ndef f(*a: 'x', b: 'y' = 'z', **c: int): pass",
    "@start('a', x=lambda: 1)\ndef f(): pass",
    "\n".join(f"v{n} = {n}" for n in range(400)) + "\n@start('a', x=v399)\ndef f(x=v398): pass",
]  # fmt: skip
OTHER_CALLS = [
    "run = start('a')",
    "a = b = start('a')",
    "start('a')",
    "print(start('a'), end='')",
    "(start('a'), lambda: 1)",
    "{start('a'): lambda: 1}",
    "start('a') is (lambda: 1)",
    "start('a') and (lambda: 1)",
    "start('a').__name__",
    "other(start('a'))(lambda: 1)",
    "other(start('a'), lambda: 1)",
    "with block(start('a')): pass",
    "for x in [start('a')]: pass",
    "def f(x=start('a')): pass",
    "def f(x: start('a')): pass\nf.__annotations__",
    "[start('a') for _ in range(2)]",
    "def h():\n  return start('a')\n@h()\ndef f(): pass",
    "run = start('a')\n@run\ndef f(): pass",
    "@other(start('a'))\ndef f(): pass",
    "@(x := start('a'))\ndef f(): pass",
    "@(start('a') if k else 0)\ndef f(): pass",
    "@[start('a')][0]\ndef f(): pass",
    "@start('a').__call__\ndef f(): pass",
    # C code that calls it, and might keep the result.
    "@max(['a'], key=start)\ndef f(): pass",
    "@next(map(start, ['a']))\ndef f(): pass",
    "@functools.lru_cache(start)('a')\ndef f(): pass",
]


def decorate(function):
    return function


def calls_of(code):
    """Execute code; return for each call of `start` whether it was recognised as a decorator."""
    seen = []

    def start(*_args, **_kwargs):
        seen.append(is_decorator(sys._getframe(1), start))
        return decorate

    module = types.ModuleType("module")
    module.start = start
    names = {
        "start": start,
        "module": module,
        "partial": functools.partial(functools.partial(start, "a"), tags=["x"]),
        "other": lambda *_args, **_kwargs: decorate,
        "block": contextlib.nullcontext,
        "functools": functools,
        "run": asyncio.run,
        "k": 3,
    }
    with contextlib.suppress(TypeError):  # a text decorates nothing
        exec(compile(code, "program", "exec"), names)  # noqa: S102 - code of this file
    return seen


def test_a_decorator_is_recognised():
    assert [code for code in DECORATORS if set(calls_of(code)) != {True}] == []


def test_any_other_call_is_not():
    assert [code for code in OTHER_CALLS if set(calls_of(code)) != {False}] == []


def test_a_frame_that_calls_something_else_is_not():
    assert not is_decorator(sys._getframe(), decorate)
