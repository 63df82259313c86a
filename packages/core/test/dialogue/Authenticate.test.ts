/**
 * AUTH by rehearsal: the exact lines a client writes, and what each answer comes to.
 * The vectors' part in this (lines, `*`, final replies) is played here; their octets
 * are tested with the mechanisms.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Authenticate,
  Capabilities,
  Choose,
  Command,
  CommandLine,
  CramMd5,
  type Expect,
  Login,
  Mechanism,
  Plain,
  Program,
  Reason,
  Reply,
  Session
} from "@postern/core"
import { Explore } from "@postern/testing"
import { Effect, Redacted, Result } from "effect"
import cramMd5Vectors from "../vectors/CRAM-MD5.json" with { type: "json" }
import loginVectors from "../vectors/LOGIN.json" with { type: "json" }
import plainVectors from "../vectors/PLAIN.json" with { type: "json" }
import smtpVectors from "../vectors/SMTP-AUTH.json" with { type: "json" }

const everyMechanism = "AUTH PLAIN LOGIN CRAM-MD5 EXTERNAL SCRAM-SHA-256 ABCD ABCDE ONE TWO THREE FOUR"

const ready = (...extensions: ReadonlyArray<string>): Session.Session<"ready"> =>
  new Session.Session("ready", {
    host: "mx.example",
    greeting: Reply.make(220, "mx.example"),
    capabilities: Capabilities.fromEhlo(Reply.make(250, ["mx.example", ...extensions])),
    tls: Explore.tlsFacts,
    authenticated: undefined
  })

const password = "tanstaaf"
const tim = Mechanism.password("tim", Redacted.make(password))

/** `"334 "` and `"535-one\n535 two"` as replies. */
const reply = (text: string): Reply.Reply => {
  const lines = text.split("\n")
  return Reply.make(Number(text.slice(0, 3)), lines.map((line) => line.slice(4)))
}

const wire = (command: Command.Command): string => new TextDecoder().decode(CommandLine.encode(command))

/** Plays a Program against lines of a server; gives every octet written, line by line. */
const play = <A, E>(program: Program.Program<A, E>, server: ReadonlyArray<string>) => {
  const answers = server.map((line) => Program.replies(reply(line)))
  const { end, pending, said } = Program.rehearse(program, (instruction) =>
    instruction._tag === "Perform"
      ? { _tag: "Value", value: Effect.runSync(instruction.effect as Effect.Effect<unknown>) }
      : answers.shift())
  const instructions = [...said.map(({ instruction }) => instruction), ...pending === undefined ? [] : [pending]]
  const lines = instructions.flatMap((asked) => asked._tag === "Exchange" ? asked.commands.map(wire) : [])
  return { end, lines, unread: answers.length }
}

const run = (
  mechanism: Mechanism.Mechanism | Choose.Authenticator,
  server: ReadonlyArray<string>,
  credentials: Mechanism.Credentials = tim
) =>
  play(
    Authenticate.authenticate(
      ready(everyMechanism),
      credentials,
      typeof mechanism === "function" ? mechanism : Choose.inOrder(mechanism)
    ),
    server
  )

type End = Result.Result<Session.Session<"ready">, Reason.Reason | Expect.Refused> | undefined

const failure = (end: End): Reason.Reason | Expect.Refused => {
  assert.isTrue(end !== undefined && Result.isFailure(end), `a failure was expected: ${JSON.stringify(end)}`)
  return end !== undefined && Result.isFailure(end) ? end.failure : assert.fail()
}

const succeeds = (end: End): Session.Facts["authenticated"] => {
  assert.isTrue(end !== undefined && Result.isSuccess(end), `a success was expected: ${JSON.stringify(end)}`)
  return end !== undefined && Result.isSuccess(end) ? end.success.facts.authenticated : assert.fail()
}

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString("base64")

const plainTim = base64(`\0tim\0${password}`)

