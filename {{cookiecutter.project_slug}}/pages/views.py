import platform

import django
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.shortcuts import redirect, render
from django.templatetags.static import static
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
