from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.template.loader import render_to_string


class AccountAdapter(DefaultAccountAdapter):
    """Send e-mails in the site's name, as text and, from the same text, as HTML."""

    def render_mail(self, template_prefix, email, context, headers=None):
        name = settings.SITE["name"]
        site = {"SITE": settings.SITE, "current_site": {"name": name, "domain": name}}
        message = super().render_mail(template_prefix, email, context | site, headers)
        context = {"SITE": settings.SITE, "message": message}
        html = render_to_string("account/email/message.html", context)
        message.attach_alternative(html, "text/html")
        return message
