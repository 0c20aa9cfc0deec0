"""The servers that BustAPI is compared with, at pinned versions, and how each is started."""

from __future__ import annotations

from dataclasses import dataclass

FLASK = (
    "Flask==3.1.3",
    "Werkzeug==3.1.9",
    "Jinja2==3.1.6",
    "itsdangerous==2.2.0",
    "asgiref==3.12.1",
)
JINJA = ("Jinja2==3.1.6",)
#: The loop of every peer that can be told to use it.
UVLOOP = "uvloop==0.23.0"
GRANIAN = ("granian==2.8.7", UVLOOP)
GRANIAN_COMMAND = (
    "{bin}/granian --host 127.0.0.1 --port {port} --workers 1 --no-access-log --log-level error"
    " --interface "
)


@dataclass(frozen=True)
class Peer:
    """A framework and its server.

    In `command`, ``{bin}``, ``{python}``, ``{port}``, ``{config}`` (nginx) and
    ``{bare_hyper}`` are filled in; it runs in the folder of the applications.
    """

    name: str
    command: str
    requirements: tuple[str, ...] = ()
    #: Workloads that it does not offer.
    without: tuple[str, ...] = ()
    #: If given, the only workloads that it offers.
    only: tuple[str, ...] = ()
    #: The oldest Python that it runs on.
    least_python: tuple[int, int] = (3, 10)
    #: A library of the system that it loads, without ``lib``, and its package on Debian.
    library: tuple[str, str] | None = None
    #: Its workload that is measured in place of those it does not offer.
    instead: str = ""
    #: No Python: a limit of what is possible.
    is_limit: bool = False

    def offers(self, workload: str) -> bool:
        """Whether it is measured under a workload."""
        return workload not in self.without and (not self.only or workload in self.only)

    @property
    def has_environment(self) -> bool:
        """Whether it runs in a virtual environment."""
        return bool(self.requirements)


#: Installed from this tree, not from PyPI; with what ``bustapi[async]`` needs.
BUSTAPI = Peer(
    "bustapi",
    "{python} -m bustapi --app flask_app run --flask-compat --host 127.0.0.1 --port {port}",
    ("werkzeug==3.1.9", "jinja2==3.1.6", "itsdangerous==2.2.0", "click==8.5.1", "blinker==1.9.0",
     "markupsafe==3.0.4", UVLOOP, "asgiref==3.12.1"),
)  # fmt: skip

#: hyper alone: what ratios are to. Its plain answer is measured beside every workload.
BARE_HYPER = Peer(
    "bare-hyper",
    "{bare_hyper} {port}",
    only=("plain", "json"),
    instead="plain",
    is_limit=True,
)

PEERS = [
    BUSTAPI,
    BARE_HYPER,
    Peer(
        "flask+gunicorn",
        "{bin}/gunicorn --bind 127.0.0.1:{port} --worker-class gthread --threads 8 --workers 1"
        " --log-level error flask_app:app",
        (*FLASK, "gunicorn==27.0.1"),
    ),
    Peer("flask+granian", GRANIAN_COMMAND + "wsgi flask_app:app", (*FLASK, *GRANIAN)),
    Peer(
        "fastapi+uvicorn",
        "{bin}/uvicorn fastapi_app:app --host 127.0.0.1 --port {port} --no-access-log"
        " --log-level error",
        (
            "fastapi==0.165.0",
            "starlette==1.10.0",
            "python-multipart==0.0.34",
            "itsdangerous==2.2.0",
            "uvicorn[standard]==0.54.0",
            *JINJA,
        ),
    ),
    Peer(
        "falcon+granian",
        GRANIAN_COMMAND + "wsgi falcon_app:app",
        ("falcon==4.4.0", *GRANIAN, *JINJA),
        without=("async", "session"),
    ),
    Peer(
        "blacksheep+granian",
        GRANIAN_COMMAND + "asgi blacksheep_app:app",
        ("blacksheep==2.6.4", *GRANIAN, *JINJA),
    ),
    Peer("sanic", "{python} sanic_app.py", ("sanic==25.12.1", *JINJA), without=("session",)),
    Peer(
        "litestar+granian",
        GRANIAN_COMMAND + "asgi litestar_app:app",
        ("litestar[standard]==2.25.0", "cryptography==50.0.2", *GRANIAN, *JINJA),
    ),
    Peer(
        "robyn",
        "{python} robyn_app.py --processes 1 --workers 1 --log-level ERROR",
        ("robyn==0.88.0", *JINJA),
        without=("session",),
    ),
    Peer(
        "django-bolt",
        "{python} bolt/manage.py runbolt --host 127.0.0.1 --port {port} --processes 1 --no-admin",
        ("django-bolt==0.13.0", "Django==6.1.3", *JINJA),
        without=("session", "multipart"),
        least_python=(3, 13),
    ),
    Peer(
        "quart+hypercorn",
        "{bin}/hypercorn --bind 127.0.0.1:{port} --workers 1 --worker-class uvloop"
        " --log-level error quart_app:app",
        ("Quart==0.22.0", "Hypercorn==0.18.0", UVLOOP, *FLASK),
    ),
    Peer(
        "socketify",
        "{python} socketify_app.py",
        ("socketify==0.0.31", *JINJA),
        without=("session", "multipart"),
        library=("uv", "libuv1"),
    ),
    Peer(
        "granian-rsgi",
        GRANIAN_COMMAND + "rsgi rsgi_app:app",
        GRANIAN,
        only=("plain", "json", "async"),
    ),
    Peer(
        "nginx",
        "nginx -e stderr -c {config}",
        only=("plain", "static", "static-10m"),
        is_limit=True,
    ),
]
