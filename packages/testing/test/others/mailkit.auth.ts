/** Of MailKit's cases: authentication. */
import { assert } from "@effect/vitest"
import { Choose, DigestMd5, Login, Mechanism, Plain } from "@postern/core"
import { Effect } from "effect"
import type { Client, Exchange } from "./exchange.ts"
import {
  base64,
  begins,
  beginsInTls,
  fails,
  failure,
  gives,
  inTls,
  isAuthenticated,
  login,
  message,
  opens,
  password,
  quits,
  reason,
  resets,
  sends,
  why
} from "./parts.ts"

const credentials = password("username", "password")
const plain = "AHVzZXJuYW1lAHBhc3N3b3Jk"
const begun = begins("AUTH LOGIN PLAIN")
const begunInTls = beginsInTls("AUTH LOGIN PLAIN")

/** All that was said, as whoever looks at a log sees it. */
const logged = (client: Client) =>
  Effect.flatMap(client.open, ({ connection }) => Effect.map(connection.transcript, (said) => JSON.stringify(said)))

const authenticationRequired = `
  C: MAIL FROM:<ann@example.org>
  S: 530 5.7.0 authentication required
`

/** The reason is told, and the connection is of no more use. */
const leavesUnauthenticated: Pick<Exchange, "asks" | "finds"> = {
  asks: (client) =>
    Effect.flatMap(
      client.open,
      ({ send, usable }) => Effect.zip(Effect.map(why(send(message)), (error) => error?.reason._tag), usable)
    ),
  finds: gives(["AuthenticationRequired", false])
}

const hides = (...secrets: ReadonlyArray<string>): Exchange["finds"] => (outcome) => {
  if (outcome._tag === "Fails") throw outcome.error
  assert.isString(outcome.value)
  const text = String(outcome.value)
  assert.include(text, "AUTH")
  for (const secret of secrets) assert.notInclude(text, secret)
}

