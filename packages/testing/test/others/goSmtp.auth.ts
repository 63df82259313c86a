/** Of the cases of Go's net/smtp: authentication and TLS. */
import { assert } from "@effect/vitest"
import { Choose, Mechanism, Plain, type SmtpClient } from "@postern/core"
import { ScriptedServer } from "@postern/testing"
import { Effect } from "effect"
import type { Exchange } from "./exchange.ts"
import {
  base64,
  begins,
  beginsInTls,
  fails,
  failure,
  gives,
  inTls,
  message,
  password,
  quits,
  reason,
  told
} from "./parts.ts"

const { ends, handshake, hears, says } = ScriptedServer

/** The mechanism by which the session was authenticated. */
const opens = (client: SmtpClient.SmtpClient["Service"]) =>
  Effect.map(client.open, ({ session }) => session.facts.authenticated?.mechanism)

const wordless: Mechanism.Mechanism = {
  name: "FOOAUTH",
  traits: { kind: "challenge", withoutTls: true, anyChallenge: false },
  accepts: () => true,
  client: () => Effect.succeed({ response: undefined, next: undefined, verified: true }),
  server: () => ({ _tag: "Refused", problem: "there is no server of it" })
}

export const auth: ReadonlyArray<Exchange> = [
  {
    name: "authenticates by PLAIN in one line",
    from: "TestAuth (#0), TestBasic, TestHello (3)",
    options: { ...inTls, credentials: password("user", "pass") },
    script: `${beginsInTls("AUTH LOGIN PLAIN")}
      C: AUTH PLAIN AHVzZXIAcGFzcw==
      S: 235 welcome
      ${quits}
    `,
    asks: opens,
    finds: gives("PLAIN")
  },
  {
    name: "authenticates by PLAIN to act for somebody else",
    from: "TestAuth (#1)",
    options: { ...inTls, credentials: password("bar", "baz", "foo") },
    script: `${beginsInTls("AUTH PLAIN")}
      C: AUTH PLAIN ${base64("foo\0bar\0baz")}
      S: 235 welcome
      ${quits}
    `,
    asks: (client) => Effect.map(client.open, ({ session }) => session.facts.authenticated),
    finds: gives({ identity: "foo", mechanism: "PLAIN" })
  },
  {
    name: "authenticates by CRAM-MD5, which has no initial response",
    from: "TestAuth (#2)",
    options: { credentials: password("user", "pass") },
    script: `${begins("AUTH CRAM-MD5")}
      C: AUTH CRAM-MD5
      S: 334 ${base64("<123456.1322876914@testserver>")}
      C: ${base64("user 287eb355114cf5c471c26a875f1ca4ae")}
      S: 235 welcome
      ${quits}
    `,
    asks: opens,
    finds: gives("CRAM-MD5")
  },
  {
    name: "does not send a password without TLS, though the server offers PLAIN",
    from: "TestAuthPlain (#2)",
    options: { credentials: password("bar", "baz", "foo") },
    script: `${begins("AUTH PLAIN")}${quits}`,
    asks: opens,
    finds: fails("NoUsableMechanism", {
      offered: ["PLAIN"],
      unusable: [{ mechanism: "PLAIN", why: "would send the password without verified TLS" }],
      startTlsOffered: false
    }, "never")
  },
  {
    name: "does not send a password without TLS to localhost, either",
    from: "TestAuthPlain (#1)",
    options: { endpoint: "localhost:25", credentials: password("bar", "baz", "foo") },
    script: `${begins("AUTH PLAIN")}${quits}`,
    asks: opens,
    finds: fails("NoUsableMechanism", { offered: ["PLAIN"] }, "never")
  },
  {
    name: "does not use PLAIN where only CRAM-MD5 is offered",
    from: "TestAuthPlain (#3)",
    options: {
      credentials: password("bar", "baz", "foo"),
      authenticator: Choose.inOrder(Mechanism.allowWithoutTls(Plain.plain))
    },
    script: `${begins("AUTH CRAM-MD5")}${quits}`,
    asks: opens,
    finds: fails("NoUsableMechanism", {
      offered: ["CRAM-MD5"],
      unusable: [{ mechanism: "CRAM-MD5", why: "offered, but not among the mechanisms to use" }]
    }, "never")
  },
  {
    name: "says nothing, and no password, to a server with another's certificate",
    from: "TestAuthPlain (#4)",
    options: { ...inTls, credentials: password("bar", "baz", "foo") },
    script: [handshake({ _tag: "CertificateRefused", problem: "wrong-name", detail: "it is for attacker.example" })],
    asks: opens,
    finds: fails("CertificateRefused", { problem: "wrong-name" }, "never")
  },
  {
    name: "says AUTH of a mechanism that has nothing to say first without a blank at the end",
    from: "TestClientAuthTrimSpace",
    options: { credentials: password("user", "pass"), authenticator: Choose.inOrder(wordless) },
    script: `${begins("AUTH FOOAUTH")}
      C: AUTH FOOAUTH
      S: 235 welcome
      ${quits}
    `,
    asks: opens,
    finds: gives("FOOAUTH")
  },
  {
    name: "does not take 200 for a success of AUTH",
    from: "TestClientAuthTrimSpace (the server's reply)",
    options: { credentials: password("user", "pass"), authenticator: Choose.inOrder(wordless) },
    script: `${begins("AUTH FOOAUTH")}
      C: AUTH FOOAUTH
      S: 200 some more
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      assert.include(failure(outcome).problem, "200 some more")
      assert.strictEqual(reason(outcome, "ProtocolViolation").step, "Auth")
    }
  },
  {
    name: "is refused in two lines, tells both, and says no more of AUTH",
    from: "TestAuthFailed",
    options: { ...inTls, credentials: password("user", "pass") },
    script: `${beginsInTls("AUTH LOGIN PLAIN")}
      C: AUTH PLAIN AHVzZXIAcGFzcw==
      S: 535-not known
      S: 535 see help.example
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      const { attempts, why } = reason(outcome, "AuthenticationFailed")
      assert.strictEqual(why, "bad credentials")
      assert.deepStrictEqual(attempts.map(({ reply }) => reply?.lines), [["not known", "see help.example"]])
      assert.strictEqual(failure(outcome).retry, "never")
    }
  },
  {
    name: "sends nothing where credentials are given and no AUTH is offered",
    from: "TestSendMailWithAuth",
    options: { ...inTls, credentials: password("user", "pass") },
    script: `-- tls
      S: 220 mail.example ESMTP
      C: EHLO client.example
      S: 250 mail.example
      ${quits}
    `,
    asks: (client) => client.send(message),
    finds: fails("NoUsableMechanism", { offered: [], startTlsOffered: false }, "never")
  },
  {
    name: "does not say AUTH after HELO",
    from: "TestHello (3)",
    options: { ...inTls, credentials: password("user", "pass") },
    script: `-- tls
      S: 220 mail.example
      C: EHLO client.example
      S: 502 what?
      C: HELO client.example
      S: 250-mail.example
      S: 250 FEATURE
      ${quits}
    `,
    asks: opens,
    finds: fails("NoUsableMechanism", { offered: [] }, "never")
  },
  {
    name: "says EHLO again after STARTTLS, sends, and what was offered before counts no more",
    from: "TestTLSClient",
    options: { security: "startTls" },
    script: `
      S: 220 mail.example ESMTP
      C: EHLO client.example
      S: 250-mail.example
      S: 250-SIZE
      S: 250 STARTTLS
      C: STARTTLS
      S: 220 go on
      -- tls
      C: EHLO client.example
      S: 250 Ok
      C: MAIL FROM:<ann@example.org>
      S: 250 Ok
      C: RCPT TO:<ben@example.net>
      S: 250 Ok
      C: DATA
      S: 354 go on
      C: Subject: test
      C: 
      C: howdy!
      C: .
      S: 250 Ok
      ${quits}
    `,
    asks: (client) => Effect.map(client.send({ ...message, content: "Subject: test\n\nhowdy!" }), told),
    finds: gives(["Accepted <ben@example.net>: 250 Ok"])
  },
  {
    name: "does not take a 250 that came before the content for its acceptance",
    from: "TestTLSClient (the server's replies to DATA)",
    script: [
      says("220 mail.example ESMTP"),
      hears("EHLO client.example"),
      says("250 mail.example"),
      hears("MAIL FROM:<ann@example.org>"),
      says("250 ok"),
      hears("RCPT TO:<ben@example.net>"),
      says("250 ok"),
      hears("DATA"),
      says("354 go on", "250 ok"),
      ends
    ],
    asks: (client) => client.send(message),
    finds: fails("ProtocolViolation", { step: "Content", received: "250 ok" }, "later")
  },
  {
    name: "tells what TLS agreed on",
    from: "TestTLSConnState",
    options: { security: "startTls" },
    script: `${begins("STARTTLS")}
      C: STARTTLS
      S: 220 go on
      -- tls
      C: EHLO client.example
      S: 250 Ok
      ${quits}
    `,
    asks: (client) => Effect.map(client.open, ({ session: { facts: { tls } } }) => [tls?.version, tls?.verifiedBy]),
    finds: gives(["TLSv1.3", "chain"])
  },
  {
    name: "is in TLS before the greeting, where TLS comes first",
    from: "TestNewClientWithTLS",
    options: inTls,
    script: [
      handshake(),
      says("220 SIGNS"),
      hears("EHLO client.example"),
      says("250 mail.example"),
      hears("QUIT"),
      says("221 bye"),
      ends
    ],
    asks: (client) =>
      Effect.map(client.open, ({ session: { facts } }) => [facts.tls !== undefined, facts.greeting.lines]),
    finds: gives([true, ["SIGNS"]])
  }
]
