import { assert, describe, it } from "@effect/vitest"
import { Choose, Command, CramMd5, Login, Mechanism, Plain, Reply, SmtpClient, SmtpError } from "@postern/core"
import { InMemory, type ServerMachine } from "@postern/testing"
import { Effect, Exit, Layer, Logger, Redacted, References, Result, Schema } from "effect"
import * as fc from "fast-check"
import { inspect } from "node:util"
import { Secrets } from "../../src/run/Secrets.ts"
import { failure, saysBytes, single, submission, talk, until } from "./scripted.ts"
import { traced } from "./traced.ts"

const utf8 = new TextEncoder()
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64").replace(/=+$/, "")
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** Everything that somebody may print, store or send elsewhere, of one client's work. */
const traces = Effect.fnUntraced(function*(options: SmtpClient.Options, server: ServerMachine.Config) {
  const seen: Array<string> = []
  const show = (value: unknown) => {
    seen.push(
      String(value),
      inspect(value, { depth: 20, showHidden: true, getters: true }),
      JSON.stringify(value, (_, it: unknown) => typeof it === "bigint" ? String(it) : it) ?? ""
    )
    if (value instanceof Error) seen.push(value.message, value.stack ?? "")
  }
  const logger = Logger.make<unknown, void>(({ cause, fiber, message }) => {
    show(message)
    show(cause)
    show(fiber.getRef(References.CurrentLogAnnotations))
  })
  const { spans, tracer } = traced()
  const observe = (event: unknown) => Effect.sync(() => show(event))
  const { layer } = yield* InMemory.make(server)
  const result = yield* SmtpClient.SmtpClient.pipe(
    Effect.flatMap((client) => client.send({ from: "ann@a.example", to: "ben@b.example", content: "x" })),
    Effect.provide(Layer.provide(SmtpClient.layer({ ...options, observe }), layer)),
    Effect.tapCause((cause) => Effect.logError("failed", cause)),
    Effect.withSpan("sending"),
    Effect.withTracer(tracer),
    Effect.provide(Logger.layer([logger])),
    Effect.provideService(References.MinimumLogLevel, "Trace"),
    Effect.exit
  )
  show(result)
  if (Exit.isSuccess(result)) show(result.value)
  const error = Result.getOrUndefined(Result.flip(yield* Effect.result(result)))
  if (error !== undefined) {
    show(error)
    show(Schema.encodeSync(Schema.toCodecJson(SmtpError.SmtpError))(error))
  }
  for (const span of spans) show([...span.attributes, span.events, span.status])
  assert.isAbove(spans.length, 1)
  return { seen: seen.join("\n"), error }
})

// Unlike any word of the protocol, of some length, and now and then outside ASCII.
const word = fc.array(fc.constantFrom(..."ABDFGHJKMQVWXZ23456789äßЖ~&+/='\" "), { minLength: 8, maxLength: 20 })
  .map((all) => `Q${all.join("")}Z`)
const account = word.chain((password) =>
  fc.record({
    password: fc.constant(password),
    // Also one that is part of the password: to hide it alone would cut the password in two.
    user: fc.oneof(fc.stringMatching(/^[a-z]{4,12}$/), fc.constantFrom(password.slice(0, 5), password.slice(-4)))
  })
)
const mechanisms = [Plain.plain, Login.login, Login.loginWithInitialResponse, CramMd5.cramMd5] as const

/** How a server may give back what it was told. */
const echo = (said: Uint8Array): ReadonlyArray<string> => {
  const parts = text(said).split("\0")
  const forms = [said, ...parts.map((part) => utf8.encode(part))].flatMap((
    bytes
  ) => [`${base64(bytes)}== is not good`, `<${hex(bytes)}>`])
  return [...forms, ...parts, parts.join(" ")]
}

const answered = fc.record({
  account,
  mechanism: fc.constantFrom(...mechanisms),
  code: fc.constantFrom(235, 250, 334, 421, 432, 454, 500, 501, 504, 530, 534, 535, 538, 550),
  /** Which of the server's answers it is. */
  turn: fc.nat(1),
  oneLine: fc.boolean()
})

