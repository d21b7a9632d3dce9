"""Views and a middleware for test_handler.py."""

import asyncio
import contextvars
import io
import sys
import threading

from asgiref.sync import sync_to_async
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

events = []  # What happened during the request, and in which thread.
used_connections = []
tasks = []
gate = threading.Event()  # Slow views wait for it.


def record(event):
    events.append((event, threading.get_ident()))


def query():
    used_connections.append(connections["default"])
    return Group.objects.count()


def page(request):
    record("view")
    return HttpResponse(f"<p>{query()}</p>")


async def a_page(request):
    record("view")
    return JsonResponse({"groups": await Group.objects.acount()})


class AsyncClass(View):
    async def get(self, request, name):
        record("view")
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
    record("view")
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
    raise ValueError("after a query")


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class Broken(View):
    async def get(self, request):
        raise ValueError("broken")


def suspicious(request):
    raise SuspiciousOperation("no")


def exit(request):
    sys.exit("a view exits")


async def a_exit(request):
    sys.exit("a view exits")


def nothing(request):
    return None


def rows(count):
    try:
        for number in range(count):
            record("row")
            yield f"{number} of {query()}\n"
    finally:
        record("closed")


async def a_rows(count):
    try:
        for number in range(count):
            yield f"{number} of {await Group.objects.acount()}\n"
    finally:
        events.append(("closed", None))


def stream(request):
    record("view")
    return StreamingHttpResponse(rows(3))


class SlowToClose(list):
    def close(self):
        gate.wait(30)
        record("closed")


def slow_to_close(request):
    return StreamingHttpResponse(SlowToClose(["one", "two"]))


def endless_stream(request):
    return StreamingHttpResponse(rows(10**9))


def broken_stream(request):
    return StreamingHttpResponse(row.upper() for row in ["one", None])


def cursor_stream(request):
    """Stream the rows of a cursor that the view has opened."""
    record("view")
    cursor = connection.cursor()
    cursor.execute("SELECT 1 UNION SELECT 2 UNION SELECT 3")
    return StreamingHttpResponse(f"{row[0]}\n" for row in cursor)


def stream_from_the_loop(request):
    query()
    return StreamingHttpResponse(a_rows(3))


async def a_stream(request):
    return StreamingHttpResponse(a_rows(3))


async def timeout_stream(request):
    async def parts():
        yield "one"
        raise TimeoutError

    return StreamingHttpResponse(parts())


async def endless_a_stream(request):
    return StreamingHttpResponse(a_rows(10**9))


async def a_stream_of_a_list(request):
    return StreamingHttpResponse(["one", "two"])


def file(request, size):
    return FileResponse(io.BytesIO(b"x" * size), filename="x.txt")


def slow(request):
    query()
    record("view")
    gate.wait(30)
    return HttpResponse("slow")


async def a_slow(request):
    try:
        record("view")
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        events.append(("cancelled", None))
        raise
    return HttpResponse("slow")


async def a_task(request):
    # Without its own context, the task would use the thread of this request.
    query = asyncio.create_task(count_later(), context=contextvars.Context())
    tasks.append(query)
    return HttpResponse()


async def count_later():
    await asyncio.sleep(0.1)
    count = await Group.objects.acount()
    await sync_to_async(connections.close_all)()
    return count


def context(request):
    language = translation.get_language()
    translation.activate("fr")
    return JsonResponse({"tenant": tenant.get(), "language": language})


def other(request):
    return HttpResponse("other")


async def a_other(request):
    return HttpResponse("other")


class OtherURLconf:
    """A URLconf in which sync and async views have changed places."""

    urlpatterns = [
        path("page/", a_other),
        path("a-page/", other),
    ]


def other_urlconf(get_response):
    def middleware(request):
        if "X-URLconf" in request.headers:
            request.urlconf = OtherURLconf
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
    path("timeout-stream/", timeout_stream),
    path("endless-a-stream/", endless_a_stream),
    path("a-stream-of-a-list/", a_stream_of_a_list),
    path("file/<int:size>/", file),
    path("slow/", slow),
    path("a-slow/", a_slow),
    path("context/", context),
    path("a-task/", a_task),
]
