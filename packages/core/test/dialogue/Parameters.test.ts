import { assert, describe, it } from "@effect/vitest"
import { Capabilities, Command, CommandLine, Envelope, Reply } from "@postern/core"
import { tlsFacts } from "@postern/testing/Explore"
import { Result } from "effect"
import * as fc from "fast-check"
import * as Parameters from "../../src/dialogue/Parameters.ts"

const content = { facts: { size: 12, eightBit: false }, binary: false }

const offering = (...lines: ReadonlyArray<string>) => Capabilities.fromEhlo(Reply.make(250, ["mx.example", ...lines]))

const envelope = (input: Partial<Envelope.Input>) =>
  Result.getOrThrow(Envelope.make({ from: "ann@a.example", to: "ben@b.example", ...input }))

const words = (parameters: ReadonlyArray<Command.Parameter> | undefined): string =>
  (parameters ?? []).map(({ keyword, value }) => value === undefined ? keyword : `${keyword}=${value}`).join(" ")

describe("Parameters.of", () => {
  it("says what the server offers, in one place each", () => {
    const capabilities = offering("SIZE", "8BITMIME", "SMTPUTF8", "DSN", "REQUIRETLS", "MT-PRIORITY MIXER", "RRVS")
    const made = Result.getOrThrow(Parameters.of(
      { capabilities, tls: tlsFacts },
      envelope({
        to: [
          { mailbox: "bücher@b.example", notify: "never", validSince: new Date(0) },
          { mailbox: "cat@c.example", originalRecipient: "kitty@c.example" }
        ],
        dsn: { return: "headers", notify: ["failure"] },
        requireTls: true,
        priority: 3
      }),
      { facts: { size: 12, eightBit: true }, binary: false }
    ))
    assert.strictEqual(words(made.mail), "SIZE=12 BODY=8BITMIME SMTPUTF8 RET=HDRS REQUIRETLS MT-PRIORITY=3")
    assert.deepStrictEqual(made.rcpt.map(words), [
      "NOTIFY=NEVER RRVS=1970-01-01T00:00:00Z",
      "NOTIFY=FAILURE ORCPT=rfc822;kitty@c.example"
    ])
  })

  it("names the extension that is missing", () => {
    const made = Parameters.of({ capabilities: offering(), tls: undefined }, envelope({ priority: 1 }), content)
    assert.deepStrictEqual(
      made,
      Result.fail({
        _tag: "ExtensionMissing",
        extension: "MT-PRIORITY",
        because: "the envelope asks for MT-PRIORITY"
      })
    )
  })

  it("leaves out what is optional", () => {
    const asked = envelope({ priority: 1, dsn: { notify: "never" }, optional: ["MT-PRIORITY", "DSN"] })
    const made = Result.getOrThrow(Parameters.of({ capabilities: offering(), tls: undefined }, asked, content))
    assert.deepStrictEqual(made, { mail: [], rcpt: [[]] })
  })

  it("sends what is optional where it is offered", () => {
    const asked = envelope({ priority: 1, optional: ["MT-PRIORITY"] })
    const capabilities = offering("MT-PRIORITY")
    const made = Result.getOrThrow(Parameters.of({ capabilities, tls: undefined }, asked, content))
    assert.strictEqual(words(made.mail), "MT-PRIORITY=1")
  })

  it("never says REQUIRETLS without TLS", () => {
    const capabilities = offering("REQUIRETLS")
    const made = Parameters.of({ capabilities, tls: undefined }, envelope({ requireTls: true }), content)
    assert.strictEqual(Result.isFailure(made) ? made.failure._tag : undefined, "ExtensionMissing")
  })

  it("says what the server's limit is", () => {
    const capabilities = offering("DELIVERBY 240")
    const asked = envelope({ deliverBy: { seconds: 10, otherwise: "return" } })
    const made = Parameters.of({ capabilities, tls: undefined }, asked, content)
    assert.deepStrictEqual(
      made,
      Result.fail({
        _tag: "InvalidInput",
        what: "BY of the envelope",
        problem: "the server takes no less than 240 seconds"
      })
    )
  })
})

const notify = fc.oneof(
  fc.constant("never" as const),
  fc.subarray(["success", "failure", "delay"] as const, { minLength: 1 })
)
const date = fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true })
const some = <A>(arbitrary: fc.Arbitrary<A>) => fc.option(arbitrary, { nil: undefined })
const optional = ["DSN", "DELIVERBY", "MT-PRIORITY", "AUTH", "RRVS"] as const