describe("what was said in AUTH", () => {
  it("is nowhere to be found, however the server gives it back", () =>
    fc.assert(
      fc.asyncProperty(answered, async ({ account: { password, user }, code, mechanism, oneLine, turn }) => {
        let turns = 0
        const told: Array<Uint8Array> = []
        const server: ServerMachine.Config = {
          mechanisms: [mechanism],
          accounts: { [user]: Redacted.make(password) },
          requireAuth: true,
          reply: (command) => {
            if (command._tag !== "Auth" && command._tag !== "AuthResponse") return undefined
            const secret = command._tag === "Auth" ? command.initialResponse : command.response
            if (secret === undefined) return undefined
            told.push(Redacted.value(secret))
            if (turns++ !== turn && mechanism !== Plain.plain) return undefined
            const lines = told.flatMap(echo)
            return Reply.make(code, oneLine ? lines.join(" ") : lines)
          }
        }
        const options: SmtpClient.Options = {
          endpoint: "mx.example:587",
          security: "startTls",
          credentials: Mechanism.password(user, Redacted.make(password)),
          authenticator: Choose.inOrder(mechanism)
        }
        const { seen } = await Effect.runPromise(traces(options, server))
        const secrets = [password, base64(utf8.encode(password)), hex(utf8.encode(password))]
        const responses = told.flatMap((said) => text(said) === user ? [] : [base64(said), hex(said)])
        const printed = [password, password.trim()].flatMap((
          text
        ) => [JSON.stringify(text).slice(1, -1), encodeURIComponent(text)])
        // CRAM-MD5 never says the password, and nothing hides what was never said.
        for (const form of mechanism === CramMd5.cramMd5 ? responses : [...secrets, ...printed, ...responses]) {
          assert.notInclude(seen, form)
        }
        if (mechanism !== CramMd5.cramMd5 && user === password.slice(0, 5)) assert.notInclude(seen, password.slice(5))
      }),
      { numRuns: 300 }
    ), 60_000)

  it("is not in what is not a reply either", () =>
    fc.assert(
      fc.asyncProperty(fc.boolean(), fc.boolean(), async (whole, second) => {
        const secret = base64(utf8.encode("\0tim\0tanstaaftanstaaf"))
        const echoed = `AUTH PLAIN ${secret}`
        const script = second
          ? [...until("Auth"), saysBytes(`235 ok\r\n250 ${echoed}\r\n`)]
          : [...until("Auth"), saysBytes(`${echoed}\r\n`)]
        const talked = await Effect.runPromise(
          talk(script, (connection) => connection.run(submission()), { chunk: whole || second ? undefined : single })
        )
        const error = failure(talked)
        assert.strictEqual(error.reason._tag, "ProtocolViolation")
        const seen = inspect([error, talked.events], { depth: 20 })
        assert.notInclude(seen, secret.slice(0, 16))
        assert.notInclude(seen, "tanstaaf")
        assert.include(seen, "<redacted>")
      }),
      { numRuns: 8 }
    ))

  it.effect.each(["250 ", "250-half ", "what is this? "])(
    "is not in a reply more than was asked for, whenever it comes: %j",
    (before) =>
      Effect.gen(function*() {
        const secret = base64(utf8.encode("\0tim\0tanstaaftanstaaf"))
        const script = [...until("Content"), saysBytes(`250 taken\r\n${before}AUTH PLAIN ${secret}\r\n`)]
        const talked = yield* talk(script, (connection) => connection.run(submission()))
        // Half a reply waits for its other half, and is told when the next command is said.
        if (Result.isFailure(talked.result)) assert.strictEqual(failure(talked).reason._tag, "InDoubt")
        const seen = inspect([talked.result, talked.events], { depth: 20 })
        assert.notInclude(seen, secret.slice(0, 16))
        assert.strictEqual(seen.includes("<redacted>"), before !== "250-half ")
      })
  )

  it("is cut at the limit of what an error shows: nothing of it is shown then", () =>
    Effect.runPromise(Effect.gen(function*() {
      const secret = base64(utf8.encode("\0tim\0tanstaaftanstaaf"))
      for (const bytes of [`235 ok\r\n${" ".repeat(60)}${secret}`, `235 ok\r\n250-${secret.slice(0, 12)}`]) {
        const talked = yield* talk([...until("Auth"), saysBytes(bytes)], (connection) => connection.run(submission()))
        assert.notInclude(inspect(failure(talked), { depth: 20 }), secret.slice(0, 8))
      }
    })))
})

