from typing import cast

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user, logout
from django.contrib.auth.decorators import login_required
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from .data import get_data
from .models import User


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@reauthentication_required
def data(request: HttpRequest) -> HttpResponse:
    """Send the data of a user who has just entered the password, as a file."""
    if request.method != "POST":
        return render(request, "account/data.html")
    return JsonResponse(
        get_data(cast(User, get_user(request))),
        safe=False,
        json_dumps_params={"indent": 2, "ensure_ascii": False},
        headers={"Content-Disposition": 'attachment; filename="data.json"'},
    )


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@reauthentication_required
def close(request: HttpRequest) -> HttpResponse:
    """Delete the account of a user who has just entered the password."""
    if request.method != "POST":
        return render(request, "account/close.html")
    if not delete(cast(User, get_user(request))):
        messages.error(
            request,
            _("Your account cannot be closed because other data depends on it."),
        )
        return redirect("account_close")
    logout(request)
    messages.success(request, _("Your account is closed."))
    return redirect("pages:home")


def delete(user: User) -> bool:
    """Delete a user, unless other data depends on it, such as the log of the admin."""
    if LogEntry.objects.filter(user=user).exists():
        return False
    try:
        user.delete()
    except IntegrityError:  # A protected foreign key, too, raises a subclass.
        return False
    return True
