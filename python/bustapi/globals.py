"""The current app and request, as context variables and as proxies for them.

Theory of operation: a context that is pushed puts *itself* into one of the two
variables below, and its token takes it out again. Threads, greenlets and asyncio
tasks each see their own value. The proxies look a variable up at every access, so
that they can be imported once and used anywhere; while nothing is pushed they are
false, and raise :class:`RuntimeError` with the messages below when used.

No other module creates a context variable or a proxy for one.
"""

from __future__ import annotations

import typing as t
from contextvars import ContextVar

from ._native import make_proxy, set_context_variables

if t.TYPE_CHECKING:
    from .app import Flask
    from .ctx import AppContext, RequestContext, _AppCtxGlobals
    from .request import Request
    from .sessions import SessionMixin

_no_app_msg = """\
Working outside of application context.

This typically means that you attempted to use functionality that needed
the current application. To solve this, set up an application context
with app.app_context(). See the documentation for more information.\
"""
_no_req_msg = """\
Working outside of request context.

This typically means that you attempted to use functionality that needed
an active HTTP request. Consult the documentation on testing for
information about how to avoid this problem.\
"""

_cv_app: ContextVar[AppContext] = ContextVar("bustapi.app_ctx")
_cv_request: ContextVar[RequestContext] = ContextVar("bustapi.request_ctx")
set_context_variables(_cv_app, _cv_request)


def _proxy(
    variable: ContextVar[t.Any], unbound_message: str, attribute: str | None = None
) -> t.Any:
    """Make a proxy for what `variable` holds, or for an attribute of that.

    :param unbound_message: text of the :class:`RuntimeError` raised on use while
        the variable is empty.
    :param attribute: read from the held context at each access; ``None`` stands
        for the context itself.
    """
    return make_proxy(variable, attribute, unbound_message)


app_ctx: AppContext = _proxy(_cv_app, _no_app_msg)
current_app: Flask = _proxy(_cv_app, _no_app_msg, "app")
g: _AppCtxGlobals = _proxy(_cv_app, _no_app_msg, "g")

request_ctx: RequestContext = _proxy(_cv_request, _no_req_msg)
request: Request = _proxy(_cv_request, _no_req_msg, "request")
session: SessionMixin = _proxy(_cv_request, _no_req_msg, "session")
