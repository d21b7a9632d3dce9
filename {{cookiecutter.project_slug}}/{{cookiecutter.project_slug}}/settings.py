"""
Settings of {{ cookiecutter.project_slug }}, read from top to bottom.

What differs between machines comes from the environment or, in development,
from the file .env; .env.example explains every variable. Nothing set means
production: DEBUG is off and no secret has a fallback.

Each setting: https://docs.djangoproject.com/en/6.1/ref/settings/
"""

import ssl
from email.headerregistry import Address
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _

from .environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent


# The environment
# https://12factor.net/config

env = Environment(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", shortest=50)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", [] if DEBUG else ...)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", [] if DEBUG else ...)
DATABASE = env.database(
    "DATABASE_URL",
    {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"},
)
DATABASE_POOL_MIN = env.int("DATABASE_POOL_MIN", 1)
DATABASE_POOL_MAX = env.int("DATABASE_POOL_MAX", 10, least=1)
CACHE_URL = env.url("CACHE_URL", None, schemes=["redis", "rediss"])
EMAIL_URL = env.url(
    "EMAIL_URL",
    None if DEBUG else ...,
    schemes=["smtp", "smtps", "submission"],
)
TASKS_URL = env.url("TASKS_URL", None, schemes=["redis", "rediss"])
STORAGE_URL = env.url("STORAGE_URL", None)
LIVE_RELOAD = env.bool("LIVE_RELOAD", False) and DEBUG

env.check(BASE_DIR / ".env.example")


# The site, as its pages and e-mails name it; they come from this e-mail address

SITE = {
    "name": "{{ cookiecutter.__project_name_quoted }}",
    "description": "{{ cookiecutter.__description_quoted }}",
    "email": "{{ cookiecutter.__author_email_quoted }}",
}


# What a request meets on its way in, top to bottom, and on its way out
# https://docs.djangoproject.com/en/6.1/ref/middleware/#middleware-ordering

MIDDLEWARE = [
    "pages.health.middleware",
    "pages.middleware.LogMiddleware",
    "pages.middleware.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "pages.staticfiles.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "{{ cookiecutter.project_slug }}.urls"

INSTALLED_APPS = [
    "accounts",
    "background",
    "pages",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    # Before staticfiles, so that runserver leaves static files to it as well.
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_ox",
]

if LIVE_RELOAD:
    INSTALLED_APPS += ["django_browser_reload"]
    MIDDLEWARE += ["django_browser_reload.middleware.BrowserReloadMiddleware"]


# Templates
# https://docs.djangoproject.com/en/6.1/topics/templates/

TEMPLATES = [
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
    # Django would cache in development too, where uvicorn, unlike runserver,
    # does not tell it that a template was saved.
    TEMPLATES[0]["OPTIONS"]["loaders"] = [
        ("django.template.loaders.cached.Loader", TEMPLATES[0]["OPTIONS"]["loaders"])
    ]


# Database
# https://docs.djangoproject.com/en/6.1/ref/databases/

DATABASES = {"default": DATABASE}

if DATABASE["ENGINE"] == "django.db.backends.sqlite3":
    # Readers beside a writer, and writers that wait their turn, which may come late for
    # one among many, instead of failing with "database is locked"; memory-mapped reads,
    # and a log that shrinks again after a large import: https://www.sqlite.org/wal.html
    DATABASE["CONN_MAX_AGE"] = None
    DATABASE["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
            "PRAGMA mmap_size=134217728; PRAGMA journal_size_limit=67108864;"
        ),
    }

if DATABASE["ENGINE"] == "django.db.backends.postgresql":
    # Connections that outlive a request, looked at before each use, so that the site
    # goes on by itself when the server was restarted. A server that says nothing at
    # all is given up on: https://www.postgresql.org/docs/current/libpq-connect.html
    DATABASE["CONN_HEALTH_CHECKS"] = True
    DATABASE["OPTIONS"] = {
        "pool": {
            "min_size": DATABASE_POOL_MIN,
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
        # To libpq that is to encrypt, whoever is at the other end.
        DATABASE["OPTIONS"]["sslmode"] = "verify-full"
        DATABASE["OPTIONS"].setdefault(
            "sslrootcert", ssl.get_default_verify_paths().cafile or "system"
        )

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


# Cache and sessions
# https://docs.djangoproject.com/en/6.1/topics/cache/

# A table in the database, which a migration of accounts makes. All processes have to
# count the same failed log-ins, and a cache in memory is each process's own.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        # Past Django's 300, entries make room for others: failed log-ins, forgotten.
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}

if CACHE_URL:
    CACHES["default"] = {
        "BACKEND": "pages.cache.TolerantRedisCache",
        "LOCATION": CACHE_URL.geturl(),
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    }
    # Read from the cache, kept in the database as well.
    SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"


# Tasks: what a page leaves to `python manage.py worker`
# https://docs.djangoproject.com/en/6.1/topics/tasks/

# A task that raises is tried ten times in two hours, for a mail server may be down.
# Each wait, in seconds, is twice the one before.
TASK_RETRIES = {"MAX_ATTEMPTS": 10, "BACKOFF_INITIAL": 15, "BACKOFF_MAX": 60 * 60}

if TASKS_URL:
    # https://github.com/tokibito/django-tasks-redis
    INSTALLED_APPS += ["django_tasks_redis"]
    TASKS = {
        "default": {
            "BACKEND": "background.redis.RetryingRedisBackend",
            "OPTIONS": {
                "REDIS_URL": TASKS_URL.geturl(),
                # The task of a worker that died goes to another one so much later.
                # No task may take as long, or it is done twice.
                "REDIS_CLAIM_TIMEOUT": 5 * 60,
                "REDIS_COMPLETED_TASK_TTL": 7 * 24 * 60 * 60,
                **TASK_RETRIES,
            },
        }
    }
else:
    # A table of the database: a task is queued when the transaction commits, and not
    # when it is rolled back. django-ox is the library that retries, and that gives
    # the task of a worker that died to another one: https://oxpull.com/django-ox/
    TASKS = {
        "default": {
            "BACKEND": "django_ox.backend.OxBackend",
            "OPTIONS": {
                # A worker that has not said for so long that it is alive, is dead.
                "LOCK_TIMEOUT": 60,
                "SCHEDULES": {
                    "prune": {"task": "background.tasks.prune", "cron": "@daily"}
                },
                **TASK_RETRIES,
            },
        }
    }


# E-mail
# https://docs.djangoproject.com/en/6.1/topics/email/

DEFAULT_FROM_EMAIL = str(Address(SITE["name"], addr_spec=SITE["email"]))
MAILERS = {"default": {"BACKEND": "background.mail.ConsoleBackend"}}

if EMAIL_URL:
    MAILERS = {
        # As a task, so that no page waits for the mail server or fails with it.
        "default": {"BACKEND": "background.mail.QueueBackend"},
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


# People and how they log in
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
# By a code to type in, not a link to follow: one goes on where one was, and whoever
# has a second factor can change their address, too.
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = f"[{SITE['name']}] "
# One address an account: a new one replaces the old once it is verified.
ACCOUNT_CHANGE_EMAIL = True
# Tell people of changes to their account, and ask for the password before these.
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True

# A second factor, and passkeys in place of the password
# https://docs.allauth.org/en/latest/mfa/configuration.html
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = SITE["name"]
# A phone's clock may be half a minute off:
# https://datatracker.ietf.org/doc/html/rfc6238#section-5.2
MFA_TOTP_TOLERANCE = 1
# Browsers allow passkeys without TLS on http://localhost alone.
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


# Language and time
# https://docs.djangoproject.com/en/6.1/topics/i18n/

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"


# Static files: style sheets, scripts, images
# https://docs.djangoproject.com/en/6.1/howto/static-files/
# https://whitenoise.readthedocs.io/

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_ALLOW_ALL_ORIGINS = False


# Uploaded files, in the folder media or in object storage
# https://docs.djangoproject.com/en/6.1/topics/files/
# https://django-storages.readthedocs.io/en/latest/backends/amazon-S3.html

MEDIA_URL = "media/"
MEDIA_ROOT = BASE_DIR / "media"

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "pages.staticfiles.StaticFilesStorage"
        )
    },
}

STORAGE_ORIGINS = []

if STORAGE_URL:
    STORAGE_ORIGINS = [f"{STORAGE_URL.scheme}://{STORAGE_URL.netloc.split('@')[-1]}"]
    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "endpoint_url": STORAGE_ORIGINS[0],
            "access_key": unquote(STORAGE_URL.username or "") or None,
            "secret_key": unquote(STORAGE_URL.password or "") or None,
            "bucket_name": STORAGE_URL.path.strip("/"),
            "addressing_style": "path",
            "signature_version": "s3v4",
            "file_overwrite": False,
            **dict(parse_qsl(STORAGE_URL.query)),
        },
    }


