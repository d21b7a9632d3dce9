from importlib import import_module

from django.apps import AppConfig
from django.conf import settings


class OpsConfig(AppConfig):
    name = "ops"
    verbose_name = "Operations"

    def ready(self) -> None:
        # Importing the module registers the checks.
        import_module("ops.checks")
        if settings.SENTRY_DSN:
            import_module("ops.errors").init()
