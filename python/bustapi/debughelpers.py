"""`bustapi.explanations` under the name that Flask has for it, with what it imports there."""

from __future__ import annotations

from .blueprints import Blueprint as Blueprint
from .exceptions import DebugFilesKeyError as DebugFilesKeyError
from .exceptions import FormDataRoutingRedirect as FormDataRoutingRedirect
from .exceptions import UnexpectedUnicodeError as UnexpectedUnicodeError
from .explanations import attach_enctype_error_multidict as attach_enctype_error_multidict
from .explanations import explain_template_loading_attempts as explain_template_loading_attempts
from .globals import request_ctx as request_ctx
from .sansio.app import App as App
