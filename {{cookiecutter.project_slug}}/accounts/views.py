from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth import get_user, logout
from django.contrib.auth.decorators import login_required
from django.db.models import ProtectedError, RestrictedError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@reauthentication_required
def close(request: HttpRequest) -> HttpResponse:
    """Delete the account of a user who has just entered the password."""
    if request.method != "POST":
        return render(request, "account/close.html")
    user = get_user(request)
    try:
        user.delete()
    except (ProtectedError, RestrictedError):
        messages.error(
            request,
            _("Your account cannot be closed because other data depends on it."),
        )
        return redirect("account_close")
    logout(request)
    messages.success(request, _("Your account is closed."))
    return redirect("pages:home")
