"""The parts of an application that know neither WSGI nor ASGI nor a server."""
