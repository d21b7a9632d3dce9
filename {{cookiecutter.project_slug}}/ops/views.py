import json
import logging

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

logger = logging.getLogger(__name__)


@csrf_exempt
@require_POST
def csp_report(request: HttpRequest) -> HttpResponse:
    """Log what the Content-Security-Policy has blocked in the browser; DEBUG only."""
    try:
        report = json.loads(request.body)["csp-report"]
        logger.warning(
            "The Content-Security-Policy blocked %s on %s (%s). See SECURE_CSP in "
            "settings.py.",
            report["blocked-uri"],
            report["document-uri"],
            report["violated-directive"],
        )
    except (KeyError, TypeError, ValueError):
        return HttpResponse(status=400)
    return HttpResponse(status=204)
