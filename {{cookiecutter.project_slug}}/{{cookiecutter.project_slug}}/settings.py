"""
Settings of {{ cookiecutter.project_slug }}.

Values that differ between machines come from environment variables or, in development,
from the file .env. Each variable is explained in .env.example. The defaults are those of
production: DEBUG is off, and secrets have no default.

All settings: https://docs.djangoproject.com/en/6.1/ref/settings/
"""

import ssl
from email.headerregistry import Address
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _

from .environment import (
    Env,
    database,
    email,
    hosts,
    networks,
    positive,
    redis,
    sentry_dsn,
    storage,
    storage_options,
)

BASE_DIR = Path(__file__).resolve().parent.parent


# Environment variables
# https://django-environ.readthedocs.io/

env = Env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
# First DEBUG alone: the other variables are optional only in development.
env.check(BASE_DIR / ".env.example")

SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env("ALLOWED_HOSTS", cast=hosts, default=[] if DEBUG else env.NOTSET)
CSRF_TRUSTED_ORIGINS = env.list(
    "CSRF_TRUSTED_ORIGINS", default=[] if DEBUG else env.NOTSET
)
DATABASE = env(
    "DATABASE_URL",
    cast=database,
    default={"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"},
)
DATABASE_POOL_MIN = env.int("DATABASE_POOL_MIN", default=1)
DATABASE_POOL_MAX = env("DATABASE_POOL_MAX", cast=positive, default=10)
CACHE_URL = env("CACHE_URL", cast=redis, default=None)
EMAIL_URL = env(
    "EMAIL_URL",
    cast=email,
    default=None if DEBUG else env.NOTSET,
)
STORAGE_URL = env("STORAGE_URL", cast=storage, default=None)
SENTRY_DSN = env("SENTRY_DSN", cast=sentry_dsn, default=None)
SENTRY_ENVIRONMENT = env.str(
    "SENTRY_ENVIRONMENT", default="development" if DEBUG else "production"
)
SENTRY_RELEASE = env.str("SENTRY_RELEASE", default=None)
LIVE_RELOAD = env.bool("LIVE_RELOAD", default=False) and DEBUG
#: if cookiecutter.frontend == "vite"
VITE_PORT = env("VITE_PORT", cast=positive, default=5173)
#: endif
# For scripts/serve.py. 0 workers: one for each CPU.
HOST = env.str("HOST", default="127.0.0.1")
PORT = env("PORT", cast=positive, default=8000)
WEB_CONCURRENCY = env.int("WEB_CONCURRENCY", default=0)
FORWARDED_ALLOW_IPS = env(
    "FORWARDED_ALLOW_IPS",
    cast=networks,
    default=["127.0.0.1", "::1"],
)

env.check(BASE_DIR / ".env.example")

if DEBUG:
    ALLOWED_HOSTS += [".localhost", "127.0.0.1", "[::1]"]


# The name of the site in pages and e-mails, and the sender of its e-mails

SITE = {
    "name": "{{ cookiecutter.__project_name_quoted }}",
    "description": "{{ cookiecutter.__description_quoted }}",
    "email": "{{ cookiecutter.__author_email_quoted }}",
}


# Middleware: requests pass it from top to bottom, responses from bottom to top
# https://docs.djangoproject.com/en/6.1/ref/middleware/#middleware-ordering

MIDDLEWARE = [
    "ops.health.HealthMiddleware",
    "ops.middleware.RequestLogMiddleware",
    "ops.middleware.ExtraHeadersMiddleware",
    "ops.middleware.FormEncodingMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    #: if cookiecutter.api != "none"
    "api.problems.ProblemMiddleware",
    #: endif
    #: if cookiecutter.frontend == "htmx"
    "django_htmx.middleware.HtmxMiddleware",
    #: endif
]

ROOT_URLCONF = "{{ cookiecutter.project_slug }}.urls"

INSTALLED_APPS = [
    "accounts",
    #: if cookiecutter.api != "none"
    "api",
    #: endif
    "ops",
    "pages",
    "allauth",
    "allauth.account",
    #: if cookiecutter.api != "none"
    "allauth.headless",
    #: endif
    "allauth.mfa",
    "allauth.usersessions",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    # Before staticfiles: WhiteNoise then serves static files under runserver too.
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    #: if cookiecutter.frontend == "htmx"
    "django_htmx",
    #: endif
    "django_ox",
    #: if cookiecutter.api == "django-ninja"
    "ninja",
    #: elif cookiecutter.api == "drf"
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    #: endif
    #: if cookiecutter.frontend == "vite"
    "django_vite",
    #: endif
]

