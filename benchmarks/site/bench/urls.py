from django.urls import path

from . import views

urlpatterns = [
    path("read/", views.read),
    path("write/", views.write),
    path("json/", views.json),
    path("wait/<int:ms>/", views.wait),
    path("compute/<int:ms>/", views.compute),
    path("await/<int:ms>/", views.wait_async),
    path("query-and-wait/<int:ms>/", views.query_and_wait),
    path("remote/", views.remote),
    path("stream/", views.stream),
    path("download/", views.download),
    path("upload/", views.upload),
]
