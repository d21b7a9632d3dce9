from typing import Any

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.utils.translation import gettext_lazy as _


class UserManager(BaseUserManager["User"]):
    """Create and find users by e-mail address, case-insensitively."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return (email or "").strip().lower()

    def get_by_natural_key(self, email: str | None) -> "User":
        return super().get_by_natural_key(self.normalize_email(email))

    async def aget_by_natural_key(self, email: str | None) -> "User":
        return await super().aget_by_natural_key(self.normalize_email(email))

    def create_user(
        self, email: str, password: str | None = None, **fields: Any
    ) -> "User":
        """
        Return a saved user, who cannot log in without a password.

        Raises ValueError if `email` is empty.
        """
        email = self.normalize_email(email)
        if not email:
            raise ValueError("A user must have an e-mail address.")
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(
        self, email: str, password: str | None = None, **fields: Any
    ) -> "User":
        """Return a saved user with all permissions and a verified address."""
        fields |= {"is_staff": True, "is_superuser": True}
        user: Any = self.create_user(email, password, **fields)
        user.emailaddress_set.create(email=user.email, verified=True, primary=True)
        return user


class User(AbstractUser):
    """
    A user, who logs in with an e-mail address. Add the fields that your site needs.

    https://docs.djangoproject.com/en/6.1/topics/auth/customizing/
    """

    username = None
    email = models.EmailField(
        _("email address"),
        unique=True,
        error_messages={"unique": _("A user with that email address already exists.")},
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    objects = UserManager()

    def __str__(self) -> str:
        return self.email
