from django.urls import path

from . import views

urlpatterns = [
    path("read/", views.read),
    path("write/", views.write),
    path("json/", views.json),
    path("wait/<int:ms>/", views.wait),
    path("compute/<int:ms>/", views.compute),
]
