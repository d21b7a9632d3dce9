"""
Error tracking: exceptions and logged errors are sent to the server of SENTRY_DSN.

Imported only if SENTRY_DSN is set. A failed task is sent after its last attempt.

https://docs.sentry.io/platforms/python/configuration/options/
"""

import re
from typing import Any

import sentry_sdk
from django.conf import settings

from .debug import ExceptionReporterFilter
from .logs import request_id


class EventFilter(ExceptionReporterFilter):
    """Hide secrets in texts as well: user:password@, token=..., {"token": "..."}."""

    is_secret = ExceptionReporterFilter.hidden_settings.pattern
    credentials = re.compile(r"[^\s/:@'\"]*:[^\s/@'\"]+@")
    parameter = re.compile(
        rf"([\w-]*(?:{is_secret})[\w-]*(?:=|['\"]: ?))('[^']*'|\"[^\"]*\"|[^\s&]+)",
        re.IGNORECASE,
    )
    route = re.compile(r"{\w*(?:" + is_secret + ")", re.IGNORECASE)

    def cleanse_setting(self, key: int | str, value: Any) -> Any:
        if key in {"pre_context", "context_line", "post_context"}:
            return value  # Source code.
        value = super().cleanse_setting(key, value)
        if isinstance(value, str):
            value = self.credentials.sub(f"{self.cleansed_substitute}@", value)
            value = self.parameter.sub(rf"\1{self.cleansed_substitute}", value)
        return value


def init() -> None:
    """Start error tracking, and nothing else that the SDK can do."""
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.SENTRY_ENVIRONMENT,
        release=settings.SENTRY_RELEASE,
        before_send=prepare_event,
        send_default_pii=False,
        # Local variables and forms contain passwords under names that no list knows.
        include_local_variables=False,
        max_request_body_size="never",
        # No statistics of requests, and no headers in requests to other services.
        auto_session_tracking=False,
        trace_propagation_targets=[],
    )


def prepare_event(event: Any, hint: dict[str, Any]) -> Any:
    """Return an event without secrets, with the request id; None if it is not sent."""
    if getattr(hint.get("log_record"), "event", None) == "task_failed":
        return None  # Logged by django_ox; Django has logged it with its traceback.
    event_filter = EventFilter()
    # "modules" are names of packages, such as django-allauth, with their versions.
    for part in event.keys() - {"modules", "_meta"}:
        event[part] = event_filter.cleanse_setting(part, event[part])
    request = event.get("request", {})
    request.get("headers", {}).pop("referer", None)
    if event_filter.route.search(event.get("transaction", "")):
        request["url"] = event["transaction"]  # Not the key in the path.
    if request_id.get():
        event.setdefault("tags", {})["request_id"] = request_id.get()
    return event
