"""A record of what happened in an app, in order, which a later request can read."""

from __future__ import annotations

import threading
import typing as t

#: Seconds until a request gives up waiting for what was to happen.
DEADLINE = 10.0

#: The status where fewer events happened than were waited for; no other answer has it.
WAITED = "599 WAITED"


class Events:
    """What happened, in order. What ends after its answer was sent may be waited for."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._changed = threading.Condition()

    def add(self, text: t.Any) -> None:
        """Note that something happened."""
        with self._changed:
            self._texts.append(str(text))
            self._changed.notify_all()

    def serve(self, app: t.Any, framework: t.Any) -> None:
        """Let the app tell, and forget, what happened: at ``/events/<how many to wait for>``.

        It answers with the status `WAITED` if not so many happen in time.
        """

        def events(count: int) -> t.Any:
            with self._changed:
                enough = self._changed.wait_for(lambda: len(self._texts) >= count, DEADLINE)
                texts, self._texts = self._texts, []

            return framework.jsonify(texts), 200 if enough else WAITED

        app.add_url_rule("/events/<int:count>", "events", events)
