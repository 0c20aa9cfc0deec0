"""The signals that an app sends, in the order in which a request meets them.

The sender is always the app object itself. Receivers connect with
``signal.connect(receiver, app)``; coroutine functions may be receivers too.
"""

from __future__ import annotations

from blinker import Namespace

# Only for the signals below: extensions and apps make a Namespace of their own.
_signals = Namespace()

appcontext_pushed = _signals.signal("appcontext-pushed")
request_started = _signals.signal("request-started")
before_render_template = _signals.signal("before-render-template")
template_rendered = _signals.signal("template-rendered")
message_flashed = _signals.signal("message-flashed")
got_request_exception = _signals.signal("got-request-exception")
request_finished = _signals.signal("request-finished")
request_tearing_down = _signals.signal("request-tearing-down")
appcontext_tearing_down = _signals.signal("appcontext-tearing-down")
appcontext_popped = _signals.signal("appcontext-popped")
