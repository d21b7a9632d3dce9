from typing import Any

from allauth.account.forms import SignupForm as BaseSignupForm
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest, HttpResponse


class SignupForm(BaseSignupForm):
    """allauth's form, which takes the same time whether or not an account exists."""

    def try_save(self, request: HttpRequest) -> tuple[Any, HttpResponse | None]:
        if self.account_already_exists:
            # Hashing takes time. A faster response would reveal that the account exists.
            make_password(self.cleaned_data["password1"])
        return super().try_save(request)
