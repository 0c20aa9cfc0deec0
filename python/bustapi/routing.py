"""URL maps: Werkzeug's classes, with matching and building done by the native router.

`Map`, `Rule` and `MapAdapter` are subclasses of Werkzeug's and have all of its API; the other
names are Werkzeug's own. A map takes rules of Werkzeug's class as well.

Where a subclass overrides how rules are matched or built, the native answers could be others
than Werkzeug's: the map is then *foreign*, and Werkzeug's implementation answers for it. The
objects that it needs (the state machine, the rules by endpoint) are therefore kept by every map.
"""

from __future__ import annotations

import typing as t
import warnings

from werkzeug.routing import AnyConverter as AnyConverter
from werkzeug.routing import BaseConverter as BaseConverter
from werkzeug.routing import BuildError as BuildError
from werkzeug.routing import EndpointPrefix as EndpointPrefix
from werkzeug.routing import FloatConverter as FloatConverter
from werkzeug.routing import IntegerConverter as IntegerConverter
from werkzeug.routing import Map as _Map
from werkzeug.routing import MapAdapter as _MapAdapter
from werkzeug.routing import NoMatch as NoMatch
from werkzeug.routing import PathConverter as PathConverter
from werkzeug.routing import RequestAliasRedirect as RequestAliasRedirect
from werkzeug.routing import RequestPath as RequestPath
from werkzeug.routing import RequestRedirect as RequestRedirect
from werkzeug.routing import RoutingException as RoutingException
from werkzeug.routing import Rule as _Rule
from werkzeug.routing import RuleFactory as RuleFactory
from werkzeug.routing import RuleTemplate as RuleTemplate
from werkzeug.routing import RuleTemplateFactory as RuleTemplateFactory
from werkzeug.routing import Subdomain as Subdomain
from werkzeug.routing import Submount as Submount
from werkzeug.routing import UnicodeConverter as UnicodeConverter
from werkzeug.routing import UUIDConverter as UUIDConverter
from werkzeug.routing import ValidationError as ValidationError
from werkzeug.routing import WebsocketMismatch as WebsocketMismatch
from werkzeug.routing import parse_converter_args as parse_converter_args
from werkzeug.wsgi import get_host

from ._native import Defaults, MapAdapterBase, RuleMap, set_routing_classes
from ._native import build_in_request as build_in_request
from ._native import make_url_for as make_url_for

if t.TYPE_CHECKING:
    import typing_extensions as te
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.routing.rules import RulePart
    from werkzeug.wrappers import Request

#: What the native code takes over from each class. Overriding one of them makes a map foreign.
_RULE_BEHAVIOUR = (
    "__eq__",
    "_build",
    "_build_unknown",
    "_compile_builder",
    "_encode_query_vars",
    "_parse_rule",
    "bind",
    "build",
    "build_compare_key",
    "compile",
    "provides_defaults_for",
    "refresh",
    "suitable_for",
)
#: Attributes of a rule that the native code reads; properties of these names are overrides too.
_RULE_STATE = (
    "_converters",
    "_parts",
    "_trace",
    "alias",
    "arguments",
    "build_only",
    "defaults",
    "endpoint",
    "host",
    "map",
    "merge_slashes",
    "methods",
    "redirect_to",
    "rule",
    "strict_slashes",
    "subdomain",
    "websocket",
)
#: Attributes that Werkzeug, too, reads at each match.
_READ_WHEN_MATCHING = frozenset({"methods", "redirect_to", "strict_slashes", "websocket"})
_MAP_BEHAVIOUR = ("__getattribute__", "merge_slashes", "update")
_MATCH_BEHAVIOUR = (
    "__getattribute__",
    "_partial_build",
    "get_default_redirect",
    "get_host",
    "make_alias_redirect_url",
    "make_redirect_url",
)
_BUILD_BEHAVIOUR = ("__getattribute__", "_partial_build", "get_host")
#: Methods that the native code does without, and that a single adapter may be given of its own.
_ADAPTER_BEHAVIOUR = frozenset({"build", *_MATCH_BEHAVIOUR})
_ADAPTER_STATE = (
    "map",
    "server_name",
    "script_name",
    "subdomain",
    "url_scheme",
    "path_info",
    "default_method",
    "query_args",
    "websocket",
)
_OPTIONS = frozenset(
    {
        "default_subdomain",
        "host_matching",
        "redirect_defaults",
        "sort_key",
        "sort_parameters",
    }
)
#: How Werkzeug begins to say that a rule string is malformed.
_FAULTS = ("malformed url rule", "Cannot parse converter argument", "the converter ")
#: Names that Python takes for no parameter of a function.
_RESERVED_NAMES = frozenset({"None", "True", "False", "__debug__"})


def _is_plain_rule(cls: type[_Rule]) -> bool:
    defaults = _rule_defaults if issubclass(cls, Rule) else _werkzeug_rule_defaults
    return not defaults.replaced_by(cls)


