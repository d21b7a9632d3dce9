"""The data of a user, as the page "Your Data" offers it for download."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.core import serializers
from django.db.models import Field, ForeignObjectRel, Model, Q

from .models import User

# The download has all rows that refer to the user, those of new apps too. These fields
# are left out. If such a field refers to users, the rows that it finds are left out.
EXCLUDED = {
    "accounts.User.password": "secret",
    "admin.LogEntry.user": "the work of staff, with the data of other people",
    "mfa.Authenticator.data": "secret",
    "usersessions.UserSession.data": "internal",
    "usersessions.UserSession.session_key": "secret",
}


def get_data(user: User) -> list[dict[str, Any]]:
    """
    Return the rows of a user, in the format of `manage.py dumpdata`.

    Rows that refer to the user through another model, or by a generic foreign key, are
    not found: if your apps have such rows, add them here.
    """
    conditions: dict[type[Model], Q] = {User: Q(pk=user.pk)}
    for field in get_references():
        conditions[field.model] = conditions.get(field.model, Q()) | Q(
            **{field.name: user}
        )
    data: list[dict[str, Any]] = []
    for model, condition in conditions.items():
        data += serializers.serialize(
            "python",
            model._base_manager.filter(condition).distinct(),
            fields=[field.name for field in get_fields(model)],
            # The names of groups and permissions. Of other users, only the number.
            use_natural_foreign_keys=model is User,
        )
    names = {app.pk: str(app) for app in Authenticator.objects.filter(user=user)}
    for row in data:
        if row["model"] == "mfa.authenticator":
            row["fields"]["name"] = names[row["pk"]]
    return data


def get_references() -> list["Field[Any, Any]"]:
    """Return the fields of other models by which the rows of a user are found."""
    return [
        relation.field
        for relation in User._meta.get_fields(include_hidden=True)
        if isinstance(relation, ForeignObjectRel)
        and relation.related_model is not User
        and not relation.related_model._meta.auto_created
        and str(relation.field) not in EXCLUDED
    ]


def get_fields(model: type[Model]) -> list["Field[Any, Any]"]:
    """Return the fields of a model that are in the download."""
    fields = (*model._meta.local_fields, *model._meta.local_many_to_many)
    return [field for field in fields if str(field) not in EXCLUDED]