/** A mechanism that sends these responses, the first of them at once, and takes any challenge in between. */
const saying = (name: string, ...responses: ReadonlyArray<Uint8Array>): Mechanism.Mechanism => {
  const step = (at: number): Mechanism.ClientStep => {
    const last = at >= responses.length - 1
    return {
      response: Redacted.make(responses[at] ?? new Uint8Array(0)),
      next: last ? undefined : () => Effect.succeed(step(at + 1)),
      verified: last
    }
  }
  return {
    ...Plain.plain,
    name,
    client: () => Effect.succeed(step(0))
  }
}

/** The mechanism with its first response held back until an empty challenge asks for it. */
const waiting = (mechanism: Mechanism.Mechanism): Mechanism.Mechanism => ({
  ...mechanism,
  client: (credentials, context) =>
    Effect.map(mechanism.client(credentials, context), (first) => ({
      response: undefined,
      next: () => Effect.succeed(first),
      verified: false
    }))
})

describe("an initial response", () => {
  it("goes with AUTH and names whom the session is authenticated as", () => {
    const { end, lines } = run(Plain.plain, ["235 2.7.0 welcome"])
    assert.deepStrictEqual(lines, [`AUTH PLAIN ${plainTim}\r\n`])
    assert.deepStrictEqual(succeeds(end), { identity: "tim", mechanism: "PLAIN" })
    const acting = run(Plain.plain, ["235 welcome"], Mechanism.password("tim", Redacted.make(password), "boss"))
    assert.deepStrictEqual(succeeds(acting.end), { identity: "boss", mechanism: "PLAIN" })
  })

  it("fills a line of 512 octets, CRLF included, and not one more", () => {
    const response = new Uint8Array(375).fill(1)
    const fits = run(saying("ABCD", response), ["235 welcome"])
    assert.deepStrictEqual(fits.lines, [`AUTH ABCD ${base64(response)}\r\n`])
    assert.strictEqual(fits.lines[0]?.length, 512)
    succeeds(fits.end)
    // The same response behind a name of one letter more.
    const exceeds = run(saying("ABCDE", response), ["334 ", "235 welcome"])
    assert.deepStrictEqual(exceeds.lines, ["AUTH ABCDE\r\n", `${base64(response)}\r\n`])
    succeeds(exceeds.end)
  })

  for (const [octets, inLine] of [[372, true], [373, false], [375, false], [376, false]] as const) {
    it(`of PLAIN: ${octets} octets go ${inLine ? "in the line" : "after the empty challenge"}`, () => {
      const credentials = Mechanism.password("u", Redacted.make("p".repeat(octets - 3)))
      const message = base64(`\0u\0${"p".repeat(octets - 3)}`)
      const { end, lines } = run(Plain.plain, inLine ? ["235 ok"] : ["334 ", "235 ok"], credentials)
      assert.deepStrictEqual(lines, inLine ? [`AUTH PLAIN ${message}\r\n`] : ["AUTH PLAIN\r\n", `${message}\r\n`])
      assert.isTrue(lines.slice(0, 1).every((line) => line.length <= 512))
      succeeds(end)
    })
  }

  it("that waits is sent once: the server's next challenge is the mechanism's", () => {
    const [first, second] = [new Uint8Array(400).fill(1), new Uint8Array(1)]
    const { end, lines } = run(saying("ABCD", first, second), ["334 ", "334 bmV4dA==", "235 ok"])
    assert.deepStrictEqual(lines, ["AUTH ABCD\r\n", `${base64(first)}\r\n`, `${base64(second)}\r\n`])
    succeeds(end)
  })

  it("of no octets is `=`, and an empty line where it answers a challenge", () => {
    const none = new Uint8Array(0)
    const { end, lines } = run(saying("EXTERNAL", none, none), ["334 ", "235 ok"])
    assert.deepStrictEqual(lines, ["AUTH EXTERNAL =\r\n", "\r\n"])
    succeeds(end)
  })
})

