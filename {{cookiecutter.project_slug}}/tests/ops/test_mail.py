import email.policy
import smtplib

import pytest
from django.core import mail
from django.core.mail import EmailMessage, EmailMultiAlternatives, send_mail
from django_ox.models import OxTask

from ops.mail import send_message

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _mailers(settings):
    """Send e-mails as in production, but to mail.outbox instead of SMTP."""
    settings.MAILERS = {
        "default": {"BACKEND": "ops.mail.QueueBackend"},
        "smtp": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"},
    }


@pytest.fixture
def _queue(settings):
    """Keep tasks in the queue, as in production."""
    settings.TASKS = {"default": {"BACKEND": "django_ox.backend.OxBackend"}}


def test_console_backend_does_not_break_long_links(settings, capsys):
    settings.MAILERS = {"default": {"BACKEND": "ops.mail.ConsoleBackend"}}
    link = "http://localhost:8000/" + "far/" * 20

    send_mail("Go there", link, "ada@example.com", ["grace@example.com"])

    printed = capsys.readouterr().out
    assert "To: grace@example.com\nSubject: Go there\n" in printed
    assert link in printed


def test_queued_message_is_sent_unchanged():
    message = EmailMultiAlternatives(
        "Ça va ?",
        "Bien, " * 40 + "👋",
        "Ada <ada@example.com>",
        ["grace@example.com"],
        cc=["cc@example.com"],
        bcc=["bcc@example.com"],
        reply_to=["reply@example.com"],
        headers={"List-Unsubscribe": "<https://example.com/out>"},
    )
    message.attach_alternative("<p>Bien", "text/html")
    message.attach("bytes.bin", bytes(range(256)))

    assert message.send() == 1

    (sent,) = mail.outbox
    assert sent.from_email == "Ada <ada@example.com>"
    assert sent.recipients() == [
        "grace@example.com",
        "cc@example.com",
        "bcc@example.com",
    ]
    content = sent.message(policy=email.policy.SMTP)
    assert "bcc@" not in content.as_string()
    assert content["Reply-To"] == "reply@example.com"
    assert content["List-Unsubscribe"] == "<https://example.com/out>"
    assert content.get_body(["plain"]).get_content().strip() == message.body
    assert content.get_body(["html"]).get_content().strip() == "<p>Bien"
    (attachment,) = content.iter_attachments()
    assert attachment.get_filename() == "bytes.bin"
    assert attachment.get_content() == bytes(range(256))


def test_message_without_recipients_is_not_queued():
    assert EmailMessage("Hello").send() == 0
    assert mail.outbox == []


@pytest.mark.usefixtures("_queue")
def test_content_of_a_queued_message_is_encrypted(admin_client):
    send_mail("Reset", "https://example.com/secret", None, ["ada@example.com"])

    task = OxTask.objects.get()
    page = admin_client.get(f"/admin/django_ox/oxtask/{task.pk}/change/").text
    assert "ada@example.com" in page
    assert "secret" not in page
    assert "secret" not in str(task.args)


@pytest.mark.usefixtures("_queue")
def test_queued_message_can_be_sent_after_a_new_secret_key(settings):
    send_mail("Hello", "", None, ["ada@example.com"])
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another" * 10

    send_message.call(*OxTask.objects.get().args)

    assert mail.outbox[0].to == ["ada@example.com"]


def test_mail_server_failure_fails_the_task_only(monkeypatch, caplog):
    def disconnect(self, messages):
        raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")

    monkeypatch.setattr(
        "django.core.mail.backends.locmem.EmailBackend.send_messages", disconnect
    )

    assert send_mail("Hello", "", None, ["ada@example.com"]) == 1

    assert "ops.mail.send_message state=FAILED" in caplog.text
