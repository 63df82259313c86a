import { assert, describe, it } from "@effect/vitest"
import { Capabilities, Reply } from "@postern/core"
import { Schema } from "effect"
import * as fc from "fast-check"
import * as Arbitraries from "@postern/testing/Arbitraries"
import vectors from "../vectors/SMTP-AUTH.json" with { type: "json" }

const read = (...lines: ReadonlyArray<string>) => Capabilities.fromEhlo(Reply.make(250, ["mx.example", ...lines]))

describe("Capabilities", () => {
  it("reads what a server offers", () => {
    const capabilities = read(
      "PIPELINING",
      "SIZE 10240000",
      "VRFY",
      "ETRN",
      "STARTTLS",
      "AUTH PLAIN LOGIN",
      "ENHANCEDSTATUSCODES",
      "8BITMIME",
      "DSN",
      "SMTPUTF8",
      "CHUNKING",
      "LIMITS MAILMAX=20 RCPTMAX=100 RCPTDOMAINMAX=1"
    )
    assert.deepStrictEqual(capabilities, {
      domain: "mx.example",
      extended: true,
      keywords: {
        PIPELINING: [],
        SIZE: ["10240000"],
        VRFY: [],
        ETRN: [],
        STARTTLS: [],
        AUTH: ["PLAIN", "LOGIN"],
        ENHANCEDSTATUSCODES: [],
        "8BITMIME": [],
        DSN: [],
        SMTPUTF8: [],
        CHUNKING: [],
        LIMITS: ["MAILMAX=20", "RCPTMAX=100", "RCPTDOMAINMAX=1"]
      },
      auth: ["PLAIN", "LOGIN"],
      startTls: true,
      pipelining: true,
      eightBitMime: true,
      smtpUtf8: true,
      chunking: true,
      enhancedStatusCodes: true,
      dsn: true,
      size: 10_240_000,
      limits: { mailMax: 20, rcptMax: 100, rcptDomainMax: 1 }
    })
  })

  it("offers nothing that was not said", () => {
    const capabilities = read()
    assert.deepStrictEqual(capabilities.keywords, {})
    assert.isFalse(
      capabilities.startTls || capabilities.pipelining || capabilities.eightBitMime || capabilities.smtpUtf8
    )
    assert.isFalse(capabilities.chunking || capabilities.enhancedStatusCodes || capabilities.dsn)
    assert.isUndefined(capabilities.size)
    assert.isUndefined(capabilities.limits)
    assert.isFalse(Capabilities.has(capabilities, "constructor"))
    assert.isFalse(Capabilities.has(capabilities, "__proto__"))
  })

  it("the first line is a greeting, not an extension", () => {
    const capabilities = Capabilities.fromEhlo(Reply.make(250, "STARTTLS Hello client.example [192.0.2.1]"))
    assert.strictEqual(capabilities.domain, "STARTTLS")
    assert.isFalse(capabilities.startTls)
  })

  it("HELO says nothing about extensions", () => {
    const capabilities = Capabilities.fromHelo(Reply.make(250, ["mx.example Hello", "STARTTLS", "AUTH PLAIN"]))
    assert.isFalse(capabilities.extended)
    assert.isFalse(capabilities.startTls)
    assert.deepStrictEqual(capabilities.auth, [])
  })

  it("any case of letters", () => {
    const capabilities = read("starttls", "Size 5", "auth plain login", "8bitMime")
    assert.isTrue(capabilities.startTls && capabilities.eightBitMime)
    assert.strictEqual(capabilities.size, 5)
    assert.deepStrictEqual(capabilities.auth, ["PLAIN", "LOGIN"])
    assert.isTrue(Capabilities.has(capabilities, "startTLS"))
    assert.deepStrictEqual(Capabilities.parameters(capabilities, "size"), ["5"])
  })

  it("unknown keywords are kept with their parameters", () => {
    const capabilities = read("X-EXPS GSSAPI NTLM", "XFORWARD NAME  ADDR\tPROTO", "X")
    assert.deepStrictEqual(Capabilities.parameters(capabilities, "x-exps"), ["GSSAPI", "NTLM"])
    assert.deepStrictEqual(Capabilities.parameters(capabilities, "XFORWARD"), ["NAME", "ADDR", "PROTO"])
    assert.deepStrictEqual(Capabilities.parameters(capabilities, "X"), [])
    assert.isUndefined(Capabilities.parameters(capabilities, "Y"))
  })

  it("lines that are none tell nothing", () => {
    const capabilities = read(
      "",
      " ",
      "-",
      "=",
      "STARTTLS=",
      "STARTTLS:",
      "XX_Y",
      "START TLS",
      "__proto__ x",
      "ＳＩＺＥ 5",
      "sıze 5"
    )
    assert.deepStrictEqual(Object.keys(capabilities.keywords), ["START"])
    assert.isFalse(capabilities.startTls)
  })

  const sizes: ReadonlyArray<readonly [string, number]> = [
    ["SIZE", 0],
    ["SIZE 0", 0],
    ["SIZE 00", 0],
    ["SIZE 1024", 1024],
    ["SIZE 010", 10],
    ["SIZE 9007199254740991", 9_007_199_254_740_991],
    ["SIZE 9007199254740993", 0],
    ["SIZE 99999999999999999999", 0],
    ["SIZE 100000000000000000000", 0],
    ["SIZE -1", 0],
    ["SIZE 1e3", 0],
    ["SIZE 1024 2048", 1024],
    ["SIZE unlimited", 0]
  ]
  for (const [line, size] of sizes) it(`${line} is ${size}`, () => assert.strictEqual(read(line).size, size))

  const limits: ReadonlyArray<readonly [string, Capabilities.Capabilities["limits"]]> = [
    ["LIMITS", { mailMax: undefined, rcptMax: undefined, rcptDomainMax: undefined }],
    ["LIMITS RCPTMAX=20", { mailMax: undefined, rcptMax: 20, rcptDomainMax: undefined }],
    ["limits rcptmax=20 MailMax=999999", { mailMax: 999_999, rcptMax: 20, rcptDomainMax: undefined }],
    ["LIMITS MAILMAX=0 RCPTMAX=1000000 RCPTDOMAINMAX=01", {
      mailMax: undefined,
      rcptMax: undefined,
      rcptDomainMax: undefined
    }],
    ["LIMITS MAILMAX= RCPTMAX RCPTDOMAINMAX=x", { mailMax: undefined, rcptMax: undefined, rcptDomainMax: undefined }],
    ["LIMITS XMAILMAX=5", { mailMax: undefined, rcptMax: undefined, rcptDomainMax: undefined }]
  ]
  for (const [line, expected] of limits) it(line, () => assert.deepStrictEqual(read(line).limits, expected))

  it("AUTH lines, legacy ones too, are one list in the server's order", () => {
    assert.deepStrictEqual(read("AUTH LOGIN PLAIN", "AUTH=LOGIN PLAIN").auth, ["LOGIN", "PLAIN"])
    assert.deepStrictEqual(read("AUTH=CRAM-MD5", "AUTH PLAIN", "auth=login").auth, ["CRAM-MD5", "PLAIN", "LOGIN"])
    assert.deepStrictEqual(read("AUTH PLAIN plaın PLA.IN " + "A".repeat(21)).auth, ["PLAIN"])
  })

  const ehlo = vectors.vectors.filter(({ id }) => id.startsWith("smtp-auth/ehlo/"))
  for (const { id, inputs, outcome } of ehlo) {
    it(id, () => {
      const lines = (inputs.ehloLines ?? []).map((line) => line.slice("250-".length))
      assert.deepStrictEqual(read(...lines).auth, outcome.mechanisms ?? [])
    })
  }

  it("the vectors were there", () => assert.lengthOf(ehlo, 7))

  it("law: total, valid by its schema, and keywords hold what the rest says", () => {
    const is = Schema.is(Capabilities.Capabilities)
    fc.assert(fc.property(fc.oneof(Arbitraries.ehloReply, Arbitraries.reply), (reply) => {
      const capabilities = Capabilities.fromEhlo(reply)
      assert.isTrue(is(capabilities))
      assert.strictEqual(capabilities.startTls, Capabilities.has(capabilities, "starttls"))
      assert.strictEqual(
        capabilities.auth.length > 0,
        (Capabilities.parameters(capabilities, "AUTH") ?? []).some((it) => /^[\w-]{1,20}$/.test(it))
      )
      for (const name of capabilities.auth) assert.match(name, /^[A-Z0-9_-]{1,20}$/)
      for (const keyword of Object.keys(capabilities.keywords)) assert.match(keyword, /^[A-Z0-9][A-Z0-9-]*$/)
    }))
  })
})
