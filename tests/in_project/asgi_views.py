"""Views and a middleware for asgi_lane.py: what a handler must get right."""

import asyncio
import contextvars
import io
import sys
import threading

from django.contrib import messages
from django.contrib.auth.models import Group
from django.core.exceptions import SuspiciousOperation
from django.db import connection, connections, transaction
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, reverse
from django.utils import translation
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

tenant = contextvars.ContextVar("tenant", default=None)

log = []  # (what, thread) of the request that is served
held = []  # database connections that were used
gate = threading.Event()  # what slow views wait for


def note(what):
    log.append((what, threading.get_ident()))


def query():
    held.append(connections["default"])  # not the proxy of this thread's connection
    return Group.objects.count()


def page(request):
    note("view")
    return HttpResponse(f"<p>{query()}</p>")


async def a_page(request):
    note("view")
    return JsonResponse({"groups": await Group.objects.acount()})


class AsyncClass(View):
    async def get(self, request, name):
        note("view")
        await asyncio.sleep(0)
        return HttpResponse(name)


def meta(request):
    names = "REMOTE_ADDR REMOTE_PORT SERVER_NAME SERVER_PORT SCRIPT_NAME PATH_INFO"
    return JsonResponse(
        {name: request.META.get(name) for name in names.split()}
        | {"uri": request.build_absolute_uri(), "get": request.GET.dict()}
        | {"link": reverse("meta")}
        | {"secure": request.is_secure(), "cookies": request.COOKIES}
    )


def cookies(request):
    response = HttpResponse(headers={"X-Name": "é"}, status=201)
    response.set_cookie("one", "1")
    response.set_cookie("two", "2", httponly=True)
    return response


def session(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    messages.info(request, "Welcome")
    return HttpResponse(request.session["visits"])


def post(request):
    return JsonResponse(request.POST.dict())


@csrf_exempt
def upload(request):
    note("view")
    return JsonResponse(
        {name: [file.name, file.size] for name, file in request.FILES.items()}
        | request.POST.dict()
    )


@csrf_exempt
async def a_raw(request):
    return HttpResponse(request.body[::-1])


@transaction.atomic
def half(request):
    Group.objects.create(name="half")
    raise ValueError("half way")


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class Broken(View):
    async def get(self, request):
        raise ValueError("broken")


def suspicious(request):
    raise SuspiciousOperation("no")


def exit(request):
    sys.exit("a view's whim")


async def a_exit(request):
    sys.exit("a view's whim")


def nothing(request):
    return None


def rows(count):
    try:
        for number in range(count):
            note("row")
            yield f"{number} of {query()}\n"
    finally:
        note("rows closed")


async def a_rows(count):
    try:
        for number in range(count):
            yield f"{number} of {await Group.objects.acount()}\n"
    finally:
        log.append(("rows closed", None))


def stream(request):
    note("view")
    return StreamingHttpResponse(rows(3))


class SlowToClose(list):
    def close(self):
        gate.wait(30)
        note("closed")


def slow_to_close(request):
    return StreamingHttpResponse(SlowToClose(["one", "two"]))


def endless_stream(request):
    return StreamingHttpResponse(rows(10**9))


def broken_stream(request):
    return StreamingHttpResponse(row.upper() for row in ["one", None])


def cursor_stream(request):
    """Return rows of a cursor opened by the view, as an export does."""
    note("view")
    cursor = connection.cursor()
    cursor.execute("SELECT 1 UNION SELECT 2 UNION SELECT 3")
    return StreamingHttpResponse(f"{row[0]}\n" for row in cursor)


def stream_from_the_loop(request):
    query()
    return StreamingHttpResponse(a_rows(3))


async def a_stream(request):
    return StreamingHttpResponse(a_rows(3))


async def endless_a_stream(request):
    return StreamingHttpResponse(a_rows(10**9))


async def a_stream_of_a_list(request):
    return StreamingHttpResponse(["one", "two"])


def file(request, size):
    return FileResponse(io.BytesIO(b"x" * size), filename="x.txt")


def slow(request):
    query()
    note("view")
    gate.wait(30)
    return HttpResponse("slow")


async def a_slow(request):
    try:
        note("view")
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        log.append(("cancelled", None))
        raise
    return HttpResponse("slow")


def context(request):
    language = translation.get_language()
    translation.activate("fr")
    return JsonResponse({"tenant": tenant.get(), "language": language})


def elsewhere(request):
    return HttpResponse("elsewhere")


async def a_elsewhere(request):
    return HttpResponse("elsewhere")


class Elsewhere:
    """The URLconf of requests that ask for another one."""

    urlpatterns = [
        path("page/", a_elsewhere),
        path("a-page/", elsewhere),
    ]


def other_urlconf(get_response):
    def middleware(request):
        if "X-Elsewhere" in request.headers:
            request.urlconf = Elsewhere
        return get_response(request)

    return middleware


urlpatterns = [
    path("page/", page),
    path("a-page/", a_page),
    path("class/<str:name>/", AsyncClass.as_view()),
    path("meta/", meta, name="meta"),
    path("cookies/", cookies),
    path("session/", session),
    path("post/", post),
    path("upload/", upload),
    path("a-raw/", a_raw),
    path("half/", half),
    path("broken/", Broken.as_view()),
    path("suspicious/", suspicious),
    path("exit/", exit),
    path("a-exit/", a_exit),
    path("nothing/", nothing),
    path("stream/", stream),
    path("slow-to-close/", slow_to_close),
    path("endless-stream/", endless_stream),
    path("broken-stream/", broken_stream),
    path("cursor-stream/", cursor_stream),
    path("stream-from-the-loop/", stream_from_the_loop),
    path("a-stream/", a_stream),
    path("endless-a-stream/", endless_a_stream),
    path("a-stream-of-a-list/", a_stream_of_a_list),
    path("file/<int:size>/", file),
    path("slow/", slow),
    path("a-slow/", a_slow),
    path("context/", context),
]
