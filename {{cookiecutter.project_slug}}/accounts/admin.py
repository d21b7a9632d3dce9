from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.mfa.admin import AuthenticatorAdmin
from allauth.usersessions.admin import UserSessionAdmin
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

from .models import User

# The admin uses the log-in of the site, with its rate limits and its second factor.
admin.site.login = secure_admin_login(admin.site.login)
admin.site.password_change = RedirectView.as_view(
    pattern_name="account_change_password"
)

# allauth searches by username, which these users do not have.
UserSessionAdmin.search_fields = ("user__email", "ip")
# Staff can remove the authenticator of a user, but not read its secret.
AuthenticatorAdmin.exclude = ("data",)


class UserCreationForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email",)


@admin.register(User)
class UserAdmin(BaseUserAdmin):
    """Django's user admin, with the e-mail address instead of a username."""

    add_form = UserCreationForm
    ordering = ("email",)
    list_display = ("email", "first_name", "last_name", "is_active", "is_staff")
    search_fields = ("email", "first_name", "last_name")
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (_("Personal info"), {"fields": ("first_name", "last_name")}),
        *tuple(BaseUserAdmin.fieldsets or ())[2:],
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "usable_password", "password1", "password2"),
            },
        ),
    )

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        """Save the user; a new address replaces the old one and is not verified."""
        super().save_model(request, obj, form, change)
        if "email" in form.changed_data:
            obj.emailaddress_set.all().delete()
