import { assert, describe, it } from "@effect/vitest"
import { Endpoint } from "@postern/core"
import { Redacted, Result } from "effect"
import * as fc from "fast-check"
import { inspect } from "node:util"

/** An endpoint as `host port mode user password`. */
const read = (text: string, mode?: Endpoint.Mode): string => {
  const result = Endpoint.parse(text, mode)
  if (Result.isFailure(result)) return `no: ${result.failure.what}`
  const { host, password, port, user } = result.success
  return [host, port, result.success.mode, user ?? "-", password === undefined ? "-" : Redacted.value(password)].join(
    " "
  )
}

const good: ReadonlyArray<readonly [text: string, read: string]> = [
  ["smtp://mail.example", "mail.example 587 auto - -"],
  ["smtp://mail.example/", "mail.example 587 auto - -"],
  ["smtp://mail.example:25", "mail.example 25 auto - -"],
  ["smtps://mail.example", "mail.example 465 tls - -"],
  ["smtps://mail.example:4650", "mail.example 4650 tls - -"],
  ["smtp+starttls://mail.example", "mail.example 587 startTls - -"],
  ["SMTP://MAIL.Example", "mail.example 587 auto - -"],
  ["  smtp://mail.example  ", "mail.example 587 auto - -"],
  ["smtp://ann:secret@mail.example", "mail.example 587 auto ann secret"],
  ["smtp://ann%40a.example:p%40ss%2Fw%3Ard%25@mail.example:2525", "mail.example 2525 auto ann@a.example p@ss/w:rd%"],
  ["smtps://J%C3%BCrgen:%E2%82%AC@mail.example", "mail.example 465 tls Jürgen €"],
  ["smtp://ann@mail.example", "mail.example 587 auto ann -"],
  ["smtp://[2001:db8::1]:25", "2001:db8::1 25 auto - -"],
  ["smtps://[::1]", "::1 465 tls - -"],
  ["smtp://192.0.2.1:2525", "192.0.2.1 2525 auto - -"],
  ["smtp://localhost", "localhost 587 auto - -"],
  ["smtp://b%C3%BCcher.example", "xn--bcher-kva.example 587 auto - -"],
  ["mail.example", "mail.example 587 auto - -"],
  ["mail.example:2525", "mail.example 2525 auto - -"],
  ["mail.example 25", "mail.example 25 auto - -"],
  ["mail.example\t25", "mail.example 25 auto - -"],
  ["MAIL.example.:25", "mail.example. 25 auto - -"],
  ["my_host:25", "my_host 25 auto - -"],
  ["bücher.example:25", "xn--bcher-kva.example 25 auto - -"],
  ["192.0.2.1", "192.0.2.1 587 auto - -"],
  ["[2001:db8::1]:25", "2001:db8::1 25 auto - -"],
  ["[2001:db8::1] 25", "2001:db8::1 25 auto - -"],
  ["[::1]", "::1 587 auto - -"],
  ["2001:db8::1", "2001:db8::1 587 auto - -"],
  ["::1", "::1 587 auto - -"],
  ["::ffff:192.0.2.1", "::ffff:192.0.2.1 587 auto - -"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6 587 auto - -"],
  ["fe80::1%eth0", "fe80::1%eth0 587 auto - -"],
  ["[fe80::1%eth0]:25", "fe80::1%eth0 25 auto - -"]
]

const bad: ReadonlyArray<readonly [text: string, what: string]> = [
  ["", "the host"],
  ["   ", "the host"],
  [":25", "the host"],
  ["http://mail.example", "the URL"],
  ["smtp://", "the host"],
  ["smtp://mail.example:0", "the port"],
  ["smtp://mail.example:65536", "the URL"],
  ["smtp://mail.example:x", "the URL"],
  ["smtp://mail.example/inbox", "the URL"],
  ["smtp://mail.example?tls=no", "the URL"],
  ["smtp://mail.example#x", "the URL"],
  ["smtp://ann:%zz@mail.example", "the URL"],
  ["smtp://ann:%ff@mail.example", "the URL"],
  ["smtp://[::1", "the URL"],
  ["smtp://mail example", "the URL"],
  ["mail.example:0", "the port"],
  ["mail.example:65536", "the port"],
  ["mail.example:smtp", "the endpoint"],
  ["mail.example:25:26", "the endpoint"],
  ["mail.example 25 26", "the endpoint"],
  ["[mail.example:25", "the endpoint"],
  ["1:2:3:4:5:6:7:8:9", "the endpoint"],
  ["a:b:c:d:e:f:g:secret", "the endpoint"],
  ["[not:an:address]:25", "the host"],
  ["[]:25", "the host"],
  ["mail..example", "the host"],
  ["ma%69l.example:25", "the host"],
  ["::1]/x[", "the endpoint"],
  ["1::2::3", "the endpoint"],
  ["smtp://a%2Fb", "the host"],
  ["smtp://a%00b", "the host"],
  ["mail.example\r\nRSET", "the endpoint"],
  ["mail\u0000.example", "the host"]
]

describe("reading an endpoint", () => {
  for (const [text, expected] of good) {
    it(JSON.stringify(text), () => assert.strictEqual(read(text), expected))
  }
  for (const [text, what] of bad) {
    it(`not ${JSON.stringify(text)}`, () => assert.strictEqual(read(text), `no: ${what}`))
  }

  it("a mode that is given overrides the scheme, and names the port where none is", () => {
    assert.strictEqual(read("smtp://mail.example", "tls"), "mail.example 465 tls - -")
    assert.strictEqual(read("smtps://mail.example", "plain"), "mail.example 25 plain - -")
    assert.strictEqual(read("smtps://mail.example:2525", "startTls"), "mail.example 2525 startTls - -")
    assert.strictEqual(read("mail.example", "plain"), "mail.example 25 plain - -")
    assert.strictEqual(read("http://mail.example", "tls"), "no: the URL")
  })

  it("a password comes back as it was, and is in no error and no print", () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 12, maxLength: 24, unit: "binary" }),
        fc.constantFrom("mail.example", "mail.example:99999", "h/x", "", "[::1"),
        (password, host) => {
          const result = Endpoint.parse(`smtp://ann:${encodeURIComponent(password)}@${host}`)
          const printed = [inspect(result, { depth: 9, showHidden: true }), JSON.stringify(result), String(result)]
            .join("\n")
          for (const form of [password, encodeURIComponent(password)]) assert.notInclude(printed, form)
          if (host !== "mail.example") {
            return
          }
          assert.strictEqual(Redacted.value(Result.getOrThrow(result).password ?? Redacted.make("")), password)
        }
      )
    )
  })
})

