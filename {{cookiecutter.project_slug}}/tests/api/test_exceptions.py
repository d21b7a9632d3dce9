import pytest
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError

from api.exceptions import exception_handler


@pytest.mark.parametrize(
    ("error", "pointer"),
    [
        (PermissionDenied({"reason": "text"}), "#/reason"),
        (NotFound(["text"]), "#"),
        (ValidationError({"tags": {0: ["text"]}}), "#/tags/0"),
        (ValidationError([{}, {"name": ["text"]}]), "#/1/name"),
        (ValidationError({"non_field_errors": ["text"]}), "#"),
    ],
)
def test_details_of_any_shape_are_pointed_at(error, pointer):
    problem = exception_handler(error, {}).data

    assert problem["errors"] == [{"detail": "text", "pointer": pointer}]
