from allauth.usersessions.models import UserSession
from rest_framework import serializers

from accounts.models import User


class MeSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ["email", "first_name", "last_name"]
        read_only_fields = ["email"]


class SessionSerializer(serializers.ModelSerializer[UserSession]):
    class Meta:
        model = UserSession
        fields = ["id", "ip", "user_agent", "created_at", "last_seen_at"]
