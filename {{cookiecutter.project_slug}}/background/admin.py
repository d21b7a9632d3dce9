"""
The admin of the queues, as their libraries make it but for the styles they put into
their pages, which the Content-Security-Policy forbids.
"""

from django.conf import settings
from django.contrib import admin
from django.utils.html import format_html_join
from django_ox.admin import OxTask, OxTaskAdmin
from django_tasks_redis.admin import RedisTask
from django_tasks_redis.admin import RedisTaskAdmin as BaseRedisTaskAdmin

admin.site.unregister([OxTask, RedisTask])


@admin.register(OxTask)
class DatabaseTaskAdmin(OxTaskAdmin):
    def attempt_errors(self, task):
        return format_html_join(
            "",
            "<p>{exception_class_path}</p><pre>{traceback}</pre>",
            task.errors,
        )


@admin.register(RedisTask)
class RedisTaskAdmin(BaseRedisTaskAdmin):
    def has_module_permission(self, request):
        return bool(settings.TASKS_URL) and super().has_module_permission(request)

    @admin.display(description="status")
    def status_badge(self, task):
        return task.status
