"""
ASGI config for {{ cookiecutter.project_slug }}.

It exposes the ASGI callable as a module-level variable named ``application``. The
handler is a faster one than Django's; to use Django's own, import get_asgi_application
from django.core.asgi instead.

https://docs.djangoproject.com/en/6.1/howto/deployment/asgi/
"""

import os

from server.handler import get_asgi_application

os.environ.setdefault(
    "DJANGO_SETTINGS_MODULE",
    "{{ cookiecutter.project_slug }}.settings",
)

application = get_asgi_application()
