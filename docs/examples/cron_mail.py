"""Mail by a cron rule: a plan on the server starts a timer at each moment, and workers send what it carries.

    python cron_mail.py put --cron '0 9 * * 1-5' --zone Europe/Rome --to ada@example.org --subject 'Stand-up'
    python cron_mail.py work
    timer plan run mail/stand-up                                  sends one more now

The worker prints

    sent Stand-up to ada@example.org

SMTP_HOST says where mail goes (SMTP_PORT, 25); without it the worker prints the mail itself. What cannot be sent comes
again later; an address that the server refuses for good becomes a dead letter (`timer queue dead mail`). A mail that
comes twice has the same Message-ID, by which mail programs show it once.
"""

import argparse
import os
import signal
import smtplib
from contextlib import suppress
from email.message import EmailMessage
from email.utils import format_datetime, localtime

from timer_client import HeldDelivery, TimerClient

QUEUE, PREFIX = "mail", "mail/"
LEAST_PERMANENT_CODE = 500


def main() -> None:
    parser = argparse.ArgumentParser(description="Sends mail by a cron rule.")
    actions = parser.add_subparsers(dest="action", required=True)
    put = actions.add_parser("put", help="make the plan, or change it")
    put.add_argument("--cron", required=True)
    put.add_argument("--zone", default="UTC")
    put.add_argument("--to", required=True)
    put.add_argument("--subject", required=True)
    actions.add_parser("work", help="send what is due")
    wanted = parser.parse_args()

    with TimerClient() as client:
        client.put_queue(QUEUE, PREFIX)  # before the first timer: a queue has the ends since it was made
        if wanted.action == "work":
            work(client)
            return
        payload = {"to": wanted.to, "subject": wanted.subject}
        name = PREFIX + wanted.subject.lower().replace(" ", "-")
        plan = client.put_plan(name, cron=wanted.cron, zone=wanted.zone, payload=payload)
        print(f"{plan.plan} comes next at {plan.next[0].local}" if plan.next else f"{plan.plan} is {plan.state}")


def work(client: TimerClient) -> None:
    """Sends mail until SIGTERM or Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        for end in client.work(QUEUE):
            try:
                with end:
                    deliver(end)
            except Exception as error:  # whatever it is: this mail comes again, and the others go on
                print(f"{end.id}: {error!r}, attempt {end.attempt} of {end.max_deliveries}", flush=True)


def deliver(end: HeldDelivery) -> None:
    """Sends the mail of an end. Raises what is worth another attempt."""
    message = EmailMessage()
    message["To"], message["Subject"] = end.payload["to"], end.payload["subject"]
    message["From"] = os.environ.get("MAIL_FROM", "timers@example.org")
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = f"<{end.id.replace('/', '.')}@timers.example.org>"  # the moment is part of the id
    message.set_content(f"It is time: {end.payload['subject']}.")
    host = os.environ.get("SMTP_HOST")
    if not host:
        print(message, flush=True)
        return
    try:
        with smtplib.SMTP(host, int(os.environ.get("SMTP_PORT", "25")), timeout=20) as smtp:
            smtp.send_message(message)
    except smtplib.SMTPRecipientsRefused as refused:
        (code, reason), *_ = refused.recipients.values()
        if code < LEAST_PERMANENT_CODE:
            raise
        end.nack(f"{code} {reason.decode(errors='replace')}", then="dead")
        return
    print(f"sent {end.payload['subject']} to {end.payload['to']}", flush=True)


if __name__ == "__main__":
    main()
