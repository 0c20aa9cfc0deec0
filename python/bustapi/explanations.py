"""Explanations for developers: why a file or a template was not found."""

from __future__ import annotations

import typing as t

from .exceptions import DebugFilesKeyError
from .globals import request_ctx

if t.TYPE_CHECKING:
    from jinja2 import BaseLoader

    from .request import Request
    from .sansio.app import App
    from .sansio.blueprints import Blueprint
    from .sansio.scaffold import Scaffold

# A template's source, its file name if it has one, and a test for being up to date.
TemplateSource = tuple[str, str | None, t.Callable[[], bool] | None]


def attach_enctype_error_multidict(request: Request) -> None:
    """Have ``request.files`` explain a missing file that was sent as a form field.

    The class of the object is swapped for a subclass of it, because application
    code may hold the object already.
    """
    files_class = request.files.__class__

    class FilesOfPlainForm(files_class):  # type: ignore[valid-type, misc] # known only here
        def __getitem__(self, key: str) -> t.Any:
            try:
                return super().__getitem__(key)
            except KeyError as e:
                if key not in request.form:
                    raise

                explained = DebugFilesKeyError(request, key)
                raise explained.with_traceback(e.__traceback__) from None

    FilesOfPlainForm.__name__ = files_class.__name__
    FilesOfPlainForm.__module__ = files_class.__module__
    request.files.__class__ = FilesOfPlainForm


def explain_template_loading_attempts(
    app: App,
    template: str,
    attempts: list[tuple[BaseLoader, Scaffold, TemplateSource | None]],
) -> None:
    """Log where a template was looked for, and what was found.

    :param attempts: in order, each loader asked, the app or blueprint it belongs
        to, and its answer; ``None`` is no match.
    """
    lines = [f"Locating template {template!r}:"]
    found = 0

    for number, (loader, owner, source) in enumerate(attempts, 1):
        lines.append(f"{number:5}: trying loader of {_describe_owner(app, owner)}")
        lines.extend(f"       {line}" for line in _describe_loader(loader))

        if source is None:
            lines.append("       -> no match")
        else:
            lines.append(f"       -> found ({source[1] or '<string>'!r})")
            found += 1

    if found == 0:
        lines.append("Error: the template could not be found.")
    elif found > 1:
        lines.append("Warning: multiple loaders returned a match for the template.")

    blueprint = request_ctx.request.blueprint if request_ctx else None

    if found != 1 and blueprint is not None:
        lines.append(
            "  The template was looked up from an endpoint that belongs"
            f" to the blueprint {blueprint!r}."
        )
        lines.append("  Maybe you did not place a template in the right folder?")
        lines.append("  See https://flask.palletsprojects.com/blueprints/#templates")

    app.logger.info("\n".join(lines))


def _describe_owner(app: App, owner: Scaffold) -> str:
    """Name the app or blueprint that a loader belongs to."""
    if owner is app:
        return f"application {owner.import_name!r}"

    if any(owner is blueprint for blueprint in app.iter_blueprints()):
        blueprint = t.cast("Blueprint", owner)
        return f"blueprint {blueprint.name!r} ({blueprint.import_name})"

    return repr(owner)


def _describe_loader(loader: BaseLoader) -> t.Iterator[str]:
    """Give a loader's class and those of its public settings that are plain values."""
    yield f"class: {type(loader).__module__}.{type(loader).__name__}"

    for name, value in sorted(loader.__dict__.items()):
        if name.startswith("_"):
            continue

        if isinstance(value, (tuple, list)):
            items = t.cast("t.Sequence[t.Any]", value)

            if all(isinstance(item, str) for item in items):
                yield f"{name}:"
                yield from (f"  - {item}" for item in items)
        elif isinstance(value, (str, int, float, bool)):
            yield f"{name}: {value!r}"