describe("modes", () => {
  it("by name, in any case of letters", () => {
    const names: ReadonlyArray<readonly [string, Endpoint.Mode]> = [
      ["auto", "auto"],
      ["AUTO", "auto"],
      ["plain", "plain"],
      ["none", "plain"],
      ["startTls", "startTls"],
      ["STARTTLS", "startTls"],
      ["start-tls", "startTls"],
      ["startTlsIfOffered", "startTlsIfOffered"],
      ["starttls_if_offered", "startTlsIfOffered"],
      ["tls", "tls"],
      ["SSL", "tls"],
      [" tls ", "tls"]
    ]
    for (const [name, mode] of names) assert.deepStrictEqual(Endpoint.parseMode(name), Result.succeed(mode))
    for (const name of ["", "yes", "toString", "constructor", "__proto__", "tls1.2"]) {
      assert.isTrue(Result.isFailure(Endpoint.parseMode(name)), name)
    }
  })

  it("a scheme is one of three, whatever objects inherit", () => {
    for (const scheme of ["constructor", "smtp2", "tostring"]) {
      assert.strictEqual(read(`${scheme}://mail.example`), "no: the URL")
    }
  })

  it("auto tries STARTTLS first on the ports of STARTTLS, TLS first elsewhere, and nothing else", () => {
    const order = (port: number, mode: Endpoint.Mode = "auto") =>
      Endpoint.securities({ host: "h", port, mode, user: undefined, password: undefined })
    for (const port of [25, 587, 2525]) assert.deepStrictEqual(order(port), ["startTls", "tls"])
    for (const port of [465, 1, 8465, 65_535]) assert.deepStrictEqual(order(port), ["tls", "startTls"])
    for (const mode of ["plain", "startTls", "startTlsIfOffered", "tls"] as const) {
      assert.deepStrictEqual(order(465, mode), [mode])
    }
  })

  it("default ports", () => {
    assert.deepStrictEqual(
      (["auto", "startTls", "startTlsIfOffered", "tls", "plain"] as const).map(Endpoint.defaultPort),
      [587, 587, 587, 465, 25]
    )
  })
})
