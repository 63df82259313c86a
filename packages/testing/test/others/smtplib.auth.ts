/** Of smtplib's cases: authentication. */
import { assert } from "@effect/vitest"
import { Choose, CramMd5, Login, Mechanism, Plain } from "@postern/core"
import { Effect } from "effect"
import type { Client, Exchange } from "./exchange.ts"
import { base64, begins, beginsInTls, fails, failure, gives, inTls, password, quits, reason } from "./parts.ts"

const [user, secret] = ["adam@a.example", "somepassword"]
const credentials = password(user, secret)
const plain = base64(`\0${user}\0${secret}`)

const cramMd5 = {
  challenge: "PENCeUxFREJoU0NnbmhNWitOMjNGNndAZWx3b29kLmlubm9zb2Z0LmNvbT4=",
  response: base64(`${user} 889d4290dd883f40858104eec2f7f885`)
}

/** The mechanism by which the session was authenticated. */
const opens = (client: Client) => Effect.map(client.open, ({ session }) => session.facts.authenticated?.mechanism)

// Answers whatever it is asked, for ever.
const again: Mechanism.ClientStep["next"] = () =>
  Effect.succeed({ response: Mechanism.secret("\0"), next: again, verified: false })

const buggy: Mechanism.Mechanism = {
  name: "BUGGY",
  traits: { kind: "challenge", withoutTls: false, anyChallenge: false },
  accepts: () => true,
  client: () => Effect.succeed({ response: undefined, next: again, verified: false }),
  server: () => ({ _tag: "Refused", problem: "there is no server of it" })
}

const loginInTheClear = Mechanism.allowWithoutTls(Login.login)