class Rule(_Rule):
    """One URL pattern, its endpoint and its options.

    Takes the arguments of `werkzeug.routing.Rule`. Attributes may be assigned after the rule
    was added to a map; where they are changed in place (``rule.methods.add(...)``), call
    `refresh`.

    :raises ValueError: the rule string does not begin with a slash, or ``methods`` that a
        WebSocket cannot have.
    :raises TypeError: ``methods`` is a string.
    """

    # The name that the class has in Flask's API, which is what users see of it.
    __module__ = "werkzeug.routing.rules"

    #: The map that has read this rule's attributes.
    _reader: Map | None = None

    def __setattr__(self, name: str, value: t.Any) -> None:
        super().__setattr__(name, value)
        reader = self._reader

        if reader is not None and name != "_reader":
            if name in _READ_WHEN_MATCHING:
                reader._forget()
            elif name in _RULE_STATE or name in _RULE_BEHAVIOUR:
                # Werkzeug has used the old value when the rule was added, and uses the new
                # one elsewhere.
                reader._make_foreign()

    def __reduce_ex__(self, protocol: t.SupportsIndex) -> str | tuple[t.Any, ...]:
        if type(self) is Rule:
            # Pickle would look for the class under the name that it shows.
            return _blank_rule, (), self.__dict__

        return super().__reduce_ex__(protocol)

    def refresh(self) -> None:
        """Read the rule's attributes again, after they were changed in place."""
        reader, parts = self._reader, self._parts
        self._reader = None
        super().refresh()
        self._reader = reader

        if reader is not None:
            # Werkzeug goes on matching by the parts that the rule had when it was added.
            if self._parts == parts:
                reader._forget()
            else:
                reader._make_foreign()

    def _parse_rule(self, rule: str) -> t.Iterable[RulePart]:
        before = len(self._trace)

        try:
            yield from super()._parse_rule(rule)
        except (ValueError, LookupError) as error:
            message = str(error)

            # Converters may raise as well, in their own words.
            if type(error) not in (ValueError, LookupError) or not message.startswith(_FAULTS):
                raise

            # Werkzeug notes each variable once it is understood.
            number = sum(is_variable for is_variable, _ in self._trace[before:])
            # Lone surrogates are a character each, too.
            text = rule.encode(errors="replace").decode()
            where = f"position {RuleMap._variable_position(text, number)}"

            if repr(rule) not in message:
                where += f" of {rule!r}"

            raise type(error)(f"{message} (at {where})") from None

    def _compile_builder(self, append_unknown: bool = True) -> t.Callable[..., tuple[str, str]]:
        # Werkzeug writes a function for each rule, twice, and that is most of what adding a
        # rule costs. The router needs none; where a name or a text might be refused or a
        # default is turned into text, it has to be written here and now.
        defaults = {} if self.defaults is None else self.defaults
        variables = [name for is_variable, name in self._trace if is_variable]
        names = {*variables, *defaults}

        text = "".join(text for is_variable, text in self._trace if not is_variable)

        if (
            len(names) < len(variables) + len(defaults)
            or names & _RESERVED_NAMES
            or not (text.isascii() or _is_encodable(text))
        ):
            return super()._compile_builder(append_unknown)

        compile_builder = super()._compile_builder

        def build(rule: Rule, /, **values: t.Any) -> tuple[str, str]:
            return compile_builder(append_unknown)(rule, **values)

        return build


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False

    return True


def _blank_rule() -> Rule:
    return Rule.__new__(Rule)


