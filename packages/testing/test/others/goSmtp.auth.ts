/** Of the cases of Go's net/smtp: authentication and TLS. */
import { assert } from "@effect/vitest"
import { Choose, Mechanism, Plain } from "@postern/core"
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
  isAuthenticated,
  learns,
  message,
  opens,
  password,
  quits,
  reason,
  recipient,
  sender,
  sends,
  startsTls,
  triesHelo
} from "./parts.ts"

const { handshake } = ScriptedServer

const credentials = password("user", "pass")
const forAnother = password("bar", "baz", "foo")

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
    options: { ...inTls, credentials },
    script: `${beginsInTls("AUTH LOGIN PLAIN")}
      C: AUTH PLAIN AHVzZXIAcGFzcw==
      S: 235 welcome
      ${quits}
    `,
    ...isAuthenticated("PLAIN")
  },
  {
    name: "authenticates by PLAIN to act for somebody else",
    from: "TestAuth (#1)",
    options: { ...inTls, credentials: forAnother },
    script: `${beginsInTls("AUTH PLAIN")}
      C: AUTH PLAIN ${base64("foo\0bar\0baz")}
      S: 235 welcome
      ${quits}
    `,
    asks: learns(({ authenticated }) => authenticated),
    finds: gives({ identity: "foo", mechanism: "PLAIN" })
  },
  {
    name: "authenticates by CRAM-MD5, which has no initial response",
    from: "TestAuth (#2)",
    options: { credentials },
    script: `${begins("AUTH CRAM-MD5")}
      C: AUTH CRAM-MD5
      S: 334 ${base64("<123456.1322876914@testserver>")}
      C: ${base64("user 287eb355114cf5c471c26a875f1ca4ae")}
      S: 235 welcome
      ${quits}
    `,
    ...isAuthenticated("CRAM-MD5")
  },
  {
    name: "does not send a password without TLS, though the server offers PLAIN",
    from: "TestAuthPlain (#2)",
    options: { credentials: forAnother },
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
    options: { endpoint: "localhost:25", credentials: forAnother },
    script: `${begins("AUTH PLAIN")}${quits}`,
    asks: opens,
    finds: fails("NoUsableMechanism", { offered: ["PLAIN"] }, "never")
  },
  {
    name: "does not use PLAIN where only CRAM-MD5 is offered",
    from: "TestAuthPlain (#3)",
    options: {
      credentials: forAnother,
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
    options: { ...inTls, credentials: forAnother },
    script: [handshake({ _tag: "CertificateRefused", problem: "wrong-name", detail: "it is for attacker.example" })],
    asks: opens,
    finds: fails("CertificateRefused", { problem: "wrong-name" }, "never")
  },
  {
    name: "says AUTH of a mechanism that has nothing to say first without a blank at the end",
    from: "TestClientAuthTrimSpace",
    options: { credentials, authenticator: Choose.inOrder(wordless) },
    script: `${begins("AUTH FOOAUTH")}
      C: AUTH FOOAUTH
      S: 235 welcome
      ${quits}
    `,
    ...isAuthenticated("FOOAUTH")
  },
  {
    name: "does not take 200 for a success of AUTH",
    from: "TestClientAuthTrimSpace (the server's reply)",
    options: { credentials, authenticator: Choose.inOrder(wordless) },
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
    options: { ...inTls, credentials },
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
    options: { ...inTls, credentials },
    script: `${beginsInTls()}${quits}`,
    asks: sends(message),
    finds: fails("NoUsableMechanism", { offered: [], startTlsOffered: false }, "never")
  },
  {
    name: "does not say AUTH after HELO",
    from: "TestHello (3)",
    options: { ...inTls, credentials },
    script: `-- tls
      ${triesHelo("502 what?")}
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
    script: `${begins("SIZE", "STARTTLS")}${startsTls}
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
    asks: sends({ ...message, content: "Subject: test\n\nhowdy!" }),
    finds: gives(["Accepted <ben@example.net>: 250 Ok"])
  },
  {
    name: "does not take a 250 that came before the content for its acceptance",
    from: "TestTLSClient (the server's replies to DATA)",
    script: `${begins()}
      ${sender()}
      ${recipient()}
      C: DATA
      S: 354 go on
      S: 250 ok
      -- close
    `,
    asks: sends(message),
    finds: fails("ProtocolViolation", { step: "Content", received: "250 ok" }, "later")
  },
  {
    name: "tells what TLS agreed on",
    from: "TestTLSConnState",
    options: { security: "startTls" },
    script: `${begins("STARTTLS")}${startsTls}
      S: 250 Ok
      ${quits}
    `,
    asks: learns(({ tls }) => [tls?.version, tls?.verifiedBy]),
    finds: gives(["TLSv1.3", "chain"])
  },
  {
    name: "is in TLS before the greeting, where TLS comes first",
    from: "TestNewClientWithTLS",
    options: inTls,
    script: `
      -- tls
      S: 220 SIGNS
      C: EHLO client.example
      S: 250 mail.example
      ${quits}
    `,
    asks: learns(({ greeting, tls }) => [tls !== undefined, greeting.lines]),
    finds: gives([true, ["SIGNS"]])
  }
]
