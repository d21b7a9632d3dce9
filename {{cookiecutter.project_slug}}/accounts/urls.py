"""The URLs of log-in, sign-up and accounts: https://docs.allauth.org/en/latest/"""

from django.urls import include, path

from . import views

urlpatterns = [
    path("data/", views.data, name="account_data"),
    path("close/", views.close, name="account_close"),
    path("", include("allauth.urls")),
]
