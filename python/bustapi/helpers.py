"""Functions for views: responses, URLs, files, flashed messages, streaming.

Most of them ask the current app, so that an app can override what they do.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import typing as t
from functools import update_wrapper

import werkzeug.utils
from werkzeug.exceptions import abort as _werkzeug_abort

from .globals import _cv_app, _cv_request, current_app, request, request_ctx, session
from .routing import make_url_for
from .signals import message_flashed

if t.TYPE_CHECKING:
    from datetime import datetime

    from werkzeug.wrappers import Response as BaseResponse

    from .app import Flask
    from .ctx import AppContext, RequestContext
    from .response import Response

# What an environment variable holds when it says no.
_NO = frozenset({"0", "false", "no"})


def get_debug_flag() -> bool:
    """Tell whether ``FLASK_DEBUG`` asks for debug mode; unset or empty is no."""
    flag = os.environ.get("FLASK_DEBUG")
    return bool(flag and flag.lower() not in _NO)


def get_load_dotenv(default: bool = True) -> bool:
    """Tell whether to load dotenv files, which ``FLASK_SKIP_DOTENV`` forbids.

    :param default: the answer when the variable is unset or empty.
    """
    skip = os.environ.get("FLASK_SKIP_DOTENV")
    return skip.lower() in _NO if skip else default


@t.overload
def stream_with_context(
    generator_or_function: t.Iterator[t.AnyStr],
) -> t.Iterator[t.AnyStr]: ...


@t.overload
def stream_with_context(
    generator_or_function: t.Callable[..., t.Iterator[t.AnyStr]],
) -> t.Callable[[t.Iterator[t.AnyStr]], t.Iterator[t.AnyStr]]: ...


def stream_with_context(
    generator_or_function: t.Iterator[t.AnyStr] | t.Callable[..., t.Iterator[t.AnyStr]],
) -> t.Iterator[t.AnyStr] | t.Callable[[t.Iterator[t.AnyStr]], t.Iterator[t.AnyStr]]:
    """Keep the current contexts for a body that is generated later.

    A streamed body runs when the view has returned and its context is gone. Wrap
    its generator, or decorate the generator function, and ``request``, ``session``
    and ``g`` are there while it runs:

    .. code-block:: python

        @app.get("/export")
        def export():
            @stream_with_context
            def lines():
                for row in rows(request.args["table"]):
                    yield f"{row}\\n"

            return lines(), {"Content-Type": "text/csv"}

    :raises RuntimeError: there is no request context to keep, when given a
        generator; of a function, calling it raises.
    """
    try:
        source = iter(t.cast("t.Iterator[t.AnyStr]", generator_or_function))
    except TypeError:
        function = t.cast("t.Callable[..., t.Iterator[t.AnyStr]]", generator_or_function)

        def start(*args: t.Any, **kwargs: t.Any) -> t.Any:
            return stream_with_context(function(*args, **kwargs))

        return update_wrapper(start, function)

    request_context = _cv_request.get(None)

    if request_context is None:
        raise RuntimeError(
            "'stream_with_context' can only be used when a request"
            " context is active, such as in a view function."
        )

    return _iterate_within(_cv_app.get(), request_context, source)


def _iterate_within(
    app_context: AppContext,
    request_context: RequestContext,
    source: t.Iterator[t.AnyStr],
) -> t.Iterator[t.AnyStr]:
    """Push both contexts when iteration begins, pop them when it ends."""
    # The app context first: without one the request context would push another.
    with app_context, request_context:
        try:
            yield from source
        finally:
            # `source` may be any iterator, such as the body of a WSGI app; unlike a
            # generator it is not closed by `yield from` when it ends.
            close = getattr(source, "close", None)

            if close is not None:
                close()


def make_response(*args: t.Any) -> Response:
    """Make the response that a view's return value stands for.

    For headers, cookies and the like in a view, and for decorators of views:

    .. code-block:: python

        response = make_response(render_template("report.html"), 202)
        response.headers["X-Report"] = "7"

    :param args: what a view would return; several are taken as a tuple, none
        gives an empty response.
    :raises TypeError: the value does not stand for a response.
    """
    if not args:
        return current_app.response_class()

    return current_app.make_response(args[0] if len(args) == 1 else args)


@make_url_for
def url_for(
    endpoint: str,
    *,
    _anchor: str | None = None,
    _method: str | None = None,
    _scheme: str | None = None,
    _external: bool | None = None,
    **values: t.Any,
) -> str:
    """Build the URL of an endpoint by the current app's ``url_for``.

    :param endpoint: with a leading ``.``, one of the current blueprint.
    :param _anchor: added after ``#``.
    :param _method: choose the rule for this method.
    :param _scheme: scheme of an external URL.
    :param _external: with scheme and host (``True``) or without (``False``);
        ``None`` is without in a request, with outside of one.
    :param values: arguments of the rule; others become the query string.
    :raises werkzeug.routing.BuildError: no rule takes these values, and no handler
        of build errors did.
    :raises RuntimeError: there is no current app.
    """
    return current_app.url_for(
        endpoint,
        _anchor=_anchor,
        _method=_method,
        _scheme=_scheme,
        _external=_external,
        **values,
    )


def redirect(
    location: str,
    code: int = 302,
    Response: type[BaseResponse] | None = None,  # noqa: N803 Flask's name
) -> BaseResponse:
    """Make a redirect by the current app's ``redirect``, or Werkzeug's without app.

    :param location: the URL to go to.
    :param code: the status.
    :param Response: class of the response when there is no current app.
    """
    if current_app:
        return current_app.redirect(location, code=code)

    return werkzeug.utils.redirect(location, code=code, Response=Response)


def abort(code: int | BaseResponse, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
    """Raise the HTTP error of a status, by the current app's ``aborter`` if any.

    :param code: the status, or a response to answer with.
    :param args: for the exception.
    :param kwargs: for the exception.
    :raises werkzeug.exceptions.HTTPException: always.
    :raises LookupError: no exception is known for the status.
    """
    if current_app:
        current_app.aborter(code, *args, **kwargs)

    _werkzeug_abort(code, *args, **kwargs)


def get_template_attribute(template_name: str, attribute: str) -> t.Any:
    """Return a macro or variable that a template exports, for use in Python.

    :raises jinja2.TemplateNotFound: there is no such template.
    :raises AttributeError: the template exports nothing of that name.
    """
    template = current_app.jinja_env.get_template(template_name)
    return getattr(template.module, attribute)


def flash(message: str, category: str = "message") -> None:
    """Keep a message in the session until :func:`get_flashed_messages` takes it.

    :param category: any word; ``message``, ``error``, ``info`` and ``warning`` are
        the usual ones.
    """
    # Assigned anew and not changed in place: a session that is kept elsewhere need
    # not notice a change within a value.
    flashes = session.get("_flashes", [])
    flashes.append((category, message))
    session["_flashes"] = flashes
    app = t.cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined] # it is a proxy
    message_flashed.send(app, _async_wrapper=app.ensure_sync, message=message, category=category)


def get_flashed_messages(
    with_categories: bool = False, category_filter: t.Iterable[str] = ()
) -> list[str] | list[tuple[str, str]]:
    """Take the flashed messages out of the session.

    Within one request, further calls return the same messages.

    :param with_categories: return pairs of category and message.
    :param category_filter: return only messages of these categories.
    """
    flashes = request_ctx.flashes

    if flashes is None:
        taken: list[tuple[str, str]] = session.pop("_flashes") if "_flashes" in session else []
        request_ctx.flashes = flashes = taken

    if category_filter:
        flashes = [flash for flash in flashes if flash[0] in category_filter]

    if with_categories:
        return flashes

    return [message for _, message in flashes]


def _prepare_send_file_kwargs(**kwargs: t.Any) -> dict[str, t.Any]:
    """Add what Werkzeug's file functions need to know of app and request."""
    if kwargs.get("max_age") is None:
        kwargs["max_age"] = current_app.get_send_file_max_age

    return {
        **kwargs,
        "environ": request.environ,
        "use_x_sendfile": current_app.config["USE_X_SENDFILE"],
        "response_class": current_app.response_class,
        "_root_path": current_app.root_path,
    }


