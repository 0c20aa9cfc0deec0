"""Django settings: as little as a production server of JSON needs."""

from __future__ import annotations

import inputs

SECRET_KEY = inputs.SECRET
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.staticfiles", "django_bolt"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "urls"
STATIC_URL = "/static/"
STATIC_ROOT = inputs.STATIC
USE_TZ = True
LOGGING = {"version": 1, "disable_existing_loggers": True}
BOLT_API = ["api:api"]
