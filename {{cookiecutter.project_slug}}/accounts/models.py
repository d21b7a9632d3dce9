from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.utils.translation import gettext_lazy as _


class UserManager(BaseUserManager):
    """Makes and finds users by e-mail address, whatever its capitals."""

    @classmethod
    def normalize_email(cls, email):
        return (email or "").strip().lower()

    def get_by_natural_key(self, email):
        return super().get_by_natural_key(self.normalize_email(email))

    async def aget_by_natural_key(self, email):
        return await super().aget_by_natural_key(self.normalize_email(email))

    def create_user(self, email, password=None, **fields):
        """Return a saved user; without a password, one who cannot log in yet.

        Raises ValueError when `email` is empty.
        """
        email = self.normalize_email(email)
        if not email:
            raise ValueError("A user must have an e-mail address.")
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email, password=None, **fields):
        """Return a saved user who may do everything, in the admin too.

        Whoever can make one needs no e-mail to prove that the address is theirs.
        """
        fields |= {"is_staff": True, "is_superuser": True}
        user = self.create_user(email, password, **fields)
        user.emailaddress_set.create(email=user.email, verified=True, primary=True)
        return user


class User(AbstractUser):
    """A person with an account, who logs in with their e-mail address.

    Add fields here as the site grows; a custom model from the first migration
    on is what makes that easy:
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

    def __str__(self):
        return self.email
