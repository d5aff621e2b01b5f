"""Ways to tell people something: a module for each kind, all behind `Messenger`."""

from scripthut.config import AnyChannel, Mail, Ntfy, Slack, Webhook
from scripthut.messengers.base import Messenger
from scripthut.messengers.mail import MailMessenger
from scripthut.messengers.post import NtfyMessenger, SlackMessenger, WebhookMessenger

__all__ = ["Messenger", "build"]


def build(channel: AnyChannel) -> Messenger:
    """The messenger that a channel of the configuration describes; reads no secret yet."""
    match channel:
        case Mail():
            return MailMessenger(channel)
        case Ntfy():
            return NtfyMessenger(channel)
        case Slack():
            return SlackMessenger(channel)
        case Webhook():
            return WebhookMessenger(channel)
