import platform
from datetime import timedelta
from typing import Any

import django
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.http import require_safe


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the home page and, while DEBUG is on, the status of the project."""
    status = project_status() if settings.DEBUG else None
    return render(request, "pages/home.html", {"status": status})


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect from the default URL of the icon to the icon."""
    return redirect(static("favicon.svg"))


@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    """Return the web app manifest, for phones that install the site as an app."""
    return JsonResponse(
        {
            "name": settings.SITE["name"],
            "short_name": settings.SITE["name"],
            "description": settings.SITE["description"],
            "start_url": "/",
            "display": "minimal-ui",
            "icons": [{"src": static("favicon.svg"), "sizes": "any"}],
        },
        content_type="application/manifest+json",
    )


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Exclude the admin from search engines."""
    return HttpResponse("User-agent: *\nDisallow: /admin/\n", "text/plain")


@require_safe
def security(request: HttpRequest) -> HttpResponse:
    """Return where to report a vulnerability: https://www.rfc-editor.org/rfc/rfc9116"""
    expires = (timezone.now() + timedelta(days=180)).isoformat(timespec="seconds")
    return HttpResponse(
        f"Contact: mailto:{settings.SITE['email']}\nExpires: {expires}\n",
        "text/plain; charset=utf-8",
    )


def project_status() -> dict[str, Any]:
    """Return the status of the project that the home page shows."""
    pending = None
    try:
        executor = MigrationExecutor(connection)
        pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError:
        # The page shows that the database does not respond.
        pass
    return {
        "database": connection.display_name,
        "reachable": pending is not None,
        "pending": pending,
        "django": django.get_version(),
        "python": platform.python_version(),
        "slug": settings.ROOT_URLCONF.partition(".")[0],
    }
