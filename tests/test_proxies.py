"""What is done with a proxy, done with Werkzeug's beside it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import math
import operator
import weakref
from contextvars import ContextVar

import pytest
from werkzeug.local import LocalProxy

import bustapi.globals
from bustapi import Flask, Request
from bustapi._native import make_proxy


async def _entered(proxy):
    async with proxy as entered:
        return entered


async def _iterated(proxy):
    return [item async for item in proxy]


def _assigned(proxy):
    proxy.added = 1
    found = proxy.added
    del proxy.added
    return found


USES = {
    "the class": lambda p: p.__class__.__name__,
    "its module": lambda p: p.__module__,
    "its documentation": lambda p: p.__doc__,
    "the type's name": lambda p: (type(p).__name__, type(p).__qualname__, type(p).__module__),
    "what it wraps": lambda p: type(p.__wrapped__).__name__,
    "its dict": lambda p: sorted(p.__dict__),
    "names": dir,
    "variables": lambda p: sorted(vars(p)),
    "instance": lambda p: [isinstance(p, kind) for kind in (Flask, Request, LocalProxy, dict)],
    "representation": repr,
    "text": str,
    "format": lambda p: f"{p:>3}",
    "bytes": bytes,
    "truth": bool,
    "hash": lambda p: type(hash(p)),
    "equality": lambda p: (p == p, p != p, p == 1),
    "length": len,
    "length hint": operator.length_hint,
    "iteration": list,
    "reversed": lambda p: list(reversed(p)),
    "next": next,
    "membership": lambda p: ("a" in p, "missing" in p),
    "item": lambda p: p["missing"],
    "first": lambda p: p[0],
    "set item": lambda p: operator.setitem(p, "added", 1),
    "delete item": lambda p: operator.delitem(p, "missing"),
    "attribute": lambda p: p.missing,
    "set attribute": _assigned,
    "delete attribute": lambda p: delattr(p, "missing"),
    "call": lambda p: p(1),
    "with": lambda p: p.__enter__(),
    "async with": lambda p: asyncio.run(_entered(p)),
    "async for": lambda p: asyncio.run(_iterated(p)),
    "copy": lambda p: type(copy.copy(p)).__name__,
    "weak reference": weakref.ref,
    **{name: getattr(operator, name) for name in ("neg", "pos", "abs", "invert", "index")},
    **{kind.__name__: kind for kind in (int, float, complex, round)},
    **{name: getattr(math, name) for name in ("trunc", "floor", "ceil")},
    **{
        f"{side} {name}": lambda p, name=name, side=side: getattr(operator, name)(
            *((p, 2) if side == "left" else (2, p))
        )
        for side in ("left", "right")
        for name in (
            *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift"),
            *("rshift", "and_", "or_", "xor", "lt", "le", "gt", "ge"),
            *("iadd", "isub", "imul", "imatmul", "itruediv", "ifloordiv", "imod", "ipow"),
            *("ilshift", "irshift", "iand", "ior", "ixor"),
        )
    },
    "divmod": lambda p: (divmod(p, 2), divmod(2, p)),
}


class Everything(dict):
    """Has every operator there is, and tells which was asked for."""

    def __matmul__(self, other):
        return "matmul", other

    def __rmatmul__(self, other):
        return "rmatmul", other

    def __int__(self):
        return 1

    __index__ = __trunc__ = __floor__ = __ceil__ = __int__

    def __float__(self):
        return 1.5

    def __complex__(self):
        return 1j

    def __round__(self, digits=None):
        return 2

    def __bytes__(self):
        return b"bytes"

    def __format__(self, spec):
        return spec

    def __call__(self, *args):
        return args

    def __enter__(self):
        return "entered"

    def __length_hint__(self):
        return 7

    def __next__(self):
        return "next"

    def __hash__(self):
        return 1

    async def __aenter__(self):
        return "entered"

    async def __aexit__(self, *error):
        return None

    async def __aiter__(self):
        yield 1


def _binary(name):
    def method(self, other):
        return name, other

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "xor"):
    for _kind in ("", "r", "i"):
        setattr(Everything, f"__{_kind}{_name}__", _binary(_kind + _name))
for _name in ("and", "rand", "iand", "divmod", "rdivmod", "lt", "le", "gt", "ge"):
    setattr(Everything, f"__{_name}__", _binary(_name))
for _name in ("neg", "pos", "abs", "invert"):
    setattr(Everything, f"__{_name}__", lambda self, name=_name: name)


def _outcome(use, proxy):
    try:
        result = use(proxy)
    except Exception as e:  # noqa: BLE001 whatever it is, it is compared
        return type(e), str(e)

    # In-place operators give the proxy itself.
    return ("the proxy", repr(result)) if result is proxy else (type(result), result)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "name", ["request", "session", "g", "current_app", "everything", "unbound"]
)
def test_proxies_do_what_werkzeugs_do(app, name, use):
    variable = ContextVar("everything")

    if name in {"everything", "unbound"}:
        ours = make_proxy(variable, None, "unbound")
        theirs = LocalProxy(variable, unbound_message="unbound")
    else:
        ours = getattr(bustapi.globals, name)
        context, attribute = ours.__wrapped__, "app" if name == "current_app" else name
        theirs = LocalProxy(context, attribute, unbound_message="unbound")

    if name == "everything":
        variable.set(Everything(a=1))

    with contextlib.ExitStack() as stack:
        if name not in {"everything", "unbound"}:
            stack.enter_context(app.test_request_context())

        assert _outcome(USES[use], ours) == _outcome(USES[use], theirs)
