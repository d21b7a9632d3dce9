from allauth.headless.contrib.rest_framework.authentication import (
    XSessionTokenAuthentication,
)
from drf_spectacular.extensions import OpenApiAuthenticationExtension


class TokenAuthentication(XSessionTokenAuthentication):
    """The token that allauth returns when a program logs in."""

    # Requests without a valid token get the status 401 instead of 403.
    allow_invalid_session_tokens = False


class TokenScheme(OpenApiAuthenticationExtension):
    """What the OpenAPI schema says about the token."""

    target_class = TokenAuthentication
    name = "TokenAuthentication"

    def get_security_definition(self, auto_schema):
        return {"type": "apiKey", "in": "header", "name": "X-Session-Token"}
