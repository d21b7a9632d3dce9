"""The ASGI application, for `uvicorn {{ cookiecutter.project_slug }}.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault(
    "DJANGO_SETTINGS_MODULE",
    "{{ cookiecutter.project_slug }}.settings",
)

application = get_asgi_application()
