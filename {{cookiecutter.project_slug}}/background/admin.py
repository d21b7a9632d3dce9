"""
The admin of the queues, as their libraries make it but for the styles they put into
their pages, which the Content-Security-Policy forbids.
"""

from django.conf import settings
from django.contrib import admin
from django.utils.html import format_html_join
from django_ox.admin import OxTask, OxTaskAdmin

admin.site.unregister(OxTask)


@admin.register(OxTask)
class DatabaseTaskAdmin(OxTaskAdmin):
    def attempt_errors(self, task):
        return format_html_join(
            "",
            "<p>{exception_class_path}</p><pre>{traceback}</pre>",
            task.errors,
        )


if settings.TASKS_URL:  # pragma: no cover, for the tests are run without Redis
    from django_tasks_redis.admin import RedisTaskAdmin

    RedisTaskAdmin.status_badge = admin.display(description="status")(
        lambda self, task: task.status
    )
