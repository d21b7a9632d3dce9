"""
ASGI config for {{ cookiecutter.project_slug }}.

It exposes the ASGI callable as a module-level variable named ``application``.
#: if cookiecutter.server == "fast"
The handler is a faster one than Django's; to use Django's own, import
get_asgi_application from django.core.asgi instead.
#: endif

https://docs.djangoproject.com/en/6.1/howto/deployment/asgi/
"""

import os

#: if cookiecutter.server == "stock"
from django.core.asgi import get_asgi_application

#: else
from server.handler import get_asgi_application

#: endif

os.environ.setdefault(
    "DJANGO_SETTINGS_MODULE",
    "{{ cookiecutter.project_slug }}.settings",
)

application = get_asgi_application()
