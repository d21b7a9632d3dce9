"""What the API does: https://www.django-rest-framework.org/api-guide/generic-views/"""

from typing import cast

from allauth.usersessions.models import UserSession
from django.db.models import QuerySet
from rest_framework import generics

from accounts.models import User

from .serializers import MeSerializer, SessionSerializer


class Me(generics.RetrieveUpdateAPIView[User]):
    """The user who is logged in. The e-mail address is changed on the site."""

    serializer_class = MeSerializer
    http_method_names = ["get", "head", "options", "patch"]

    def get_object(self) -> User:
        return cast(User, self.request.user)  # IsAuthenticated has checked it.


class Sessions(generics.ListAPIView[UserSession]):
    """The sessions of the user, the latest first."""

    queryset = UserSession.objects.order_by("-created_at", "-pk")
    serializer_class = SessionSerializer

    def get_queryset(self) -> QuerySet[UserSession]:
        return super().get_queryset().filter(user_id=self.request.user.pk)
