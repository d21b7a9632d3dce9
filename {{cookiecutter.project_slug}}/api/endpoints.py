"""What the API does: https://django-ninja.dev/guides/routers/"""

from allauth.usersessions.models import UserSession
from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Router
from ninja.pagination import paginate

from accounts.models import User

from .schemas import Me, MeChange, Session

# The endpoints are `def`, since throttles use the cache, which is synchronous.
router = Router()


class UserRequest(HttpRequest):
    """A request of a user who is logged in."""

    user: User


@router.get("/me/", response=Me)
def me(request: UserRequest) -> User:
    """Return the user who is logged in."""
    return request.user


@router.patch("/me/", response=Me)
def change_me(request: UserRequest, change: MeChange) -> User:
    """Change the name of the user. The e-mail address is changed on the site."""
    user = request.user
    changes = change.model_dump(exclude_unset=True)
    for name, value in changes.items():
        setattr(user, name, value)
    user.save(update_fields=changes)
    return user


@router.get("/sessions/", response=list[Session])
@paginate
def sessions(request: UserRequest) -> QuerySet[UserSession]:
    """Return the sessions of the user, the latest first."""
    return UserSession.objects.filter(user=request.user).order_by("-created_at", "-pk")