def send_file(
    path_or_file: os.PathLike[t.AnyStr] | str | t.IO[bytes],
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | int | float | None = None,
    max_age: int | t.Callable[[str | None], int | None] | None = None,
) -> Response:
    """Answer with a file.

    The path is trusted: for a path that a client chose there is
    :func:`send_from_directory`.

    :param path_or_file: a path, relative to the app's root path, or a file open in
        binary mode at the first byte to send.
    :param mimetype: guessed from the name if ``None``.
    :param as_attachment: ask the browser to save the file.
    :param download_name: the name to save it by; the file's own if ``None``.
    :param conditional: answer conditional and range requests.
    :param etag: send an entity tag; a string is the tag to send.
    :param last_modified: when the file changed, in seconds; taken from the file if
        ``None``.
    :param max_age: for how many seconds to cache, or a function of the path that
        tells; the app's ``get_send_file_max_age`` if ``None``.
    :raises OSError: the file cannot be read.
    :raises ValueError: the file is open as text.
    :raises TypeError: an attachment without any name.
    """
    return werkzeug.utils.send_file(  # type: ignore[return-value] # made by response_class
        **_prepare_send_file_kwargs(
            path_or_file=path_or_file,
            # First of all, so that what is missed outside of a request is a request.
            environ=request.environ,
            mimetype=mimetype,
            as_attachment=as_attachment,
            download_name=download_name,
            conditional=conditional,
            etag=etag,
            last_modified=last_modified,
            max_age=max_age,
        )
    )


