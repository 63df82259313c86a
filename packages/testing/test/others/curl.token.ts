/** Of curl's cases: OAuth tokens. */
import { assert } from "@effect/vitest"
import { Choose, type Mechanism } from "@postern/core"
import { Effect, Redacted } from "effect"
import type { Exchange, Outcome } from "./exchange.ts"
import { base64, begins, beginsInTls, delivers, fails, inTls, isTaken, message, quits, reason, sends } from "./parts.ts"

const token = (text: string): Mechanism.Token => ({
  _tag: "Token",
  user: "user",
  token: Effect.succeed(Redacted.make(text)),
  renew: undefined
})

const credentials = token("mF_9.B5f-4.1JqM")
const bearer = (text: string) =>
  base64(`n,a=user,\u0001host=mail.example\u0001port=25\u0001auth=Bearer ${text}\u0001\u0001`)
const xoauth2 = (text: string) => base64(`user=user\u0001auth=Bearer ${text}\u0001\u0001`)
const long = "mF_9.B5f-4.1JqM".repeat(30)

const problem = base64(
  JSON.stringify({ status: "invalid_token", scope: "mail", "openid-configuration": "https://mail.example/id" })
)

const isRefused = (outcome: Outcome): void => {
  fails("AuthenticationFailed", { why: "bad credentials" }, "never")(outcome)
  const [attempt, ...others] = reason(outcome, "AuthenticationFailed").attempts
  assert.deepStrictEqual(others, [])
  assert.strictEqual(attempt?.reply?.code, 535)
  assert.strictEqual(attempt?.reply?.lines[0], "this user and token are not accepted, see")
  assert.include(attempt?.detail, "status \"invalid_token\"")
}

// With an initial response, and with one that AUTH has no room for.
const accepted = (
  mechanism: string,
  response: (token: string) => string,
  initial: string,
  later: string
): ReadonlyArray<Exchange> => [
  {
    name: `authenticates by ${mechanism} with an initial response`,
    from: `tests/data/${initial}, and in place of ${later}`,
    options: { ...inTls, credentials },
    script: `${beginsInTls(`AUTH ${mechanism}`)}
      C: AUTH ${mechanism} ${response("mF_9.B5f-4.1JqM")}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: `authenticates by ${mechanism} with a token that AUTH has no room for`,
    from: `tests/data/${later}`,
    options: { ...inTls, credentials: token(long) },
    script: `${beginsInTls(`AUTH ${mechanism}`)}
      C: AUTH ${mechanism}
      S: 334 go on, please
      C: ${response(long)}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  }
]

export const tokens: ReadonlyArray<Exchange> = [
  ...accepted("XOAUTH2", xoauth2, "test922", "test908"),
  ...accepted("OAUTHBEARER", bearer, "test947", "test946"),
  {
    name: "answers the problem with the token by ^A, and is refused by two replies",
    from: "tests/data/test949",
    options: { ...inTls, credentials },
    script: `${beginsInTls("AUTH OAUTHBEARER")}
      C: AUTH OAUTHBEARER ${bearer("mF_9.B5f-4.1JqM")}
      S: 334 ${problem}
      C: AQ==
      S: 535 this user and token are not accepted, see
      S: 535 https://mail.example/oauth
      -- close
    `,
    asks: sends(message),
    finds: isRefused
  },
  {
    name: "answers the problem with a token that AUTH has no room for by ^A",
    from: "tests/data/test948",
    options: { ...inTls, credentials: token(long) },
    script: `${beginsInTls("AUTH OAUTHBEARER")}
      C: AUTH OAUTHBEARER
      S: 334 go on, please
      C: ${bearer(long)}
      S: 334 ${problem}
      C: AQ==
      S: 535 this user and token are not accepted, see
      S: 535 https://mail.example/oauth
      -- close
    `,
    asks: sends(message),
    finds: isRefused
  },
  {
    name: "uses OAUTHBEARER before XOAUTH2",
    from: "tests/data/test992, without its login options",
    options: { ...inTls, credentials },
    script: `${beginsInTls("AUTH XOAUTH2 OAUTHBEARER")}
      C: AUTH OAUTHBEARER ${bearer("mF_9.B5f-4.1JqM")}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "uses XOAUTH2 alone where it is told to",
    from: "tests/data/test992",
    options: { ...inTls, credentials, authenticator: Choose.only(Choose.standard, "XOAUTH2") },
    script: `${beginsInTls("AUTH OAUTHBEARER XOAUTH2")}
      C: AUTH XOAUTH2 ${xoauth2("mF_9.B5f-4.1JqM")}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "sends no token in the clear",
    from: "tests/data/test908, test922, test946, test947, test948, test949, test992 (a difference)",
    options: { credentials },
    script: `${begins("AUTH OAUTHBEARER XOAUTH2")}${quits}`,
    asks: sends(message),
    finds: fails("NoUsableMechanism", { offered: ["OAUTHBEARER", "XOAUTH2"] }, "never")
  }
]