if LIVE_RELOAD:
    INSTALLED_APPS += ["django_browser_reload"]
    MIDDLEWARE += ["django_browser_reload.middleware.BrowserReloadMiddleware"]


# Templates
# https://docs.djangoproject.com/en/6.1/topics/templates/

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "pages.context_processors.site",
            ],
            "loaders": [
                "django.template.loaders.filesystem.Loader",
                "django.template.loaders.app_directories.Loader",
            ],
        },
    },
]

if not DEBUG:
    # Not in development: under `uvicorn --reload`, a changed template would not be seen.
    TEMPLATES[0]["OPTIONS"]["loaders"] = [
        ("django.template.loaders.cached.Loader", TEMPLATES[0]["OPTIONS"]["loaders"])
    ]


# Database
# https://docs.djangoproject.com/en/6.1/ref/databases/

DATABASES = {"default": DATABASE}

if DATABASE["ENGINE"].endswith(("sqlite3", "spatialite")):
    # With the write-ahead log, reads and one write can run at the same time. The
    # timeout, in seconds, is for other writes: they wait for their turn instead of
    # failing with "database is locked". https://www.sqlite.org/wal.html
    #: if cookiecutter.server == "fast"
    # In development, each request opens the file, which may have been replaced.
    DATABASE["CONN_MAX_AGE"] = 0 if DEBUG else None
    #: endif
    DATABASE["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
            "PRAGMA mmap_size=134217728; PRAGMA journal_size_limit=67108864;"
        ),
        **DATABASE.get("OPTIONS", {}),
    }

if DATABASE["ENGINE"].endswith(("postgresql", "postgis")):
    # Connections are kept in a pool and checked before use, so that the site recovers
    # when the database was restarted. The other options detect a server that does not
    # respond: https://www.postgresql.org/docs/current/libpq-connect.html
    DATABASE["CONN_HEALTH_CHECKS"] = True
    DATABASE["OPTIONS"] = {
        "pool": {
            "min_size": min(DATABASE_POOL_MIN, DATABASE_POOL_MAX),
            "max_size": DATABASE_POOL_MAX,
            "timeout": 10,
        },
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,
        **DATABASE.get("OPTIONS", {}),
    }
    if DATABASE["OPTIONS"].get("sslmode") == "require":
        # In libpq, "require" encrypts but does not verify the server's certificate.
        DATABASE["OPTIONS"]["sslmode"] = "verify-full"
        # A Python that uv has downloaded does not know the file of Debian and Ubuntu.
        cafile = ssl.get_default_verify_paths().cafile
        if not cafile and Path("/etc/ssl/certs/ca-certificates.crt").exists():
            cafile = "/etc/ssl/certs/ca-certificates.crt"
        DATABASE["OPTIONS"].setdefault("sslrootcert", cafile or "system")

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


# Cache
# https://docs.djangoproject.com/en/6.1/topics/cache/

# The default is a table in the database. All processes must share the cache, since
# failed log-ins are counted there.
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        # With Django's default of 300, counts of failed log-ins would soon be dropped.
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}

if CACHE_URL:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # https://github.com/jazzband/django-redis
    CACHES["default"] = {
        "BACKEND": "ops.cache.RedisCache",
        "LOCATION": CACHE_URL.geturl(),
        "OPTIONS": {
            "REDIS_CLIENT_CLASS": "ops.cache.Redis",
            # In seconds, and no retries: a page does not wait for a Redis that hangs.
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
            "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), retries=0)},
        },
    }
    # When Redis fails, the site works without a cache, and the log says so.
    DJANGO_REDIS_IGNORE_EXCEPTIONS = True
    DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True


# Tasks: functions that `python manage.py ox_worker` calls in the background
# https://docs.djangoproject.com/en/6.1/topics/tasks/
# https://oxpull.com/django-ox/

# The queue is a table in the database. A task is queued when the transaction commits.
TASKS = {
    "default": {
        "BACKEND": "django_ox.backend.OxBackend",
        "OPTIONS": {
            # A failed task is retried for about two hours, as a mail server may be down.
            # Each delay, in seconds, is twice as long as the one before.
            "MAX_ATTEMPTS": 10,
            "BACKOFF_INITIAL": 15,
            "BACKOFF_MAX": 60 * 60,
            # Seconds without a heartbeat before a worker counts as dead. Another worker
            # then runs its tasks.
            "LOCK_TIMEOUT": 60,
            "SCHEDULES": {"prune": {"task": "ops.tasks.prune", "cron": "@daily"}},
        },
    }
}


# E-mail
# https://docs.djangoproject.com/en/6.1/topics/email/