describe("a challenge", () => {
  it("of LOGIN need not be base64", () => {
    const { end, lines } = run(Login.login, ["334 Username:", "334 Your secret, please", "235 ok"])
    assert.deepStrictEqual(lines, ["AUTH LOGIN\r\n", `${base64("tim")}\r\n`, `${base64(password)}\r\n`])
    assert.deepStrictEqual(succeeds(end), { identity: "tim", mechanism: "LOGIN" })
  })

  it("of LOGIN is understood in base64 too: no password answers a prompt for a name", () => {
    for (const prompt of ["Password:", base64("Password:")]) {
      const { lines } = run(Login.login, [`334 ${prompt}`, "501 ok"])
      assert.deepStrictEqual(lines, ["AUTH LOGIN\r\n", "*\r\n"])
    }
  })

  it("on more than one line is refused", () => {
    for (const mechanism of [Plain.plain, Login.login, CramMd5.cramMd5]) {
      const { end, lines } = run(mechanism, ["334-\n334 "])
      assert.lengthOf(lines, 1)
      const reason = failure(end)
      assert.strictEqual(reason._tag, "ProtocolViolation")
      if (reason._tag === "ProtocolViolation") assert.strictEqual(reason.step, "Auth")
    }
  })
})

const cancelled = (mechanism: string, detail: string): Reason.Reason =>
  Reason.make("AuthenticationFailed", {
    why: "exchange broken",
    attempts: [{ mechanism, outcome: "cancelled", reply: undefined, detail }]
  })

describe("`*` ends an exchange that cannot go on", () => {
  const mistaken: Mechanism.Mechanism = {
    ...waiting(Plain.plain),
    client: () =>
      Effect.succeed({
        response: undefined,
        next: () => Effect.fail(Mechanism.saslError("mechanism", "the moon is wrong")),
        verified: false
      })
  }
  const cases: ReadonlyArray<readonly [string, Mechanism.Mechanism, ReadonlyArray<string>, string, string]> = [
    [
      "a challenge that is no base64",
      CramMd5.cramMd5,
      ["334 <1@mx.example>"],
      "AUTH CRAM-MD5",
      "a challenge that is no base64"
    ],
    ["a challenge after the last response", Plain.plain, ["334 "], `AUTH PLAIN ${plainTim}`, "an unexpected challenge"],
    ["a challenge the mechanism does not take", mistaken, ["334 "], "AUTH PLAIN", "the moon is wrong"],
    ["an empty challenge of CRAM-MD5", CramMd5.cramMd5, ["334 "], "AUTH CRAM-MD5", "the challenge is empty"]
  ]
  for (const [name, mechanism, challenges, auth, detail] of cases) {
    it(`${name}: 501 ends it, and the session goes on`, () => {
      const program = Program.gen(function*() {
        const session = ready(everyMechanism)
        const tried = yield* Program.result(
          Authenticate.authenticate(session, tim, Choose.inOrder(mechanism, Login.login))
        )
        yield* session.send(Command.noop)
        return tried
      })
      const { end, lines } = play(program, [...challenges, "501 5.7.0 cancelled", "250 ok"])
      // No other mechanism is tried.
      assert.deepStrictEqual(lines, [`${auth}\r\n`, "*\r\n", "NOOP\r\n"])
      assert.deepStrictEqual(end, Result.succeed(Result.fail(cancelled(mechanism.name, detail))))
    })

    it(`${name}: a server that goes on violates the protocol`, () => {
      for (const answer of ["334 ", "334 bmV4dA==", "235 2.7.0 welcome", "250 ok", "354 go"]) {
        const { end, lines } = run(mechanism, [...challenges, answer])
        assert.deepStrictEqual(lines, [`${auth}\r\n`, "*\r\n"])
        const received = Reply.render(reply(answer))
        assert.deepStrictEqual(
          failure(end),
          Reason.make("ProtocolViolation", { step: "AuthCancel", expected: "501", received })
        )
      }
    })

    it(`${name}: any other refusal ends it too, 421 the session`, () => {
      for (const answer of ["500 what?", "535 5.7.8 no", "454 later"]) {
        assert.deepStrictEqual(failure(run(mechanism, [...challenges, answer]).end), cancelled(mechanism.name, detail))
      }
      assert.deepStrictEqual(
        failure(run(mechanism, [...challenges, "421 4.7.0 bye"]).end),
        Reason.make("ServiceClosing", { step: "AuthCancel", reply: reply("421 4.7.0 bye") })
      )
    })
  }
})

