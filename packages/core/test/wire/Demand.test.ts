import { assert, describe, it } from "@effect/vitest"
import { Command, Demand } from "@postern/core"
import { Result } from "effect"

const shown = (demands: ReturnType<typeof Demand.mail>): ReadonlyArray<string> =>
  Result.getOrThrow(demands).map(({ extension, parameter: { keyword, value } }) =>
    `${extension}: ${keyword}${value === undefined ? "" : `=${value}`}`
  )

const option = (demands: ReturnType<typeof Demand.mail>): string | undefined =>
  Result.isFailure(demands) ? demands.failure.option : undefined

const at = new Date("2026-11-24T08:30:15.678Z")

describe("Demand.mail", () => {
  it.each<[Demand.MailOptions, ReadonlyArray<string>]>([
    [{}, []],
    [{ dsn: {} }, []],
    // RFC 3461 §9.1.
    [{ dsn: { return: "headers", envelopeId: "QQ314159" } }, ["DSN: RET=HDRS", "DSN: ENVID=QQ314159"]],
    [{ dsn: { return: "full", envelopeId: "a+b=c d" } }, ["DSN: RET=FULL", "DSN: ENVID=a+2Bb+3Dc+20d"]],
    [{ requireTls: true }, ["REQUIRETLS: REQUIRETLS"]],
    [{ requireTls: false }, []],
    // RFC 2852 §4.
    [{ deliverBy: { seconds: 120, otherwise: "return" } }, ["DELIVERBY: BY=120;R"]],
    [{ deliverBy: { seconds: -5, otherwise: "notify", trace: true } }, ["DELIVERBY: BY=-5;NT"]],
    [{ priority: -9 }, ["MT-PRIORITY: MT-PRIORITY=-9"]],
    [{ priority: 0 }, ["MT-PRIORITY: MT-PRIORITY=0"]],
    [{ hold: { for: 86_400 } }, ["FUTURERELEASE: HOLDFOR=86400"]],
    [{ hold: { until: at } }, ["FUTURERELEASE: HOLDUNTIL=2026-11-24T08:30:15Z"]],
    // RFC 4954 §5.
    [{ submitter: "e=mc2@example.com" }, ["AUTH: AUTH=e+3Dmc2@example.com"]],
    [{ submitter: null }, ["AUTH: AUTH=<>"]]
  ])("%j", (options, expected) => assert.deepStrictEqual(shown(Demand.mail(options)), expected))

  it.each<[Demand.MailOptions, string]>([
    [{ dsn: { envelopeId: "" } }, "dsn.envelopeId"],
    [{ dsn: { envelopeId: "a\r\nRCPT TO:<x@y>" } }, "dsn.envelopeId"],
    [{ dsn: { envelopeId: "é" } }, "dsn.envelopeId"],
    [{ dsn: { envelopeId: "=".repeat(34) } }, "dsn.envelopeId"],
    [{ deliverBy: { seconds: 0, otherwise: "return" } }, "deliverBy.seconds"],
    [{ deliverBy: { seconds: 1.5, otherwise: "notify" } }, "deliverBy.seconds"],
    [{ deliverBy: { seconds: 1e9, otherwise: "notify" } }, "deliverBy.seconds"],
    [{ deliverBy: { seconds: Number.NaN, otherwise: "notify" } }, "deliverBy.seconds"],
    [{ priority: 10 }, "priority"],
    [{ priority: 0.5 }, "priority"],
    [{ hold: { for: 0 } }, "hold.for"],
    [{ hold: { until: new Date(Number.NaN) } }, "hold.until"],
    [{ submitter: "no address" }, "submitter"]
  ])("refuses %j", (options, expected) => assert.strictEqual(option(Demand.mail(options)), expected))

  it("writes zero once", () =>
    assert.deepStrictEqual(shown(Demand.mail({ priority: -0 })), ["MT-PRIORITY: MT-PRIORITY=0"]))

  it.each<[Demand.MailOptions, ReadonlyArray<string>, boolean]>([
    [{ deliverBy: { seconds: 59, otherwise: "return" } }, ["60"], true],
    [{ deliverBy: { seconds: 60, otherwise: "return" } }, ["60"], false],
    [{ deliverBy: { seconds: 1, otherwise: "notify" } }, ["60"], false],
    [{ deliverBy: { seconds: 1, otherwise: "return" } }, [], false],
    [{ hold: { for: 601 } }, ["600", "2026-12-01T00:00:00Z"], true],
    [{ hold: { for: 600 } }, ["600", "2026-12-01T00:00:00Z"], false],
    [{ hold: { until: at } }, ["600", "2026-11-24T08:30:15Z"], true],
    [{ hold: { until: at } }, ["600", "2026-11-24T08:30:16Z"], false],
    [{ hold: { until: at } }, ["600", "nonsense"], false]
  ])("%j with a server that says %j", (options, values, forbidden) => {
    const [demand] = Result.getOrThrow(Demand.mail(options))
    assert.strictEqual(demand?.forbidden?.(values) !== undefined, forbidden)
  })
})

describe("Demand.rcpt", () => {
  it.each<[Demand.RcptOptions, ReadonlyArray<string>]>([
    [{}, []],
    [{ notify: "never" }, ["DSN: NOTIFY=NEVER"]],
    [{ notify: ["success", "failure", "success"] }, ["DSN: NOTIFY=SUCCESS,FAILURE"]],
    // RFC 3461 §9.1.
    [{ originalRecipient: "Bob@Example.COM" }, ["DSN: ORCPT=rfc822;Bob@Example.COM"]],
    [{ originalRecipient: "a+b=c@example.com" }, ["DSN: ORCPT=rfc822;a+2Bb+3Dc@example.com"]],
    [{ originalRecipient: "jürgen+x@bücher.example" }, [
      "DSN: ORCPT=utf-8;j\\x{FC}rgen\\x{2B}x@b\\x{FC}cher.example"
    ]],
    [{ validSince: at }, ["RRVS: RRVS=2026-11-24T08:30:15Z"]]
  ])("%j", (options, expected) => assert.deepStrictEqual(shown(Demand.rcpt(options)), expected))

  it.each<[Demand.RcptOptions, string]>([
    [{ notify: [] }, "notify"],
    [{ originalRecipient: " " }, "originalRecipient"],
    [{ originalRecipient: "a\nb" }, "originalRecipient"],
    [{ originalRecipient: "\ud800" }, "originalRecipient"],
    [{ originalRecipient: "x".repeat(500) }, "originalRecipient"],
    [{ validSince: new Date(8.64e15) }, "validSince"]
  ])("refuses %j", (options, expected) => assert.strictEqual(option(Demand.rcpt(options)), expected))

  it("makes parameters that a command can hold", () => {
    for (const text of ["a b", "\"=\"", "ü \\{}@x", "+", "\u{1F4EB}"]) {
      for (const { parameter } of Result.getOrThrow(Demand.rcpt({ originalRecipient: text }))) {
        assert.isTrue(Result.isSuccess(Command.parameter(parameter.keyword, parameter.value)))
      }
    }
  })
})
