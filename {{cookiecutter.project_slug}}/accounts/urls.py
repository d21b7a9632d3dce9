"""Everything about one's own account: https://docs.allauth.org/en/latest/"""

from django.urls import include, path

from . import views

urlpatterns = [
    path("close/", views.close, name="account_close"),
    path("", include("allauth.urls")),
]