DEFAULT_FROM_EMAIL = str(Address(SITE["name"], addr_spec=SITE["email"]))
MAILERS: dict[str, dict[str, Any]] = {"default": {"BACKEND": "ops.mail.ConsoleBackend"}}

if EMAIL_URL:
    MAILERS = {
        # Messages are sent by a task, through the mailer "smtp".
        "default": {"BACKEND": "ops.mail.QueueBackend"},
        "smtp": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {
                "host": EMAIL_URL.hostname,
                "port": EMAIL_URL.port,
                "username": unquote(EMAIL_URL.username or ""),
                "password": unquote(EMAIL_URL.password or ""),
                "use_tls": EMAIL_URL.scheme == "submission",
                "use_ssl": EMAIL_URL.scheme == "smtps",
                "timeout": 10,
            },
        },
    }


# Users and how they log in
# https://docs.djangoproject.com/en/6.1/topics/auth/
# https://docs.allauth.org/en/latest/account/configuration.html

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "pages:home"

ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"signup": "accounts.forms.SignupForm"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
# A code instead of a link: users stay on the page, and users with a second factor can
# change their address.
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = f"[{SITE['name']}] "
# An account has one address. A new address replaces it when it is verified.
ACCOUNT_CHANGE_EMAIL = True
# Before a change to the account, ask for the password; after it, send a notification.
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True

# Second factor, and passkeys instead of a password
# https://docs.allauth.org/en/latest/mfa/configuration.html
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = SITE["name"]
# Accept codes of a phone whose clock is 30 seconds off:
# https://datatracker.ietf.org/doc/html/rfc6238#section-5.2
MFA_TOTP_TOLERANCE = 1
# Without TLS, browsers allow passkeys on http://localhost only.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEBUG

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

#: if cookiecutter.api != "none"

# The API
# https://docs.allauth.org/en/latest/headless/
#: if cookiecutter.api == "django-ninja"
# https://django-ninja.dev/reference/settings/
#: else
# https://www.django-rest-framework.org/api-guide/settings/
# https://drf-spectacular.readthedocs.io/en/latest/settings.html
#: endif

# Programs log in with JSON and receive a token; browsers use the session of the site.
HEADLESS_CLIENTS = ("app",)

#: if cookiecutter.api == "django-ninja"
NINJA_PAGINATION_CLASS = "api.schemas.Pagination"
NINJA_PAGINATION_PER_PAGE = 20
NINJA_PAGINATION_MAX_LIMIT = 100
NINJA_DEFAULT_THROTTLE_RATES = {"user": "100/min"}
# Clients could forge X-Forwarded-For; uvicorn sets REMOTE_ADDR from trusted proxies.
NINJA_NUM_PROXIES = 0

#: elif cookiecutter.api == "drf"
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": "100/min"},
    # Clients could forge X-Forwarded-For; uvicorn sets REMOTE_ADDR from trusted proxies.
    "NUM_PROXIES": 0,
    "DEFAULT_PAGINATION_CLASS": "api.pagination.Pagination",
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "api.exceptions.exception_handler",
}

SPECTACULAR_SETTINGS = {
    "TITLE": SITE["name"],
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    # The files of drf-spectacular-sidecar, served by this site.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "api.problems.document_problems",
    ],
}

#: endif
#: endif

# Language and time
# https://docs.djangoproject.com/en/6.1/topics/i18n/

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"


# Static files
# https://docs.djangoproject.com/en/6.1/howto/static-files/
# https://whitenoise.readthedocs.io/

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_ALLOW_ALL_ORIGINS = False

#: if cookiecutter.frontend == "vite"
# Vite builds frontend/ into static/dist. With DEBUG, Vite's server serves it.
# https://github.com/MrBin99/django-vite
DJANGO_VITE = {
    "default": {
        "dev_mode": DEBUG,
        "dev_server_host": "127.0.0.1",
        "dev_server_port": VITE_PORT,
        "static_url_prefix": "dist",
    }
}
# Files with a hash in their name, from Django or from Vite.
WHITENOISE_IMMUTABLE_FILE_TEST = r"\.[0-9a-f]{12}\.|/dist/assets/"

#: endif


# Uploaded files
# https://docs.djangoproject.com/en/6.1/topics/files/
# https://django-storages.readthedocs.io/en/latest/backends/amazon-S3.html

MEDIA_URL = "media/"
MEDIA_ROOT = BASE_DIR / "media"

STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "ops.staticfiles.StaticFilesStorage"
        )
    },
}

STORAGE_ORIGINS = []

