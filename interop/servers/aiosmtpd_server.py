"""Runs aiosmtpd by the settings in the file that is its argument."""

import asyncio
import json
import logging
import os
import ssl
import sys
import uuid

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult

with open(sys.argv[1], encoding="utf-8") as file:
    settings = json.load(file)


def is_ours(address):
    return address.rpartition("@")[2].lower() == settings["domain"]


def deliver(octets, recipients):
    """Puts in a message each. Links, so that nobody sees half of one."""
    whole = os.path.join(settings["mail"], "tmp", str(uuid.uuid4()))
    with open(whole, "wb") as file:
        file.write(octets)
    for _ in range(recipients):
        os.link(whole, os.path.join(settings["mail"], "new", str(uuid.uuid4())))
    os.unlink(whole)


class Mailbox:
    """One for all that comes; mail for elsewhere goes nowhere."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.rpartition("@")[0]
        if not is_ours(address):
            if not session.authenticated:
                return "554 5.7.1 Relay access denied"
        elif local == settings["unknown"]:
            return "550 5.1.1 No such mailbox here"
        elif local == settings["later"]:
            return "450 4.2.1 The mailbox is busy, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        deliver(envelope.original_content, sum(map(is_ours, envelope.rcpt_tos)))
        # LMTP has a reply for each recipient, which aiosmtpd leaves to its handler.
        replies = len(envelope.rcpt_tos) if isinstance(server, LMTP) else 1
        return "\r\n".join(["250 OK"] * replies)


def authenticate(server, session, envelope, mechanism, data):
    right = (settings["user"].encode(), settings["password"].encode())
    # Not handled: it is left to aiosmtpd to say so.
    return AuthResult(success=(data.login, data.password) == right, handled=False)


def protocol(kind, **options):
    def make():
        return kind(
            Mailbox(),
            hostname=settings["hostname"],
            data_size_limit=settings["size"],
            enable_SMTPUTF8=True,
            timeout=settings["idle"],
            authenticator=authenticate,
            loop=asyncio.get_running_loop(),
            **options,
        )

    return make


async def main():
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings["ca"])
    tls.load_cert_chain(settings["certificate"], settings["key"])
    # Any client may come without one.
    tls.verify_mode = ssl.CERT_OPTIONAL
    # It sees only the TLS that it began itself: where TLS is there from the
    # start it would not offer AUTH, if it were to ask for TLS first.
    anyhow = {"auth_require_tls": False}
    servers = {
        "startTls": (protocol(SMTP, tls_context=tls), None),
        "tls": (protocol(SMTP, **anyhow), tls),
        "plain": (protocol(SMTP, **anyhow), None),
        "submission": (protocol(SMTP, tls_context=tls, require_starttls=True), None),
        "lmtp": (protocol(LMTP, **anyhow), None),
    }
    loop = asyncio.get_running_loop()
    for name, (make, context) in servers.items():
        await loop.create_server(make, "127.0.0.1", settings["ports"][name], ssl=context)
    await asyncio.Event().wait()


logging.basicConfig(filename=settings["log"], level=logging.INFO, format="%(message)s")
asyncio.run(main())
