"""
E-mail. While developing, it is printed. In production it goes by way of the task queue:
no page waits for the mail server or fails with it, and a message that it did not take
is tried again.
"""

import base64
import email
import email.policy
from dataclasses import dataclass

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.mail import mailers
from django.core.mail.backends import console
from django.core.mail.backends.base import BaseEmailBackend
from django.tasks import task
from django.utils.crypto import salted_hmac


class ConsoleBackend(console.EmailBackend):
    """
    A mailer that prints messages as they are read.

    Django's prints them as they are sent, with long links broken in two.
    """

    def write_message(self, message):
        self.stream.write(
            f"From: {message.from_email}\n"
            f"To: {', '.join(message.recipients())}\n"
            f"Subject: {message.subject}\n\n"
            f"{message.body}\n{'-' * 79}\n"
        )


class QueueBackend(BaseEmailBackend):
    """A mailer that puts messages into the task queue, whence `deliver` sends them."""

    def send_messages(self, email_messages):
        """Return how many messages were queued; one without recipients is not."""
        messages = [message for message in email_messages if message.recipients()]
        for message in messages:
            content = message.message(policy=email.policy.SMTP).as_bytes()
            sealed = cipher().encrypt(content).decode()
            deliver.enqueue(message.from_email, message.recipients(), sealed)
        return len(messages)


@task
def deliver(sender, recipients, sealed):
    """
    Send a message of QueueBackend's through MAILERS["smtp"].

    When a worker dies before it can say that it sent one, another sends it again, with
    the same Message-ID.
    """
    content = cipher().decrypt(sealed)
    mailers["smtp"].send_messages([QueuedMessage(sender, recipients, content)])


@dataclass
class QueuedMessage:
    """What Django's mailers ask of a message to send."""

    from_email: str
    to: list[str]
    content: bytes

    def recipients(self):
        return self.to

    def message(self, *, policy=email.policy.default):
        return email.message_from_bytes(self.content, policy=policy)


def cipher():
    """
    Return what seals the content of messages while they are in the queue.

    They hold secrets, such as links to reset a password, that neither the admin nor a
    backup of the database should show. The key is made from SECRET_KEY.
    """
    keys = settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS
    macs = (salted_hmac("background.mail", "", key, algorithm="sha256") for key in keys)
    return MultiFernet(Fernet(base64.urlsafe_b64encode(mac.digest())) for mac in macs)
