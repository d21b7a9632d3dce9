"""The URLs of version 1 of the API: https://www.django-rest-framework.org/"""

from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from .views import Me, Sessions

app_name = "api"

# The documentation is public; SERVE_PERMISSIONS in SPECTACULAR_SETTINGS can restrict it.
urlpatterns = [
    path("me/", Me.as_view(), name="me"),
    path("sessions/", Sessions.as_view(), name="sessions"),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="schema"),
    path(
        "docs", SpectacularSwaggerSplitView.as_view(url_name="api:schema"), name="docs"
    ),
]
