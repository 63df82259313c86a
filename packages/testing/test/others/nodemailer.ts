/** What the tests of nodemailer's SMTP transports say. */
import type { Collection } from "./exchange.ts"
import { auth } from "./nodemailer.auth.ts"
import { mail } from "./nodemailer.mail.ts"
import { session } from "./nodemailer.session.ts"

export const nodemailer: Collection = {
  project: "nodemailer",
  version: "9.0.5 (2f667f4, 2026-08-07)",
  url: "https://github.com/nodemailer/nodemailer",
  exchanges: [...session, ...auth, ...mail],
  differences: [
    {
      from: "smtp-connection-test: Response parser robustness",
      theirs: "passes over empty lines before and behind replies",
      ours: "fails with ProtocolViolation",
      reason: "a line without a code is none of a reply; who passes over what does not fit is out of step one day"
    },
    {
      from: "smtp-connection-test: Security",
      theirs: "takes CR and LF out of the name for EHLO, and connects under what is left",
      ours: "fails with InvalidInput before it connects",
      reason: "what is left is not what was meant"
    },
    {
      from: "smtp-connection-test: Server response decoding (_remainder)",
      theirs: "takes a line without its end for the reply when the connection closes",
      ours: "fails with ConnectionLost, and shows what there was of the line",
      reason: "nobody knows how the line would have gone on"
    },
    {
      from: "smtp-connection-test: should connect to a server and upgrade with STARTTLS",
      theirs: "uses STARTTLS where it is offered, and plain text otherwise, unless told otherwise",
      ours: "does so with `startTlsIfOffered` alone",
      reason: "who takes the offer away would read everything"
    },
    {
      from: "smtp-connection-test: should connect to a server and try to upgrade STARTTLS",
      theirs: "has an option that requires TLS, and another that takes that back",
      ours: "has one mode",
      reason: "two options that contradict one another have no meaning to rely on"
    },
    {
      from: "starttls-buffer-test",
      theirs: "discards plain text behind the consent to STARTTLS, and goes on",
      ours: "fails with PlaintextInjected",
      reason: "it is what somebody in between would send; the caller should know"
    },
    {
      from: "smtp-connection-test: should emit inactivity timeout error",
      theirs: "ends a connection on which nothing happens, though nothing was asked",
      ours: "has a time limit for each step; an idle connection is the caller's, or the pool's",
      reason: "RFC 5321 §4.5.3.2 has limits for replies; idle connections are for servers to end"
    },
    {
      from: "smtp-tranport-test: Should not fail auth",
      theirs: "sends without authentication where the password is missing, or no AUTH is offered",
      ours: "fails with InvalidInput or NoUsableMechanism",
      reason: "credentials that were given are meant; relaying would be refused later for a reason nobody sees"
    },
    {
      from: "smtp-pool-test, smtp-tranport-test, smtp-connection-test: all that log in",
      theirs: "sends passwords and tokens without TLS",
      ours: "fails with NoUsableMechanism, unless the mechanism is named with `Mechanism.allowWithoutTls`",
      reason: "whoever listens would have them"
    },
    {
      from: "smtp-connection-test: should send using 8BITMIME, should receive error for 8-bit content …",
      theirs: "says BODY=8BITMIME where the caller says so, and sends octets above 127 without it otherwise",
      ours: "looks at the content; it fails with ExtensionMissing where 8BITMIME is not offered",
      reason: "nobody need know of it, and such content is not allowed without (RFC 6152)"
    },
    {
      from: "smtp-connection-test: should declare SIZE, should sanitize CRLF in envelope size",
      theirs: "takes a size for the envelope from the caller, as text too, without what is not a digit",
      ours: "counts, or takes a number beside a stream",
      reason: "of what is in memory the size is known"
    },
    {
      from: "smtp-connection-test: should send multiple messages",
      theirs: "has the caller say RSET between two messages",
      ours: "says RSET itself, behind a transaction that came to nothing",
      reason: "one that was delivered leaves nothing to clear (RFC 5321 §4.1.1.4)"
    },
    {
      from: "smtp-pool-test: should tolerate idle connections and re-assign messages to other connections",
      theirs: "sends a message again whose connection closed after the content",
      ours: "fails with InDoubt",
      reason: "the server may have it: sending it again may deliver it twice"
    }
  ],
  leftOut: [
    "addresses to fall back to, DNS, ports where nobody listens: Connection fallback tests, close() during DNS resolution, should emit error for invalid port (below the session)",
    "proxies and sockets of the caller's: http-proxy-client-test, secure-socket-test, should connect through proxy, Should login and send mail using proxied socket",
    "flags, listeners and queues of their objects: Low-severity hardening, Version test, Should expose version number, the listeners of oauth2-listener-leak-test",
    "hosts and ports by the name of a provider: Should detect wellknown data",
    "commands that are no AUTH in the place of authentication: custom login (a mechanism of one's own speaks AUTH)",
    "where tokens come from: the requests of xoauth2-test, oauth2-provision-test (a token is an Effect)",
    "rates, free slots and closing of a pool: should send multiple mails with rate limit, should emit idle, should return pending messages once closed (SmtpPool has tests of its own)"
  ]
}
