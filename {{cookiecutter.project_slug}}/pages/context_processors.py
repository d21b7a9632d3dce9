from django.conf import settings


def site(request):
    """Give every template `site.name` and `site.description` from settings.SITE."""
    return {"site": settings.SITE}
