"""Version 1 of the API: https://django-ninja.dev/"""

from typing import Any

from allauth.headless.contrib.ninja.security import XSessionTokenAuth
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security import SessionAuth
from ninja.throttling import UserRateThrottle

from .endpoints import router
from .problems import CONTENT_TYPE, describe, document_problems


class TokenAuth(XSessionTokenAuth):
    """The token that allauth returns when a program logs in."""

    openapi_in = "header"
    openapi_name = "X-Session-Token"

    def __call__(self, request: HttpRequest) -> Any:
        user = super().__call__(request)
        if not user and self.get_session_token(request):
            raise AuthenticationError(message="The token is invalid or has expired.")
        return user


class BrowserAuth(SessionAuth):
    """The session of the site, which requires the header X-CSRFToken for changes."""

    def __call__(self, request: HttpRequest) -> Any:
        # Without this condition, anonymous requests fail for the missing CSRF token.
        return super().__call__(request) if request.user.is_authenticated else None


class API(NinjaAPI):
    def get_openapi_schema(self, **options: Any) -> Any:
        return document_problems(super().get_openapi_schema(**options))


# The documentation at /api/v1/docs is public. To show it to staff only, add
# docs_decorator=django.contrib.admin.views.decorators.staff_member_required.
api = API(
    title=settings.SITE["name"],
    version="1",
    urls_namespace="api",
    auth=[TokenAuth(), BrowserAuth()],
    throttle=UserRateThrottle(),
)


def problem(status: int, **members: Any) -> HttpResponse:
    data = describe(status, **members)
    return JsonResponse(data, status=status, content_type=CONTENT_TYPE)


@api.exception_handler(HttpError)
def http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    response = problem(error.status_code, detail=str(error))
    if isinstance(error, AuthenticationError):
        response.headers["WWW-Authenticate"] = "X-Session-Token"
    return response


@api.exception_handler(ValidationError)
def validation_error(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [{"detail": each["msg"], **place(each["loc"])} for each in error.errors]
    return problem(422, errors=errors)


def place(location: tuple[Any, ...]) -> dict[str, str]:
    """Return the JSON pointer of a value in the body, or the name of a parameter."""
    if location[0] == "body":
        return {"pointer": "/".join(["#", *map(str, location[2:])])}
    return {"parameter": location[-1]}


api.add_router("", router)

urlpatterns = [path("", api.urls)]
