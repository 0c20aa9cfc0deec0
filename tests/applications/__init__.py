"""Applications from PyPI, unmodified, on Flask and on bustapi: ``make conformance-apps``.

Each file in `programs` describes one application: what to install, how it is started, and a script
of requests that uses what is special in it. The script is driven, through a relay that records
every exchange, against the application as it is normally served on Flask, and against bustapi with
one worker and with two (and, where a program starts a server of its own, against that program with
bustapi in Flask's place). Statuses, headers and bodies must be the same, as must be the number of
tracebacks in the log; what is random is normalised, each normalisation with its reason.

Nothing of the applications is kept in this repository: they are installed into environments of
their own below ``.cache/applications``, and what ran is left there to look at.
"""
