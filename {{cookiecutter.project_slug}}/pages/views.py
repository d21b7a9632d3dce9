import platform
from datetime import timedelta

import django
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.http import require_safe


@require_safe
def home(request):
    """The front page; while DEBUG is on, also how the project is doing."""
    status = project_status() if settings.DEBUG else None
    return render(request, "pages/home.html", {"status": status})


@require_safe
def favicon(request):
    """Lead browsers that ask at the old address to the icon."""
    return redirect(static("favicon.svg"))


@require_safe
def manifest(request):
    """Tell a phone how to keep the site among its apps."""
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
def robots(request):
    """Ask search engines to leave the admin out."""
    return HttpResponse("User-agent: *\nDisallow: /admin/\n", "text/plain")


@require_safe
def security(request):
    """Say where to report a weakness: https://www.rfc-editor.org/rfc/rfc9116"""
    expires = (timezone.now() + timedelta(days=180)).isoformat(timespec="seconds")
    return HttpResponse(
        f"Contact: mailto:{settings.SITE['email']}\nExpires: {expires}\n",
        "text/plain; charset=utf-8",
    )


def project_status():
    """Return what a developer wants to know at a glance, for the home page."""
    pending = None
    try:
        executor = MigrationExecutor(connection)
        pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError:
        # Unreachable: the page says so, and goes on to say what else it knows.
        pass
    return {
        "database": connection.display_name,
        "reachable": pending is not None,
        "pending": pending,
        "django": django.get_version(),
        "python": platform.python_version(),
        "slug": settings.ROOT_URLCONF.partition(".")[0],
    }
