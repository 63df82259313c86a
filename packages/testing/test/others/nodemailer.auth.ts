/** Of nodemailer's cases: authentication. */
import { assert } from "@effect/vitest"
import { Choose, Mechanism, Plain } from "@postern/core"
import { Effect, Redacted } from "effect"
import type { Exchange } from "./exchange.ts"
import {
  base64,
  begins,
  beginsInTls,
  delivers,
  fails,
  failure,
  gives,
  inTls,
  isTaken,
  learns,
  message,
  opens,
  password,
  quits,
  reason,
  sends
} from "./parts.ts"

const begun = beginsInTls("AUTH PLAIN XOAUTH2")
const plain = `
  C: AUTH PLAIN ${base64("\0testuser\0testpass")}
  S: 235 welcome
`

/** Whom the session is authenticated as, and by which mechanism. */
const authenticates = learns(({ authenticated }) => authenticated)

const token = (text: string) => Effect.succeed(Redacted.make(text))
const bearer = (text: string, renew?: Mechanism.Token["renew"]): Mechanism.Token => ({
  _tag: "Token",
  user: "testuser",
  token: token(text),
  renew
})
const said = (text: string) => base64(`user=testuser\u0001auth=Bearer ${text}\u0001\u0001`)

// A server that refuses a token tells why in a challenge, which is answered by an empty line.
const refusal = `
  S: 334 ${base64("{\"status\":\"401\",\"schemes\":\"bearer mac\",\"scope\":\"my_smtp_access_scope_name\"}")}
  C: 
  S: 535 not accepted
`

const refused = `
  C: AUTH XOAUTH2 ${said("uuuuu")}
  ${refusal}
`

export const auth: ReadonlyArray<Exchange> = [
  {
    name: "logs in",
    from: "smtp-connection-test: Login tests, should login; smtp-tranport-test: Should verify connection with success",
    options: { ...inTls, credentials: password("testuser", "testpass") },
    script: `${begun}
      ${plain}
      ${quits}
    `,
    asks: authenticates,
    finds: gives({ identity: "testuser", mechanism: "PLAIN" })
  },
  {
    name: "logs in and sends",
    from: "smtp-tranport-test: Should login and send mail; smtp-pool-test: should send mail",
    options: { endpoint: "smtps://testuser:testpass@mail.example", security: "tls" },
    script: `${begun}
      ${plain}
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "is told 535 of a wrong password",
    from: "smtp-connection-test: should return error for invalid login",
    options: { ...inTls, credentials: password("testuser", "invalid") },
    script: `${begun}
      C: AUTH PLAIN ${base64("\0testuser\0invalid")}
      S: 535 not accepted
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      const { attempts, why } = reason(outcome, "AuthenticationFailed")
      assert.deepStrictEqual([why, attempts.map(({ reply }) => reply?.code)], ["bad credentials", [535]])
      assert.strictEqual(failure(outcome).retry, "never")
    }
  },
  {
    name: "says nothing of AUTH with an empty password",
    from: "smtp-connection-test: should return error for missing credentials, incomplete credentials",
    options: { ...inTls, credentials: password("testuser", "") },
    script: `${begun}${quits}`,
    asks: opens,
    finds: fails("InvalidInput", { what: "the credentials" }, "never")
  },
  {
    name: "sends nothing without the credentials that it was given",
    from: "smtp-tranport-test: Should not fail auth, Should fail auth if forceAuth=true",
    options: { ...inTls, credentials: password("zzz", "secret") },
    script: `${beginsInTls("PIPELINING")}${quits}`,
    asks: sends(message),
    finds: fails("NoUsableMechanism", { offered: [] }, "never")
  },
  {
    name: "sends PLAIN in plain text where the mechanism is named",
    from: "smtp-pool-test, smtp-tranport-test (their servers have no TLS)",
    options: {
      credentials: password("testuser", "testpass"),
      authenticator: Choose.inOrder(Mechanism.allowWithoutTls(Plain.plain))
    },
    script: `${begins("AUTH PLAIN XOAUTH2")}
      ${plain}
      ${quits}
    `,
    asks: authenticates,
    finds: gives({ identity: "testuser", mechanism: "PLAIN" })
  },
  {
    name: "logs in by XOAUTH2",
    from: "smtp-connection-test: should login with xoauth2 string",
    options: { ...inTls, credentials: bearer("testtoken") },
    script: `${begun}
      C: AUTH XOAUTH2 ${said("testtoken")}
      S: 235 welcome
      ${quits}
    `,
    asks: authenticates,
    finds: gives({ identity: "testuser", mechanism: "XOAUTH2" })
  },
  {
    name: "answers the challenge that refuses a token by an empty line, and tells what was in it",
    from: "smtp-connection-test: should return error for invalid xoauth2 string token",
    options: { ...inTls, credentials: bearer("invalid") },
    script: `${begun}
      C: AUTH XOAUTH2 ${said("invalid")}
      ${refusal}
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      const { attempts, why } = reason(outcome, "AuthenticationFailed")
      assert.deepStrictEqual([why, attempts.length, attempts[0]?.reply?.code], ["bad credentials", 1, 535])
      assert.include(attempts[0]?.detail, "401")
    }
  },
  {
    name: "asks for another token when the first is refused, and uses that",
    from: "smtp-connection-test: should login with xoauth2 object",
    options: { ...inTls, credentials: bearer("uuuuu", token("testtoken")) },
    script: `${begun}
      ${refused}
      C: AUTH XOAUTH2 ${said("testtoken")}
      S: 235 welcome
      ${quits}
    `,
    asks: authenticates,
    finds: gives({ identity: "testuser", mechanism: "XOAUTH2" })
  },
  {
    name: "ends it when no other token can be had",
    from: "smtp-connection-test: should fail with xoauth2 object",
    options: {
      ...inTls,
      credentials: bearer("uuuuu", Effect.fail(Mechanism.saslError("mechanism", "the refresh token is not known")))
    },
    script: `${begun}
      ${refused}
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => assert.include(failure(outcome).problem, "the refresh token is not known")
  },
  {
    name: "ends it when the new token is refused, too",
    from: "smtp-connection-test: should fail with invalid xoauth2 response",
    options: { ...inTls, credentials: bearer("uuuuu", token("uuuuu")) },
    script: `${begun}
      ${refused}
      ${refused}
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      const { attempts, why } = reason(outcome, "AuthenticationFailed")
      assert.deepStrictEqual([why, attempts.length], ["bad credentials", 2])
    }
  },
  {
    name: "says nothing of AUTH when no token can be had",
    from: "oauth2-provision-test: should fail with EAUTH when no provision callback is registered",
    options: {
      ...inTls,
      credentials: { ...bearer(""), token: Effect.fail(Mechanism.saslError("mechanism", "there is no token")) }
    },
    script: `${begun}${quits}`,
    asks: opens,
    finds: (outcome) => assert.include(failure(outcome).problem, "there is no token")
  },
  {
    name: "is told that the connection was lost in AUTH",
    from: "oauth2-listener-leak-test: cleans up … when connection drops during AUTH",
    options: { ...inTls, credentials: bearer("testtoken") },
    script: `${beginsInTls("AUTH XOAUTH2", "HELP")}
      C: AUTH XOAUTH2 ${said("testtoken")}
      -- close
    `,
    asks: sends(message),
    finds: fails("ConnectionLost", { step: "Auth" }, "now")
  }
]
