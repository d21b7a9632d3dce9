from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@reauthentication_required
def close(request):
    """Delete the account, of somebody who has just proved that it is theirs."""
    if request.method != "POST":
        return render(request, "account/close.html")
    user = request.user
    logout(request)
    user.delete()
    messages.success(request, _("Your account is closed."))
    return redirect("pages:home")
