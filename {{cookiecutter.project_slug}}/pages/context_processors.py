from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """Add settings.SITE to the context of all templates."""
    return {"SITE": settings.SITE}
