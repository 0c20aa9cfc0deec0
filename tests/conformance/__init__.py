"""Runs the test suites of Flask and of its extensions on real Flask and on bustapi.

``make conformance`` (``python -m tests.conformance``) fetches each suite's source
distribution, builds an environment with pinned requirements, runs the suite's own tests once
on real Flask and once on bustapi behind :mod:`bustapi.flask_compat`, and prints for each how
many of the tests that pass on Flask pass on bustapi.

Nothing third-party is kept in the repository: sources, environments and logs lie under
``.cache/conformance``.
"""
