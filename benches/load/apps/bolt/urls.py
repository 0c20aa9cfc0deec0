"""No views of Django's own."""

from __future__ import annotations

urlpatterns: list[object] = []