describe("235 before the exchange is complete", () => {
  const long = Mechanism.password("u", Redacted.make("p".repeat(400)))
  const cases: ReadonlyArray<readonly [string, Mechanism.Mechanism, ReadonlyArray<string>, Mechanism.Credentials]> = [
    ["LOGIN, nothing sent", Login.login, [], tim],
    ["LOGIN, the name sent", Login.login, ["334 VXNlcm5hbWU6"], tim],
    ["LOGIN, the name sent at once", Login.loginWithInitialResponse, [], tim],
    ["CRAM-MD5, nothing sent", CramMd5.cramMd5, [], tim],
    ["PLAIN, its message too long for the line", Plain.plain, [], long],
    ["a mechanism with one response more", saying("ABCD", new Uint8Array(1), new Uint8Array(1)), [], tim]
  ]
  for (const [name, mechanism, before, credentials] of cases) {
    it(name, () => {
      const welcome = reply("235 2.7.0 welcome")
      const { end, lines } = run(Choose.inOrder(mechanism, Plain.plain), [...before, "235 2.7.0 welcome"], credentials)
      assert.lengthOf(lines, before.length + 1)
      const reason = failure(end)
      assert.strictEqual(reason._tag, "ServerNotVerified")
      if (reason._tag !== "ServerNotVerified") return
      assert.strictEqual(reason.mechanism, mechanism.name)
      assert.deepStrictEqual(
        reason.attempts.map(({ outcome, reply }) => ({ outcome, reply })),
        [{ outcome: "unverified", reply: welcome }]
      )
    })
  }
})

type Why = Reason.Of<"AuthenticationFailed">["why"]

describe("after a refusal", () => {
  const two = Choose.inOrder(Plain.plain, Login.login)
  const ends: ReadonlyArray<readonly [string, Why]> = [
    ["535 5.7.8 no", "bad credentials"],
    ["550 5.7.1 no", "bad credentials"],
    ["554 5.7.0 no", "bad credentials"],
    ["454 4.7.0 later", "temporary"],
    ["451 later", "temporary"],
    ["450 later", "temporary"],
    ["501 5.5.2 what?", "no mechanism worked"],
    ["500 5.5.6 too long", "no mechanism worked"],
    ["502 what?", "no mechanism worked"],
    ["503 not now", "no mechanism worked"],
    ["530 5.7.0 STARTTLS first", "encryption required"]
  ]
  for (const [answer, why] of ends) {
    it(`${answer.slice(0, 3)}: it stops, ${why}`, () => {
      const { end, lines } = run(two, [answer, "235 never"])
      assert.lengthOf(lines, 1)
      const reason = failure(end)
      assert.strictEqual(reason._tag, "AuthenticationFailed")
      if (reason._tag !== "AuthenticationFailed") return
      assert.strictEqual(reason.why, why)
      assert.deepStrictEqual(reason.attempts.map(({ mechanism, outcome, reply }) => ({ mechanism, outcome, reply })), [
        { mechanism: "PLAIN", outcome: "refused", reply: reply(answer) }
      ])
      // The same after a challenge.
      const later = failure(
        run(Choose.inOrder(CramMd5.cramMd5, Plain.plain), [`334 ${base64("<1@h>")}`, answer, "235 never"]).end
      )
      assert.strictEqual(later._tag === "AuthenticationFailed" ? later.why : later._tag, why)
    })
  }

  const goesOn: ReadonlyArray<readonly [string, Why]> = [
    ["504 5.5.4 unknown", "no mechanism worked"],
    ["534 5.7.9 too weak", "no mechanism worked"],
    ["538 5.7.11 encrypt", "encryption required"],
    ["432 4.7.12 transition", "temporary"]
  ]
  for (const [answer, why] of goesOn) {
    it(`${answer.slice(0, 3)}: the next mechanism is tried, and the last one's end is ${why}`, () => {
      const next = run(two, [answer, "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok"])
      assert.deepStrictEqual(next.lines.slice(0, 2), [`AUTH PLAIN ${plainTim}\r\n`, "AUTH LOGIN\r\n"])
      assert.deepStrictEqual(succeeds(next.end), { identity: "tim", mechanism: "LOGIN" })
      const reason = failure(run(two, [answer, answer]).end)
      assert.strictEqual(reason._tag, "AuthenticationFailed")
      if (reason._tag !== "AuthenticationFailed") return
      assert.strictEqual(reason.why, why)
      assert.deepStrictEqual(reason.attempts.map(({ mechanism }) => mechanism), ["PLAIN", "LOGIN"])
    })
  }

  it("421 closes the session, whenever it comes", () => {
    const bye = "421 4.7.0 too many failures"
    assert.deepStrictEqual(
      failure(run(two, [bye]).end),
      Reason.make("ServiceClosing", { step: "Auth", reply: reply(bye) })
    )
    assert.deepStrictEqual(
      failure(run(Login.login, ["334 VXNlcm5hbWU6", bye]).end),
      Reason.make("ServiceClosing", { step: "AuthResponse", reply: reply(bye) })
    )
  })

  it("another yes than 235 is none", () => {
    for (const answer of ["250 ok", "220 ok", "200 ok", "354 go", "335 go"]) {
      const reason = failure(run(two, [answer, "235 never"]).end)
      assert.strictEqual(reason._tag, "ProtocolViolation", answer)
    }
  })

  it("three mechanisms are tried at most", () => {
    const four = Choose.inOrder(...["ONE", "TWO", "THREE", "FOUR"].map((name) => saying(name, new Uint8Array(1))))
    const { end, lines, unread } = run(four, ["504 no", "504 no", "504 no", "235 never"])
    assert.deepStrictEqual(lines, ["AUTH ONE AA==\r\n", "AUTH TWO AA==\r\n", "AUTH THREE AA==\r\n"])
    assert.strictEqual(unread, 1)
    const reason = failure(end)
    assert.lengthOf(reason._tag === "AuthenticationFailed" ? reason.attempts : [], 3)
  })
})