const input: fc.Arbitrary<Envelope.Input> = fc.record({
  from: fc.constantFrom("ann@a.example", "änn@a.example", null),
  to: fc.array(
    fc.record({
      mailbox: fc.constantFrom("ben@b.example", "bén@b.example"),
      notify: some(notify),
      originalRecipient: some(fc.constantFrom("x@y.example", "ü@y.example", "a=b+c@d")),
      validSince: some(date)
    }),
    { minLength: 1, maxLength: 3 }
  ),
  dsn: some(fc.record({
    return: some(fc.constantFrom("full" as const, "headers" as const)),
    envelopeId: some(fc.constantFrom("QQ314159", "a b+c=d")),
    notify: some(notify)
  })),
  requireTls: some(fc.boolean()),
  deliverBy: some(fc.record({
    seconds: fc.integer({ min: 1, max: 999 }),
    otherwise: fc.constantFrom("return" as const, "notify" as const),
    trace: some(fc.boolean())
  })),
  priority: some(fc.integer({ min: -9, max: 9 })),
  hold: some(fc.oneof(
    fc.record({ for: fc.integer({ min: 1, max: 9999 }) }),
    fc.record({ until: date })
  )),
  submitter: some(fc.constantFrom("ann@a.example", null)),
  optional: some(fc.subarray([...optional]))
})

const lines = fc.subarray([
  "SIZE 1000",
  "8BITMIME",
  "SMTPUTF8",
  "DSN",
  "REQUIRETLS",
  "DELIVERBY 240",
  "MT-PRIORITY",
  "FUTURERELEASE 600 2050-01-01T00:00:00Z",
  "AUTH PLAIN",
  "RRVS"
])

/** Which extension each parameter is of, written anew from the RFCs. */
const extensionOf: Readonly<Record<string, string>> = {
  SIZE: "SIZE",
  BODY: "8BITMIME",
  SMTPUTF8: "SMTPUTF8",
  RET: "DSN",
  ENVID: "DSN",
  NOTIFY: "DSN",
  ORCPT: "DSN",
  REQUIRETLS: "REQUIRETLS",
  BY: "DELIVERBY",
  "MT-PRIORITY": "MT-PRIORITY",
  HOLDFOR: "FUTURERELEASE",
  HOLDUNTIL: "FUTURERELEASE",
  AUTH: "AUTH",
  RRVS: "RRVS"
}

describe("laws", () => {
  it("what is sent was offered, is asked for, and is understood; what is not sent was optional", () => {
    let sent = 0
    let refused = 0
    fc.assert(
      fc.property(input, lines, fc.boolean(), fc.boolean(), (asked, lines, secure, eightBit) => {
        const capabilities = offering(...lines)
        const made = envelope(asked)
        const facts = { size: 9, eightBit }
        const subject = { facts, binary: false }
        const result = Parameters.of({ capabilities, tls: secure ? tlsFacts : undefined }, made, subject)
        if (Result.isFailure(result)) {
          refused++
          const { failure } = result
          if (failure._tag === "ExtensionMissing" && (failure.extension !== "REQUIRETLS" || secure)) {
            assert.isFalse(Capabilities.has(capabilities, failure.extension))
          }
          return
        }
        sent++
        const { mail, rcpt } = result.success
        for (const { keyword } of [...mail, ...rcpt.flat()]) {
          assert.isTrue(Capabilities.has(capabilities, extensionOf[keyword] ?? "?"), keyword)
        }
        const wanted = [...made.demands.mail, ...made.demands.rcpt.flat()]
        const said = new Set([...mail, ...rcpt.flat()].map(({ keyword }) => keyword))
        for (const { extension, parameter } of wanted) {
          assert.strictEqual(said.has(parameter.keyword), Capabilities.has(capabilities, extension))
          if (!said.has(parameter.keyword)) assert.isTrue(made.optional.has(extension))
        }
        for (
          const command of [
            Command.mail(made.reversePath, mail),
            ...made.forwardPaths.map((path, i) => Command.rcpt(path, rcpt[i]))
          ]
        ) {
          const line = new TextDecoder().decode(CommandLine.encode(command)).slice(0, -2)
          assert.deepStrictEqual(CommandLine.decode(line), Result.succeed(command))
        }
      }),
      { numRuns: 2000 }
    )
    assert.isAbove(sent, 20)
    assert.isAbove(refused, 100)
  })
})