class MapAdapter(MapAdapterBase, _MapAdapter):
    """A `Map` bound to the place where its application is reached."""

    def __setattr__(self, name: str, value: t.Any) -> None:
        super().__setattr__(name, value)

        if name in _ADAPTER_BEHAVIOUR:
            self._make_foreign()

    def __getstate__(self) -> dict[str, t.Any]:
        own = {name: getattr(self, name) for name in _ADAPTER_STATE}
        return {**self.__dict__, **own}

    def __setstate__(self, state: dict[str, t.Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


class Map(RuleMap, _Map):
    """All rules of an application, and the options they share.

    Takes the arguments of `werkzeug.routing.Map`. Rules and converters can be added at any
    time, also while requests are matched.
    """

    # The name that the class has in Flask's API, which is what users see of it.
    __module__ = "werkzeug.routing.map"

    converters: dict[str, type[BaseConverter]]
    _rules_by_endpoint: dict[t.Any, list[_Rule]]

    def __new__(cls, *args: t.Any, **kwargs: t.Any) -> te.Self:
        """Make an empty map, which a subclass may have made foreign."""
        self = super().__new__(cls, *args, **kwargs)

        if _map_defaults.replaced_by(cls):
            self._make_foreign()

        return self

    def __setattr__(self, name: str, value: t.Any) -> None:
        super().__setattr__(name, value)

        if name in _OPTIONS:
            self._set_option(name, value)
        elif name in ("merge_slashes", "_matcher"):
            self._set_option("merge_slashes", self.merge_slashes)

    def add(self, rulefactory: RuleFactory) -> None:
        """Add the rules of `rulefactory`, which may be a `Rule`.

        :raises RuntimeError: a rule is bound to another map.
        :raises ValueError: a rule string is malformed.
        :raises LookupError: a rule names a converter that the map does not have.
        """
        for rule in rulefactory.get_rules(self):
            rule.bind(self)

            if not rule.build_only:
                self._matcher.add(rule)

            self._rules_by_endpoint.setdefault(rule.endpoint, []).append(rule)
            self._remap = True
            self._take(rule, _is_plain_rule(type(rule)))

            if isinstance(rule, Rule):
                rule._reader = self

    def __getstate__(self) -> dict[str, t.Any]:
        return {**self.__dict__, "_taken_rules": self._taken_rules()}

    def __setstate__(self, state: dict[str, t.Any]) -> None:
        rules = state.pop("_taken_rules")

        for name, value in state.items():
            setattr(self, name, value)

        for rule in rules:
            self._take(rule, _is_plain_rule(type(rule)))


def _bind_to_environ(
    url_map: Map,
    environ: WSGIEnvironment | Request,
    server_name: str | None,
    subdomain: str | None,
) -> MapAdapter:
    """Bind a map to a request; `Map.bind_to_environ` does so itself for the usual ones."""
    env = t.cast("WSGIEnvironment", getattr(environ, "environ", environ))
    assert isinstance(env, dict), f"{type(environ).__name__!r} is no WSGI environment, a dict."
    scheme: str = env["wsgi.url_scheme"]
    own_name = get_host(env).lower()

    if _is_websocket_request(env):
        scheme = "wss" if scheme == "https" else "ws"

    if server_name is None:
        server_name = own_name
    else:
        server_name = server_name.lower()
        standard_port = ":80" if scheme in ("http", "ws") else ":443"

        if scheme in ("http", "ws", "https", "wss"):
            server_name = server_name.removesuffix(standard_port)

    if subdomain is None and not url_map.host_matching:
        subdomain = _find_subdomain(own_name, server_name)

    return RuleMap.bind(
        url_map,
        server_name,
        _decode(env.get("SCRIPT_NAME")),
        subdomain,
        scheme,
        env["REQUEST_METHOD"],
        _decode(env.get("PATH_INFO")),
        _decode(env.get("QUERY_STRING")),
    )


def _is_websocket_request(env: WSGIEnvironment) -> bool:
    if "HTTP_UPGRADE" not in env:
        return False

    connection = env.get("HTTP_CONNECTION", "").lower().split(",")
    upgrade = any(option.strip(" \t") == "upgrade" for option in connection)
    return upgrade and env["HTTP_UPGRADE"].lower() == "websocket"


def _find_subdomain(own_name: str, server_name: str) -> str:
    """The part of the request's host in front of the server's name."""
    if own_name == server_name:
        return ""

    own_labels = own_name.split(".")
    labels = server_name.split(".")
    offset = -len(labels)

    if own_labels[offset:] != labels:
        warnings.warn(
            f"Current server name {own_name!r} doesn't match configured"
            f" server name {server_name!r}",
            stacklevel=3,
        )
        # No rule has it, so everything is not found.
        return "<invalid>"

    return ".".join(filter(None, own_labels[:offset]))


def _decode(text: str | None) -> str | None:
    """Text of a WSGI environment, whose characters stand for bytes."""
    if text is None or text.isascii():
        return text

    return text.encode("latin1").decode(errors="replace")


_NATIVE_IN_RULES = {"behaviour": (*_RULE_BEHAVIOUR, *_RULE_STATE, "__getattribute__")}
_rule_defaults = Defaults(Rule, _NATIVE_IN_RULES)
_werkzeug_rule_defaults = Defaults(_Rule, _NATIVE_IN_RULES)
_map_defaults = Defaults(Map, {"behaviour": _MAP_BEHAVIOUR})


def _note_converter(
    cls: type[BaseConverter], name: str, *parameters: str
) -> tuple[Defaults, str, tuple[str, ...]]:
    """What the router needs of a class that it has the like of, under a name of its own.

    :param parameters: the attributes that are the arguments there.
    """
    methods = ("to_python", "to_url", "num_convert")
    return Defaults(cls, {"methods": methods}), name, parameters


set_routing_classes(
    maps=_map_defaults,
    adapters=Defaults(
        MapAdapter,
        {
            "matches": ("build", *_MATCH_BEHAVIOUR, *_ADAPTER_STATE),
            "builds": (*_BUILD_BEHAVIOUR, *_ADAPTER_STATE),
        },
    ),
    converters=Defaults(BaseConverter, {"to_python": ("to_python",), "to_url": ("to_url",)}),
    numbers=[
        _note_converter(IntegerConverter, "int", "fixed_digits", "min", "max"),
        _note_converter(FloatConverter, "float", "min", "max"),
        _note_converter(UUIDConverter, "uuid"),
    ],
    foreign_match=_MapAdapter.match,
    foreign_build=_MapAdapter.build,
    bind_to_environ=_bind_to_environ,
)
