from allauth.account.forms import SignupForm as BaseSignupForm
from django.contrib.auth.hashers import make_password


class SignupForm(BaseSignupForm):
    """allauth's form, as slow for an address that has an account as for a new one."""

    def try_save(self, request):
        if self.account_already_exists:
            # A new account has its password hashed. An answer that came sooner would
            # tell that there is one already.
            make_password(self.cleaned_data["password1"])
        return super().try_save(request)
