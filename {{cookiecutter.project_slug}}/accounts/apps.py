import sys
from importlib.util import LazyLoader, find_spec, module_from_spec

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("People")

    def ready(self):
        # Only passkeys need it, and cryptography with it, which takes as long to load
        # as half of the other apps.
        load_when_used("allauth.mfa.webauthn.internal", "auth")


def load_when_used(package, name):
    """
    Let a module be loaded when it is first used, not when it is imported.

    https://docs.python.org/3/library/importlib.html#implementing-lazy-imports
    """
    full_name = f"{package}.{name}"
    spec = find_spec(full_name)
    spec.loader = LazyLoader(spec.loader)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[full_name] = module
    setattr(sys.modules[package], name, module)
