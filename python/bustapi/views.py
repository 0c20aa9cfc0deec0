"""Views as classes.

:class:`View` makes a view function of a class, :class:`MethodView` one that
calls the method named like the request method.
"""

from __future__ import annotations

import typing as t

from . import typing as ft  # noqa: TC001 Flask's module has the name at run time
from .globals import current_app, request

http_method_funcs = frozenset({"get", "post", "head", "options", "delete", "put", "trace", "patch"})


class View:
    """Base of class-based views.

    Override :meth:`dispatch_request`, and register what :meth:`as_view` makes:

    .. code-block:: python

        class ShowUser(View):
            def __init__(self, template):
                self.template = template

            def dispatch_request(self, id):
                return render_template(self.template, user=find_user(id))

        app.add_url_rule("/users/<int:id>", view_func=ShowUser.as_view("user", "user.html"))
    """

    #: The request methods; ``None`` leaves the default of ``add_url_rule``.
    methods: t.ClassVar[t.Collection[str] | None] = None

    #: Whether OPTIONS is answered without the view; ``None`` leaves the default of
    #: ``add_url_rule``.
    provide_automatic_options: t.ClassVar[bool | None] = None

    #: Applied to the view function, the first one innermost.
    decorators: t.ClassVar[list[t.Callable[..., t.Any]]] = []

    #: Make an instance for each request (``True``), or one for all of them
    #: (``False``), which then must not keep anything of a request.
    init_every_request: t.ClassVar[bool] = True

    def dispatch_request(self) -> ft.ResponseReturnValue:
        """Answer a request. Gets the arguments of the rule as keyword arguments."""
        raise NotImplementedError()

    @classmethod
    def as_view(cls, name: str, *class_args: t.Any, **class_kwargs: t.Any) -> ft.RouteCallable:
        """Make a view function of the class.

        :param name: the function's name, and so its default endpoint.
        :param class_args: for the class, when an instance is made.
        :param class_kwargs: for the class, when an instance is made.
        """
        view: t.Any

        if cls.init_every_request:

            def view_of_new_instance(**kwargs: t.Any) -> ft.ResponseReturnValue:
                # The attribute and not `cls`: replacing it replaces the class, in
                # tests for instance.
                instance = view.view_class(*class_args, **class_kwargs)
                return _call(instance.dispatch_request, kwargs)

            view = view_of_new_instance
        else:
            instance = cls(*class_args, **class_kwargs)

            def view_of_one_instance(**kwargs: t.Any) -> ft.ResponseReturnValue:
                return _call(instance.dispatch_request, kwargs)

            view = view_of_one_instance

        # Decorators may copy these two, and what they return gets them below.
        view.__name__ = name
        view.__module__ = cls.__module__

        for decorator in cls.decorators:
            view = decorator(view)

        view.__name__ = name
        view.__module__ = cls.__module__
        view.__doc__ = cls.__doc__
        view.view_class = cls
        view.methods = cls.methods
        view.provide_automatic_options = cls.provide_automatic_options
        return t.cast("ft.RouteCallable", view)


class MethodView(View):
    """A view with a method for each request method.

    .. code-block:: python

        class Counter(MethodView):
            def get(self):
                return {"count": session.get("count", 0)}

            def post(self):
                session["count"] = session.get("count", 0) + 1
                return self.get()

        app.add_url_rule("/counter", view_func=Counter.as_view("counter"))

    :attr:`methods` is what the class and its bases define, unless it is given.
    """

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)

        if "methods" in cls.__dict__:
            return

        methods = {key.upper() for key in http_method_funcs if hasattr(cls, key)}

        for base in cls.__bases__:
            methods.update(getattr(base, "methods", None) or ())

        if methods:
            cls.methods = methods

    def dispatch_request(self, **kwargs: t.Any) -> ft.ResponseReturnValue:
        """Call the method for the request method; HEAD falls back on GET."""
        method = getattr(self, request.method.lower(), None)

        if method is None and request.method == "HEAD":
            method = getattr(self, "get", None)

        assert method is not None, f"Unimplemented method {request.method!r}"
        return _call(method, kwargs)


def _call(function: t.Callable[..., t.Any], kwargs: dict[str, t.Any]) -> ft.ResponseReturnValue:
    """Call a function that may be a coroutine function, as the app runs those."""
    return t.cast("ft.ResponseReturnValue", current_app.ensure_sync(function)(**kwargs))