describe("before anything is said", () => {
  it("credentials that cannot be sent are refused", () => {
    const { end, lines } = run(Plain.plain, ["235 never"], Mechanism.password("", Redacted.make("p")))
    assert.lengthOf(lines, 0)
    assert.deepStrictEqual(
      failure(end),
      Reason.make("InvalidInput", { what: "the credentials", problem: "the user name is empty" })
    )
  })

  it("a mechanism without a name is refused", () => {
    for (const name of ["", "A B", "A\r\nRSET", "A".repeat(21)]) {
      const { end, lines } = run(() => ({ candidates: [saying(name, new Uint8Array(1))], unusable: [] }), ["235 never"])
      assert.lengthOf(lines, 0)
      const reason = failure(end)
      assert.strictEqual(reason._tag === "InvalidInput" ? reason.what : reason._tag, "the mechanism")
    }
  })
})

interface Message {
  readonly from: string
  readonly base64?: string | undefined
  readonly raw?: string | undefined
}

interface Vector {
  readonly id: string
  readonly inputs: {
    readonly username: string
    readonly password: string | null
    readonly authzid?: string | null | undefined
    readonly initialResponse?: boolean | undefined
  }
  readonly exchange: ReadonlyArray<Message>
  readonly outcome: {
    readonly result: string
    readonly reason?: string | undefined
    readonly smtpFinal?: string | undefined
    readonly smtpAfterCancel?: string | undefined
    readonly tryNextMechanism?: boolean | undefined
  }
  readonly smtp?: ReadonlyArray<string> | undefined
}

/** The form of the mechanism that a vector plays: with an initial response, or asked for it first. */
const formOf = (mechanism: Mechanism.Mechanism, { exchange, inputs }: Vector): Mechanism.Mechanism => {
  if (mechanism === Login.login) return inputs.initialResponse === true ? Login.loginWithInitialResponse : mechanism
  const response = exchange.find(({ from }) => from === "client")?.base64 ?? ""
  const tooLong = response.length > 512 - "AUTH PLAIN \r\n".length
  return mechanism === Plain.plain && inputs.initialResponse === false && !tooLong ? waiting(mechanism) : mechanism
}