export const auth: ReadonlyArray<Exchange> = [
  {
    name: "authenticates by PLAIN",
    from: "SMTPSimTests.testAUTH_PLAIN",
    options: { ...inTls, credentials },
    script: `${beginsInTls("AUTH PLAIN")}
      C: AUTH PLAIN ${plain}
      S: 235 welcome
      ${quits}
    `,
    asks: opens,
    finds: gives("PLAIN")
  },
  {
    name: "authenticates by PLAIN without TLS where that is allowed",
    from: "SMTPAUTHInitialResponseSimTests.testAUTH_PLAIN_initial_response_login, testAUTH_PLAIN_initial_response_auth",
    options: {
      credentials: password("psu", "doesnotexist"),
      authenticator: Choose.inOrder(Mechanism.allowWithoutTls(Plain.plain))
    },
    script: `${begins("AUTH PLAIN")}
      C: AUTH PLAIN AHBzdQBkb2Vzbm90ZXhpc3Q=
      S: 235 Ok
      ${quits}
    `,
    asks: opens,
    finds: gives("PLAIN")
  },
  {
    name: "is refused by 571, and tries nothing else",
    from: "SMTPAUTHInitialResponseSimTests (the server's reply to any other response)",
    options: { ...inTls, credentials: password("psu", "wrong") },
    script: `${beginsInTls("AUTH PLAIN LOGIN")}
      C: AUTH PLAIN ${base64("\0psu\0wrong")}
      S: 571 not like this
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      fails("AuthenticationFailed", { why: "bad credentials" }, "never")(outcome)
      assert.strictEqual(reason(outcome, "AuthenticationFailed").attempts.length, 1)
      assert.include(failure(outcome).problem, "571 not like this")
    }
  },
  {
    name: "is refused by 535, and tries nothing else",
    from: "SMTPSimTests (the server's reply to another password; a difference)",
    options: { ...inTls, credentials: password(user, "wrong") },
    script: `${beginsInTls("AUTH PLAIN LOGIN CRAM-MD5")}
      C: AUTH PLAIN ${base64(`\0${user}\0wrong`)}
      S: 535 wrong password
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      fails("AuthenticationFailed", { why: "bad credentials" }, "never")(outcome)
      assert.deepStrictEqual(reason(outcome, "AuthenticationFailed").attempts.map(({ mechanism }) => mechanism), [
        "PLAIN"
      ])
    }
  },
  {
    name: "authenticates by LOGIN",
    from: "SMTPSimTests.testAUTH_LOGIN_initial_response_notok",
    options: { credentials, authenticator: Choose.inOrder(loginInTheClear) },
    script: `${begins("AUTH LOGIN")}
      C: AUTH LOGIN
      S: 334 VXNlcm5hbWU6
      C: ${base64(user)}
      S: 334 UGFzc3dvcmQ6
      C: ${base64(secret)}
      S: 235 welcome
      ${quits}
    `,
    asks: opens,
    finds: gives("LOGIN")
  },
  {
    name: "authenticates by LOGIN with an initial response",
    from: "SMTPSimTests.testAUTH_LOGIN, testAUTH_LOGIN_initial_response_ok",
    options: { ...inTls, credentials, authenticator: Choose.inOrder(Login.loginWithInitialResponse) },
    script: `${beginsInTls("AUTH LOGIN")}
      C: AUTH LOGIN ${base64(user)}
      S: 334 UGFzc3dvcmQ6
      C: ${base64(secret)}
      S: 235 welcome
      ${quits}
    `,
    asks: opens,
    finds: gives("LOGIN")
  },
  {
    name: "cancels an exchange that does not end",
    from: "SMTPSimTests.testAUTH_BUGGY",
    options: { credentials, authenticator: Choose.inOrder(buggy) },
    script: `${begins("AUTH BUGGY")}
      C: AUTH BUGGY
      ${"S: 334 QnVHZ1liVWdHeQ==\nC: AA==\n".repeat(16)}
      S: 334 QnVHZ1liVWdHeQ==
      C: *
      S: 501 cancelled
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      fails("AuthenticationFailed", { why: "exchange broken" }, "never")(outcome)
      assert.deepStrictEqual(
        reason(outcome, "AuthenticationFailed").attempts.map(({ mechanism, outcome }) => [mechanism, outcome]),
        [["BUGGY", "cancelled"]]
      )
    }
  },
  {
    name: "authenticates by CRAM-MD5",
    from: "SMTPSimTests.testAUTH_CRAM_MD5",
    options: { credentials },
    script: `${begins("AUTH CRAM-MD5")}
      C: AUTH CRAM-MD5
      S: 334 ${cramMd5.challenge}
      C: ${cramMd5.response}
      S: 235 welcome
      ${quits}
    `,
    asks: opens,
    finds: gives("CRAM-MD5")
  },
  {
    name: "uses CRAM-MD5 of several without TLS, and none that it does not know",
    from: "SMTPSimTests.testAUTH_multiple",
    options: { credentials },
    script: `${begins("AUTH BOGUS PLAIN LOGIN CRAM-MD5")}
      C: AUTH CRAM-MD5
      S: 334 ${cramMd5.challenge}
      C: ${cramMd5.response}
      S: 235 welcome
      ${quits}
    `,
    asks: opens,
    finds: gives("CRAM-MD5")
  },
  {
    name: "uses PLAIN of several in TLS",
    from: "SMTPSimTests.testAUTH_multiple (a difference)",
    options: { ...inTls, credentials },
    script: `${beginsInTls("AUTH BOGUS PLAIN LOGIN CRAM-MD5")}
      C: AUTH PLAIN ${plain}
      S: 235 welcome
      ${quits}
    `,
    asks: opens,
    finds: gives("PLAIN")
  },
  ...[
    { mechanism: Plain.plain, said: [`C: AUTH PLAIN ${plain}`] },
    {
      mechanism: loginInTheClear,
      said: [
        "C: AUTH LOGIN",
        "S: 334 VXNlcm5hbWU6",
        `C: ${base64(user)}`,
        "S: 334 UGFzc3dvcmQ6",
        `C: ${base64(secret)}`
      ]
    },
    { mechanism: CramMd5.cramMd5, said: ["C: AUTH CRAM-MD5", `S: 334 ${cramMd5.challenge}`, `C: ${cramMd5.response}`] }
  ].map(({ mechanism, said }): Exchange => ({
    name: `uses ${mechanism.name} when told to, of mechanisms offered in a line each`,
    from: "SMTPSimTests.test_auth_function",
    options: { credentials, authenticator: Choose.inOrder(Mechanism.allowWithoutTls(mechanism)) },
    script: `${begins("AUTH PLAIN", "AUTH CRAM-MD5", "AUTH LOGIN")}
      ${said.join("\n")}
      S: 235 welcome
      ${quits}
    `,
    asks: opens,
    finds: gives(mechanism.name)
  }))
]