def send_from_directory(
    directory: os.PathLike[str] | str,
    path: os.PathLike[str] | str,
    **kwargs: t.Any,
) -> Response:
    """Answer with a file below a directory; the client may choose the path.

    :param directory: relative to the app's root path. Not to be chosen by clients.
    :param path: relative to `directory`.
    :param kwargs: for :func:`send_file`.
    :raises werkzeug.exceptions.NotFound: the path leads out of the directory, or
        to no regular file.
    """
    return werkzeug.utils.send_from_directory(  # type: ignore[return-value] # see send_file
        directory, path, **_prepare_send_file_kwargs(**kwargs)
    )


def get_root_path(import_name: str) -> str:
    """Find the folder of a package, or the folder that a module is in.

    :return: the current directory for what is not imported from a file, such as an
        interactive session.
    :raises RuntimeError: the name has no folder of its own (a namespace package,
        or an import hook that tells none).
    """
    loaded = sys.modules.get(import_name)

    if loaded is not None and getattr(loaded, "__file__", None) is not None:
        return _folder_of(t.cast("str", loaded.__file__))

    try:
        spec = importlib.util.find_spec(import_name)
    except (ImportError, ValueError):
        # ValueError: a module without __spec__, such as __main__.
        spec = None

    loader = spec.loader if spec is not None else None

    if loader is None:
        return os.getcwd()

    get_filename = getattr(loader, "get_filename", None)

    if get_filename is not None:
        return _folder_of(get_filename(import_name))

    # The loader does not tell: the module itself may, once it is imported.
    __import__(import_name)
    filename = getattr(sys.modules[import_name], "__file__", None)

    if filename is None:
        raise RuntimeError(
            "No root path can be found for the provided module"
            f" {import_name!r}. This can happen because the module"
            " came from an import hook that does not provide file"
            " name information or because it's a namespace package."
            " In this case the root path needs to be explicitly"
            " provided."
        )

    return _folder_of(filename)


def _folder_of(filename: str) -> str:
    return os.path.dirname(os.path.abspath(filename))


def _split_blueprint_path(name: str) -> list[str]:
    """Return a blueprint's dotted name and those of the blueprints it is in.

    ``"shop.cart"`` gives ``["shop.cart", "shop"]``.
    """
    names = [name]

    while "." in name:
        name = name.rpartition(".")[0]
        names.append(name)

    return names