# The log: a line a request among all others, on standard output
# https://docs.djangoproject.com/en/6.1/topics/logging/
# https://nhairs.github.io/python-json-logger/

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": "pages.middleware.RequestFilter"}},
    "formatters": {
        "readable": {
            "format": "{asctime} {levelname} {message} {request_id}",
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
            "formatter": "readable" if DEBUG else "json",
        }
    },
    "root": {"handlers": ["output"], "level": "INFO"},
    # Django and uvicorn have handlers of their own, and lines about each request.
    "loggers": {
        "django": {"handlers": [], "level": "INFO"},
        "django.server": {"handlers": [], "level": "CRITICAL"},
        "uvicorn": {"handlers": [], "propagate": True},
        "uvicorn.access": {"handlers": [], "propagate": False},
    },
}

# The page that shows an error while DEBUG is on.
DEFAULT_EXCEPTION_REPORTER = "pages.debug.DiscreetReporter"


# Security
# https://docs.djangoproject.com/en/6.1/topics/security/

# Only this site's own files run and style its pages, and a <style> or <script> in
# a page needs the nonce: https://docs.djangoproject.com/en/6.1/howto/csp/
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:", *STORAGE_ORIGINS],
    "media-src": [CSP.SELF, *STORAGE_ORIGINS],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}
X_FRAME_OPTIONS = "DENY"

# What Django has no settings for; pages.middleware sends it. No other site may embed
# anything of this one, and no page asks for the camera and the like.
EXTRA_HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), "
        "usb=()"
    ),
}

# How long somebody stays logged in, and how much a form may bring, in seconds and in
# bytes. Files don't count; how large they may be, the proxy in front says.
SESSION_COOKIE_AGE = 14 * 24 * 60 * 60
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20

if not DEBUG:
    # The proxy in front ends TLS, and uvicorn takes its word for it:
    # https://uvicorn.dev/deployment/#proxies-and-forwarded-headers
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
