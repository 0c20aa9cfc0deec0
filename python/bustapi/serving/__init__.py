"""The native server: how it is chosen, its processes, and what each of them does."""

from __future__ import annotations

from .native import serve as serve
