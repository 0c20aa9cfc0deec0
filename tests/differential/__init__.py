"""Compares routing with Werkzeug's own, on generated rules and requests."""
