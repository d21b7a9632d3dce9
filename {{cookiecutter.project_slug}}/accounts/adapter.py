from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string


class AccountAdapter(DefaultAccountAdapter):
    """Send e-mails in the name of the site, as text and as HTML of the same text."""

    def render_mail(
        self,
        template_prefix: str,
        email: str,
        context: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> EmailMultiAlternatives:
        name = settings.SITE["name"]
        site = {"SITE": settings.SITE, "current_site": {"name": name, "domain": name}}
        message = super().render_mail(template_prefix, email, context | site, headers)
        context = {"SITE": settings.SITE, "message": message}
        html = render_to_string("account/email/message.html", context)
        message.attach_alternative(html, "text/html")
        return message
