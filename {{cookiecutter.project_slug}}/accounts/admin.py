from allauth.account.decorators import secure_admin_login
from allauth.mfa.admin import AuthenticatorAdmin
from allauth.usersessions.admin import UserSessionAdmin
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

from .models import User

# One way in for all, with its limits and its second factor, and one for a new password.
admin.site.login = secure_admin_login(admin.site.login)
admin.site.password_change = RedirectView.as_view(
    pattern_name="account_change_password"
)

# allauth searches by username, which users here have none of.
UserSessionAdmin.search_fields = ("user__email", "ip")
# Whoever helps with a lost device may remove it, and not read its secret.
AuthenticatorAdmin.exclude = ("data",)


class UserCreationForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email",)


@admin.register(User)
class UserAdmin(BaseUserAdmin):
    """Django's user admin, with the e-mail address in the place of the username."""

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

    def save_model(self, request, user, form, change):
        """Save it; a new address is the only one then, and has yet to be verified."""
        super().save_model(request, user, form, change)
        if "email" in form.changed_data:
            user.emailaddress_set.all().delete()
