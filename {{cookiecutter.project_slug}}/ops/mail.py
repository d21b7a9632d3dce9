"""
Mailers: e-mail is printed in development and sent by a task in production.

A task does not keep a page waiting for the mail server, and it is retried.
"""

import base64
import email
import email.policy
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.mail import EmailMessage, mailers
from django.core.mail.backends import console
from django.core.mail.backends.base import BaseEmailBackend
from django.tasks import task
from django.utils.crypto import salted_hmac


class ConsoleBackend(console.EmailBackend):
    """
    Print messages in a readable form.

    Django's console backend prints them as they are sent, with long links broken in two.
    """

    def write_message(self, message: EmailMessage) -> None:
        self.stream.write(
            f"From: {message.from_email}\n"
            f"To: {', '.join(message.recipients())}\n"
            f"Subject: {message.subject}\n\n"
            f"{message.body}\n{'-' * 79}\n"
        )


class QueueBackend(BaseEmailBackend):
    """Add messages to the task queue; the task send_message sends them."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Return the number of queued messages; those without recipients are skipped."""
        messages = [message for message in email_messages if message.recipients()]
        for message in messages:
            content = message.message(policy=email.policy.SMTP).as_bytes()
            encrypted = get_cipher().encrypt(content).decode()
            send_message.enqueue(message.from_email, message.recipients(), encrypted)
        return len(messages)


@task
def send_message(from_email: str, recipients: list[str], encrypted: str) -> None:
    """
    Send a message through MAILERS["smtp"].

    If a worker dies between sending a message and saving that result, another worker
    sends it again, with the same Message-ID.
    """
    content = get_cipher().decrypt(encrypted)
    message: Any = QueuedMessage(from_email, recipients, content)
    mailers["smtp"].send_messages([message])


@dataclass
class QueuedMessage:
    """What Django's mailers need of an EmailMessage."""

    from_email: str
    to: list[str]
    content: bytes

    def recipients(self) -> list[str]:
        return self.to

    def message(self, *, policy: email.policy.Policy = email.policy.default) -> Message:
        return email.message_from_bytes(self.content, policy=policy)


def get_cipher() -> MultiFernet:
    """
    Return the cipher for messages in the queue, with keys made from SECRET_KEY.

    Messages contain secrets, such as password-reset links. The admin and backups of the
    database must not show them.
    """
    keys = settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS
    digests = (salted_hmac("ops.mail", "", key, algorithm="sha256") for key in keys)
    return MultiFernet(
        [Fernet(base64.urlsafe_b64encode(digest.digest())) for digest in digests]
    )