/** The lines of a vector's client. */
const clientLines = (name: string, { exchange, outcome, smtp }: Vector): ReadonlyArray<string> => {
  if (smtp !== undefined) return smtp.flatMap((line) => line.startsWith("C: ") ? [`${line.slice(3)}\r\n`] : [])
  const [first, ...others] = exchange
  const responses = (messages: ReadonlyArray<Message>) =>
    messages.flatMap(({ base64, from }) => from === "client" ? [`${base64}\r\n`] : [])
  const begun = first?.from === "client"
    ? [`AUTH ${name} ${first.base64}\r\n`, ...responses(others)]
    : [`AUTH ${name}\r\n`, ...responses(exchange)]
  return outcome.result === "client-abort" ? [...begun, "*\r\n"] : begun
}

/** The lines of a vector's server. */
const serverLines = ({ exchange, outcome, smtp }: Vector): ReadonlyArray<string> => {
  if (smtp !== undefined) return smtp.flatMap((line) => line.startsWith("S: ") ? [line.slice(3)] : [])
  const challenges = exchange.flatMap(({ base64, from, raw }) => from === "server" ? [raw ?? `334 ${base64}`] : [])
  return [...challenges, outcome.smtpFinal ?? outcome.smtpAfterCancel ?? ""]
}

const whyRefused: Readonly<Record<string, Why>> = {
  "authzid-denied": "bad credentials",
  temporary: "temporary",
  syntax: "no mechanism worked"
}

const files: ReadonlyArray<readonly [Mechanism.Mechanism, ReadonlyArray<Vector>]> = [
  [Plain.plain, plainVectors.vectors],
  [Login.login, loginVectors.vectors],
  [CramMd5.cramMd5, cramMd5Vectors.vectors]
]

for (const [mechanism, vectors] of files) {
  describe(`${mechanism.name} vectors, line by line`, () => {
    for (const vector of vectors) {
      const { id, inputs, outcome } = vector
      // The secret of this one was not published: no client can say its lines.
      if (inputs.password === null) continue
      const credentials = Mechanism.password(
        inputs.username,
        Redacted.make(inputs.password),
        inputs.authzid ?? undefined
      )
      const authenticator = Choose.inOrder(formOf(mechanism, vector), CramMd5.cramMd5, Login.login)
      const { end, lines } = run(authenticator, serverLines(vector), credentials)

      it(`${id}: ${outcome.result}`, () => {
        const expected = clientLines(mechanism.name, vector)
        switch (outcome.result) {
          case "success":
            assert.deepStrictEqual(lines, expected)
            assert.deepStrictEqual(succeeds(end), {
              identity: inputs.authzid ?? inputs.username,
              mechanism: mechanism.name
            })
            return
          case "client-refuse":
            assert.lengthOf(lines, 0)
            assert.strictEqual(failure(end)._tag, "InvalidInput")
            return
          case "client-abort": {
            assert.deepStrictEqual(lines, expected)
            const reason = failure(end)
            assert.strictEqual(reason._tag === "AuthenticationFailed" ? reason.why : reason._tag, "exchange broken")
            return
          }
          case "server-reject": {
            if (outcome.tryNextMechanism === true) {
              assert.deepStrictEqual(lines, [...expected, "AUTH CRAM-MD5\r\n"])
              assert.isUndefined(end)
              return
            }
            assert.deepStrictEqual(lines, expected)
            const reason = failure(end)
            const why = whyRefused[outcome.reason ?? ""]
            if (why === undefined) {
              assert.strictEqual(outcome.reason, "connection-closed")
              assert.strictEqual(reason._tag, "ServiceClosing")
            } else {
              assert.strictEqual(reason._tag === "AuthenticationFailed" ? reason.why : reason._tag, why)
            }
            return
          }
          default:
            assert.fail(`a vector of an unknown kind: ${outcome.result}`)
        }
      })
    }
  })
}