export const auth: ReadonlyArray<Exchange> = [
  {
    name: "says PLAIN in one line",
    from: "TestSaslInitialResponse, TestRedactSaslInitialResponse",
    options: { ...inTls, credentials },
    script: `${begunInTls}
      C: AUTH PLAIN ${plain}
      S: 235 2.7.0 welcome
      ${quits}
    `,
    ...isAuthenticated("PLAIN")
  },
  {
    name: "keeps the user name and the password of PLAIN out of the log",
    from: "TestRedactSaslInitialResponse, SmtpAuthenticationSecretDetectorTests (…IR…)",
    options: { ...inTls, credentials },
    script: `${begunInTls}
      C: AUTH PLAIN ${plain}
      S: 235 2.7.0 welcome
      ${quits}
    `,
    asks: logged,
    finds: hides(plain, "password")
  },
  {
    name: "answers both prompts of LOGIN",
    from: "TestSaslAuthentication, TestBasicFunctionality, TestRedactAuthentication",
    options: { ...inTls, credentials, authenticator: Choose.exclude(Choose.standard, "PLAIN") },
    script: `${begunInTls}${login("username", "password")}
      S: 235 2.7.0 welcome
      ${quits}
    `,
    ...isAuthenticated("LOGIN")
  },
  {
    name: "keeps the user name and the password of LOGIN out of the log",
    from: "TestRedactAuthentication, TestRedactSaslAuthentication, SmtpAuthenticationSecretDetectorTests (MultiLine…)",
    options: { ...inTls, credentials, authenticator: Choose.only(Choose.standard, "LOGIN") },
    script: `${begunInTls}${login("username", "password")}
      S: 235 2.7.0 welcome
      ${quits}
    `,
    asks: logged,
    finds: hides("dXNlcm5hbWU=", "cGFzc3dvcmQ=", "\"password\"")
  },
  {
    name: "tries no other mechanism after 535",
    from: "TestAuthenticationFailed",
    options: { ...inTls, credentials },
    script: `${begunInTls}
      C: AUTH PLAIN ${plain}
      S: 535 authentication failed
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      const { attempts, why: judged } = reason(outcome, "AuthenticationFailed")
      assert.deepStrictEqual([judged, attempts.length, failure(outcome).retry], ["bad credentials", 1, "never"])
    }
  },
  {
    name: "is told 534 where no other mechanism is to be used",
    from: "TestSaslMechanismTooWeak",
    options: { ...inTls, credentials, authenticator: Choose.inOrder(Login.login) },
    script: `${begunInTls}
      C: AUTH LOGIN
      S: 534 too weak
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      const { attempts, why: judged } = reason(outcome, "AuthenticationFailed")
      assert.strictEqual(judged, "no mechanism worked")
      assert.deepStrictEqual(attempts.map((one) => [one.mechanism, one.reply?.code]), [["LOGIN", 534]])
    }
  },
  {
    name: "goes on to LOGIN after 534 to PLAIN",
    from: "TestSaslMechanismTooWeakFallback",
    options: { ...inTls, credentials },
    script: `${begunInTls}
      C: AUTH PLAIN ${plain}
      S: 534 too weak
      ${login("username", "password")}
      S: 235 2.7.0 welcome
      ${quits}
    `,
    ...isAuthenticated("LOGIN")
  },
  {
    name: "takes no X-EXPS for AUTH",
    from: "TestXEXPSExtension",
    options: { ...inTls, credentials },
    script: `${beginsInTls("X-EXPS LOGIN PLAIN")}${quits}`,
    asks: opens,
    finds: fails("NoUsableMechanism", { offered: [] }, "never")
  },
  {
    name: "cancels by `*` where the server's challenge cannot be answered",
    from: "TestSaslExceptionProperlyResets",
    options: { credentials: password("chris", "secret"), authenticator: Choose.inOrder(DigestMd5.digestMd5) },
    script: `${begins("AUTH LOGIN PLAIN DIGEST-MD5")}
      C: AUTH DIGEST-MD5
      S: 334 ${base64("realm=\"elwood.innosoft.com\",qop=\"auth\",algorithm=md5-sess,charset=utf-8")}
      C: *
      S: 501 cancelled
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      const { attempts, why: judged } = reason(outcome, "AuthenticationFailed")
      assert.deepStrictEqual([judged, attempts.map((one) => one.outcome)], ["exchange broken", ["cancelled"]])
    }
  },
  {
    name: "cancels by `*` where the server's proof is false, and 535 to that is an end, too",
    from: "TestSaslExceptionProperlyResets",
    options: {
      credentials: password("chris", "secret"),
      authenticator: Choose.inOrder({
        ...DigestMd5.digestMd5,
        // The digest itself has random octets in it.
        client: () =>
          Effect.succeed({
            response: undefined,
            next: () =>
              Effect.succeed({
                response: Mechanism.secret("digest"),
                next: () => Effect.fail(Mechanism.saslError("server-signature-mismatch", "the proof is false")),
                verified: false
              }),
            verified: false
          })
      })
    },
    script: `${begins("AUTH LOGIN PLAIN DIGEST-MD5")}
      C: AUTH DIGEST-MD5
      S: 334 ${base64("nonce=\"OA6MG9tEQGm2hh\"")}
      C: ${base64("digest")}
      S: 334 ${base64("rspauth=ffffffffffffffffffffffffffffffff")}
      C: *
      S: 535 invalid credentials
      ${quits}
    `,
    asks: opens,
    finds: fails("ServerNotVerified", { mechanism: "DIGEST-MD5" }, "never")
  },
  {
    name: "sends PLAIN in plain text where the mechanism is named",
    from: "TestEightBitMime and others (they authenticate without TLS)",
    options: { credentials, authenticator: Choose.inOrder(Mechanism.allowWithoutTls(Plain.plain)) },
    script: `${begun}
      C: AUTH PLAIN ${plain}
      S: 235 2.7.0 welcome
      ${quits}
    `,
    ...isAuthenticated("PLAIN")
  },
  {
    name: "waits for a challenge with a response that is too long for the line",
    from: "SmtpStreamTests.TestQueueReallyLongCommand and others",
    options: {
      ...inTls,
      credentials: password("username", "x".repeat(600)),
      authenticator: Choose.inOrder(Plain.plain)
    },
    script: `${beginsInTls("AUTH PLAIN")}
      C: AUTH PLAIN
      S: 334 
      C: ${base64(`\0username\0${"x".repeat(600)}`)}
      S: 235 2.7.0 welcome
      ${quits}
    `,
    ...isAuthenticated("PLAIN")
  },
  {
    name: "is told that MAIL wants authentication, and clears the transaction",
    from: "TestUnauthorizedAccessException, TestInvalidStateExceptions",
    script: `${begun}
      ${authenticationRequired}
      ${resets}
    `,
    asks: sends(message),
    finds: fails("AuthenticationRequired", { step: "Mail" }, "never")
  },
  ...["503 bad sequence", "550 5.1.0 not now"].map((reply): Exchange => ({
    name: `is told why MAIL was refused, and leaves the connection where RSET is answered by ${reply.slice(0, 3)}`,
    from: "TestResetErrorHandling",
    script: `${begun}
      ${authenticationRequired}
      C: RSET
      S: ${reply}
      ${quits}
    `,
    ...leavesUnauthenticated
  })),
  {
    name: "is told why MAIL was refused, though the server hangs up at RSET",
    from: "TestMailFromAuthRequiredRsetDisconnect",
    script: `${begun}
      ${authenticationRequired}
      C: RSET
      -- close
    `,
    ...leavesUnauthenticated
  }
]
