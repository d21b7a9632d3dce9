"""What the API receives and returns: https://django-ninja.dev/guides/response/"""

from typing import Annotated

from allauth.usersessions.models import UserSession
from ninja import Field, ModelSchema, Schema
from ninja.pagination import LimitOffsetPagination

from accounts.models import User

# As in the model. PostgreSQL cannot store the character NUL.
Name = Annotated[str, Field(max_length=150, pattern=r"^[^\x00]*$")]


class Pagination(LimitOffsetPagination):
    class Input(LimitOffsetPagination.Input):
        # SQLite fails for integers of more than 64 bits.
        offset: int = Field(0, ge=0, lt=2**31)


class Me(ModelSchema):
    class Meta:
        model = User
        fields = ["email", "first_name", "last_name"]


class MeChange(Schema):
    first_name: Name = ""
    last_name: Name = ""


class Session(ModelSchema):
    class Meta:
        model = UserSession
        fields = ["id", "ip", "user_agent", "created_at", "last_seen_at"]