describe("hiding", () => {
  const secrets = new Secrets()
  const reply = Reply.make(535, ["tim tanstaaf no", "tim", "250 tim@b.example"], "5.7.8")

  it("is CRAM-MD5's digest, too, without the user name", () => {
    const digest = "b913a602c7eda7a495b4e6e7334d3890"
    const secrets = new Secrets()
    secrets.learn(Command.authResponse(Redacted.make(utf8.encode(`tim ${digest}`))))
    const shown = secrets.hide("AuthResponse", Reply.make(535, `${digest} is wrong`))
    assert.strictEqual(shown.lines[0], "<redacted> is wrong")
  })

  it("is of every way in which a line can have it", () => {
    const password = "p\u00e4\u00dfw\u00f6rd~Lang"
    const secrets = new Secrets()
    secrets.learn(Result.getOrThrow(Command.auth("PLAIN", Redacted.make(utf8.encode(`\0tim\0${password}`)))))
    const shown = (bytes: Uint8Array) => {
      const decoder = Reply.decoder()
      decoder.push(Buffer.concat([Buffer.from("535 "), bytes, Buffer.from("\r\n")]))
      const read = decoder.next()
      return read === undefined ? "" : secrets.hide("Auth", Result.getOrThrow(read)).lines[0]
    }
    const secret = Buffer.from(password)
    assert.strictEqual(shown(secret), "<redacted>")
    // Not UTF-8 as a whole, so that it is read octet by octet.
    assert.strictEqual(shown(Buffer.concat([Buffer.from([0xff]), secret])), "\u00ff<redacted>")
    assert.strictEqual(shown(Buffer.from(password, "latin1")), "<redacted>")
    assert.strictEqual(shown(Buffer.from(hex(secret).toUpperCase())), "<redacted>")
    assert.strictEqual(shown(Buffer.from(encodeURIComponent(password))), "<redacted>")
    for (const before of ["", "x", "xx"]) {
      const encoded = Buffer.concat([Buffer.from(before), secret, Buffer.from(" is wrong")]).toString("base64")
      assert.match(shown(Buffer.from(encoded)), /^.{0,3}<redacted>.*$/)
      for (let at = 0; at < secret.length - 5; at++) {
        const some = Buffer.from(base64(secret.subarray(at, at + 6)))
        assert.notInclude(shown(Buffer.from(encoded)), some.toString())
      }
    }
  })

  it("is not of NTLM's name, with which its challenge begins", () => {
    const secrets = new Secrets()
    secrets.learn(Command.authResponse(Redacted.make(utf8.encode("NTLMSSP\0\u0001\0\0\0"))))
    const challenge = Reply.make(535, Buffer.from("NTLMSSP\0\u0002").toString("base64"))
    assert.deepStrictEqual(secrets.hide("AuthResponse", challenge), challenge)
  })

  it("hides nothing before anything was said", () => assert.strictEqual(secrets.hide("Auth", reply), reply))

  it("leaves short words, and all that is not about authentication", () => {
    secrets.learn(Result.getOrThrow(Command.auth("PLAIN", Redacted.make(utf8.encode("\0tim\0tanstaaf")))))
    assert.deepStrictEqual(secrets.hide("Auth", reply).lines, [
      "5.7.8 tim <redacted> no",
      "5.7.8 tim",
      "5.7.8 250 tim@b.example"
    ])
    assert.deepStrictEqual(secrets.hide("Auth", reply).status, reply.status)
    assert.strictEqual(secrets.hide("Rcpt", reply), reply)
    assert.strictEqual(secrets.hideAll("Rcpt", "tanstaaf"), "tanstaaf")
    assert.strictEqual(secrets.hideAll("AuthCancel", "tanst"), "<redacted>")
    assert.notInclude(inspect(secrets, { depth: 9, showHidden: true }), "tanst")
  })
})

describe("Redacted options", () => {
  it.effect("do not show in errors about them", () =>
    Effect.gen(function*() {
      const password = "tanstaaftanstaaf"
      for (
        const endpoint of [
          `smtp://tim:${password}@`,
          `smtp://tim:${password}@h:99999`,
          `ftp://tim:${password}@h`,
          `smtp://tim:%zz${password}@h`,
          `tim:${password}@h:25`
        ]
      ) {
        const exit = yield* Effect.exit(
          SmtpClient.make({ endpoint }).pipe(Effect.provide(yield* Effect.map(InMemory.make({}), ({ layer }) => layer)))
        )
        assert.isTrue(Exit.isFailure(exit), endpoint)
        assert.notInclude(inspect(exit, { depth: 20 }), password)
      }
    }))
})
