"""Django's own way into ASGI."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "my_site.settings")
application = get_asgi_application()