describe("SMTP-AUTH vectors", () => {
  // Offers, MAIL's AUTH parameter and transcripts are tested where they are read and written.
  const inWire = /^smtp-auth\/(?:ehlo\/|xtext\/|log-redaction$)/
  const external = saying("EXTERNAL", new Uint8Array(0))
  const tests: Readonly<Record<string, (vector: (typeof smtpVectors.vectors)[number]) => void>> = {
    "smtp-auth/ir/equals-for-empty": ({ outcome }) => {
      assert.deepStrictEqual(run(external, ["235 ok"]).lines, [`${outcome.line}\r\n`])
    },
    "smtp-auth/ir/empty-after-334-is-empty-line": ({ inputs, outcome }) => {
      const { end, lines } = run(waiting(external), [inputs.serverLine ?? "", "235 ok"])
      assert.deepStrictEqual(lines, ["AUTH EXTERNAL\r\n", `${outcome.line}\r\n`])
      succeeds(end)
    },
    "smtp-auth/ir/exceeds-by-one": ({ inputs, outcome }) => {
      const secret = "p".repeat((inputs.irBase64Length ?? 0) / 4 * 3 - "\0u\0".length)
      const { lines } = run(Plain.plain, ["334 ", "235 ok"], Mechanism.password("u", Redacted.make(secret)))
      assert.isFalse(outcome.useInitialResponse)
      assert.deepStrictEqual(lines, ["AUTH PLAIN\r\n", `${base64(`\0u\0${secret}`)}\r\n`])
      assert.lengthOf(lines[1] ?? "", (inputs.irBase64Length ?? 0) + 2)
    },
    "smtp-auth/response/12288": ({ inputs }) => {
      // As many octets as fill the length that RFC 4954 calls sufficient, both ways.
      const octets = new Uint8Array(Math.floor((inputs.responseBase64Length ?? 0) / 4) * 3).fill(255)
      const { end, lines } = run(saying("ABCD", octets, octets), ["334 ", `334 ${base64(octets)}`, "235 ok"])
      assert.deepStrictEqual(lines, ["AUTH ABCD\r\n", `${base64(octets)}\r\n`, `${base64(octets)}\r\n`])
      succeeds(end)
    },
    "smtp-auth/cancel/star": ({ inputs, outcome }) => {
      const program = Program.gen(function*() {
        const session = ready(everyMechanism)
        yield* Program.result(Authenticate.authenticate(session, tim, Choose.inOrder(CramMd5.cramMd5)))
        return yield* session.send(Command.noop)
      })
      const { end, lines } = play(program, ["334 ?", inputs.serverReply ?? "", "250 ok"])
      assert.deepStrictEqual(lines, ["AUTH CRAM-MD5\r\n", `${inputs.clientLine}\r\n`, "NOOP\r\n"])
      assert.strictEqual(end !== undefined && Result.isSuccess(end), outcome.connectionReusable)
    },
    "smtp-auth/starttls/auth-list-discarded": ({ inputs, outcome }) => {
      const scram = saying("SCRAM-SHA-256", new Uint8Array(1))
      const select = (offer = "") =>
        play(Authenticate.authenticate(ready(offer.slice("250-".length)), tim, Choose.inOrder(Plain.plain, scram)), [])
          .lines[0]
      assert.strictEqual(select(inputs.before), `AUTH PLAIN ${plainTim}\r\n`)
      assert.strictEqual(select(inputs.after), `AUTH ${outcome.mechanism} AA==\r\n`)
    },
    "smtp-auth/creds-but-no-auth-advertised": ({ inputs }) => {
      const session = ready(...(inputs.ehloLines ?? []).map((line) => line.slice("250-".length)))
      const { end, lines } = play(Authenticate.authenticate(session, tim, Choose.standard), [])
      assert.lengthOf(lines, 0)
      const reason = failure(end)
      assert.deepStrictEqual(reason._tag === "NoUsableMechanism" ? reason.offered : reason._tag, [])
    }
  }

  for (const vector of smtpVectors.vectors) {
    if (inWire.test(vector.id)) continue
    it(vector.id, () => {
      const test = tests[vector.id]
      assert.isDefined(test, "a vector that no test knows")
      test?.(vector)
    })
  }
})
