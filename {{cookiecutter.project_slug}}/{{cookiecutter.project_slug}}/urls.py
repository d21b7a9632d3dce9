"""The URLs of the site: https://docs.djangoproject.com/en/6.1/topics/http/urls/"""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path

from ops.views import csp_report

admin.site.site_header = admin.site.site_title = settings.SITE["name"]

urlpatterns = [
    path("", include("pages.urls")),
    path("accounts/", include("accounts.urls")),
    path("admin/", admin.site.urls),
    #: if cookiecutter.api == "django-ninja"
    path("api/v1/", include("api.v1")),
    #: elif cookiecutter.api == "drf"
    path("api/v1/", include("api.urls")),
    #: endif
    #: if cookiecutter.api != "none"
    # Log-in, sign-up and so on for programs: https://docs.allauth.org/en/latest/headless/
    path("_allauth/", include("allauth.headless.urls")),
    #: endif
    #: if cookiecutter.frontend == "htmx"
    path("counter/", include("counter.urls")),
    #: endif
]

if settings.DEBUG:
    # In production, the proxy serves uploaded files.
    development = static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT)
    development += [path("__csp__/", csp_report)]
    urlpatterns += [path("", include(development))]

if settings.LIVE_RELOAD:
    urlpatterns += [path("__reload__/", include("django_browser_reload.urls"))]
