from django.conf import settings


def site(request):
    """Give every template `SITE.name` and the rest of settings.SITE."""
    return {"SITE": settings.SITE}
