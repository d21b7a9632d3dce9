from importlib import import_module

from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "ops"
    verbose_name = "Operations"

    def ready(self) -> None:
        # Importing the module registers the checks.
        import_module("ops.checks")