if STORAGE_URL:
    from botocore.config import Config  # Slow to import.

    host, bucket = STORAGE_URL.netloc.rpartition("@")[2], STORAGE_URL.path.strip("/")
    options = storage_options(STORAGE_URL)
    # Where links to the files lead, for the Content-Security-Policy.
    STORAGE_ORIGINS = [f"{STORAGE_URL.scheme}://{host}"]
    if options.get("addressing_style", "path") != "path":
        STORAGE_ORIGINS.append(f"{STORAGE_URL.scheme}://{bucket}.{host}")
    if "custom_domain" in options:
        protocol = options.get("url_protocol", "https:")
        STORAGE_ORIGINS.append(f"{protocol}//{options['custom_domain'].split('/')[0]}")
    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "endpoint_url": f"{STORAGE_URL.scheme}://{host}",
            "access_key": unquote(STORAGE_URL.username or "") or None,
            "secret_key": unquote(STORAGE_URL.password or "") or None,
            "bucket_name": bucket,
            "file_overwrite": False,
            "client_config": Config(
                s3={"addressing_style": options.pop("addressing_style", "path")},
                signature_version=options.pop("signature_version", "s3v4"),
                # Not all stores that speak S3 accept boto3's checksums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
            **options,
        },
    }


# Logging: to standard output, with one line for each request
# https://docs.djangoproject.com/en/6.1/topics/logging/
# https://nhairs.github.io/python-json-logger/

# Paths that are not logged in development.
REQUEST_LOG_EXCLUDE = (
    ("/static/", "/media/", "/favicon.ico", "/manifest.webmanifest", "/__")
    if DEBUG
    else ()
)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": "ops.logs.RequestFilter"}},
    "formatters": {
        "console": {
            # Colors the line by its status code.
            "()": "django.utils.log.ServerFormatter",
            "format": "{server_time} {levelname} {message}",
            "datefmt": "%H:%M:%S",
            "style": "{",
        },
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": ["levelname", "name", "message", "request_id"],
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": "time",
        },
    },
    "handlers": {
        "output": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "filters": ["request"],
            "formatter": "console" if DEBUG else "json",
        }
    },
    "root": {"handlers": ["output"], "level": "INFO"},
    # Remove the handlers of Django and uvicorn, and their own lines for each request.
    "loggers": {
        "django": {"handlers": [], "level": "INFO"},
        "django.server": {"handlers": [], "level": "CRITICAL"},
        "uvicorn": {"handlers": [], "propagate": True},
        "uvicorn.access": {"handlers": [], "propagate": False},
        # Without a handler, ox_worker adds its own, and each line appears twice.
        "django_ox": {"handlers": ["output"], "propagate": False},
    },
}

# The error page of DEBUG.
DEFAULT_EXCEPTION_REPORTER_FILTER = "ops.debug.ExceptionReporterFilter"


# Security
# https://docs.djangoproject.com/en/6.1/topics/security/

# Scripts and styles are loaded from this site only; a <script> or <style> element needs
# the nonce: https://docs.djangoproject.com/en/6.1/howto/csp/
SECURE_CSP: dict[str, list[str] | str] = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:", *STORAGE_ORIGINS],
    "media-src": [CSP.SELF, *STORAGE_ORIGINS],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
}
if DEBUG:
    # Log what the policy blocks in the browser.
    SECURE_CSP["report-uri"] = "/__csp__/"
    #: if cookiecutter.frontend == "vite"
    # Allow Vite's server, which scripts/dev.py runs.
    vite = f"127.0.0.1:{VITE_PORT}"
    SECURE_CSP["script-src"] = [*SECURE_CSP["script-src"], f"http://{vite}"]
    SECURE_CSP["style-src"] = [*SECURE_CSP["style-src"], f"http://{vite}"]
    SECURE_CSP["connect-src"] = [CSP.SELF, f"ws://{vite}"]
    #: endif
X_FRAME_OPTIONS = "DENY"
# Some apps need X_FRAME_OPTIONS = "SAMEORIGIN"; check --deploy then does not fail.
SILENCED_SYSTEM_CHECKS = ["security.W019"]

# Headers without a Django setting, added by ops.middleware. Other sites cannot embed
# files of this site, and no page uses the camera, the microphone and so on.
EXTRA_HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), "
        "usb=()"
    ),
}

#: if cookiecutter.deploy in ("containers", "server")
# In seconds, and in bytes without uploaded files: deploy/Caddyfile limits those.
#: else
# In seconds, and in bytes without uploaded files: a proxy limits those.
#: endif
SESSION_COOKIE_AGE = 14 * 24 * 60 * 60
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20

if not DEBUG:
    # The proxy terminates TLS; uvicorn trusts its X-Forwarded-* headers:
    # https://uvicorn.dev/deployment/#proxies-and-forwarded-headers
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
