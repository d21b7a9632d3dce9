"""An example of htmx: a counter in the session. It works without JavaScript, too."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """What HtmxMiddleware adds to a request."""

    htmx: HtmxDetails


@require_http_methods(["GET", "HEAD", "POST"])
def counter(request: HtmxRequest) -> HttpResponse:
    """Show the counter or, on POST, count; htmx gets the changed part of the page."""
    count = request.session.get("count", 0)
    template = "counter/counter.html"
    if request.method == "POST":
        request.session["count"] = count = count + 1
        if not request.htmx:
            return redirect("counter")
        template += "#count"
    return render(request, template, {"count": count})
