"""
Run the site in production: python scripts/serve.py

HOST, PORT, WEB_CONCURRENCY and FORWARDED_ALLOW_IPS are explained in .env.example.
"""

#: if cookiecutter.server == "stock"
import logging.config
import os
import subprocess
import sys
from importlib import import_module

CHECK = ["manage.py", "check", "--deploy", "--fail-level", "WARNING"]


def serve() -> None:
    """Serve the site until a signal ends it, unless the configuration is unsafe."""
    import uvicorn

    if subprocess.run([sys.executable, *CHECK]).returncode:
        sys.exit(".env.example explains what production needs.")
    settings = import_module("{{ cookiecutter.project_slug }}.settings")
    logging.config.dictConfig(settings.LOGGING)
    uvicorn.run(
        "{{ cookiecutter.project_slug }}.asgi:application",
        host=settings.HOST,
        port=settings.PORT,
        # uvicorn has no supervisor for one worker, and a SIGHUP would end the site.
        workers=max(2, settings.WEB_CONCURRENCY or os.cpu_count() or 2),
        forwarded_allow_ips=settings.FORWARDED_ALLOW_IPS,
        log_config=None,  # settings.LOGGING
        server_header=False,
        timeout_graceful_shutdown=25,  # Seconds; Kubernetes kills after 30.
    )


#: endif
if __name__ == "__main__":  # Not in the workers, which import this file too.
    from activate import use_venv

    use_venv()
    #: if cookiecutter.server == "stock"
    serve()
    #: else
    from server.workers import main

    main()
    #: endif
