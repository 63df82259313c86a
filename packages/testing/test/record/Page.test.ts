import { assert, describe, it } from "@effect/vitest"
import { Page, Recorder, type Recording, VirtualTime } from "@postern/testing"
import * as Scram from "@postern/core/Scram"
import * as CramMd5 from "@postern/core/CramMd5"
import * as Login from "@postern/core/Login"
import { Effect, Layer } from "effect"
import * as fc from "fast-check"
import { inMemory, key, password, send, server, using } from "./support.ts"

const utf8 = new TextEncoder()

const header: Recording.Header = {
  format: "postern-recording",
  version: 1,
  by: "a test",
  policy: { addresses: "kept", content: "hashed" }
}

const recorded = (mechanism: Parameters<typeof using>[0], options: Recorder.Options = {}, config = server) =>
  Effect.runPromise(
    Effect.gen(function*() {
      const recorder = yield* Recorder.Recorder
      const { recording } = yield* recorder.capture(Effect.provide(send(), using(mechanism)))
      return recording
    }).pipe(Effect.provide(
      Layer.provideMerge(Layer.provide(Recorder.layer(options), inMemory(config)), VirtualTime.layer())
    ))
  )

/** The tags, each with the names of its attributes. The style and the script are raw text. */
const tags = (page: string): ReadonlyArray<readonly [name: string, attributes: ReadonlyArray<string>]> => {
  const found: Array<readonly [string, ReadonlyArray<string>]> = []
  assert.isTrue(page.startsWith("<!doctype html>"))
  let rest = page.slice(15).replace(/<style>[^]*?<\/style>/, "<style></style>").replace(
    /<script>[^]*?<\/script>/,
    "<script></script>"
  )
  for (let at = rest.indexOf("<"); at !== -1; at = rest.indexOf("<")) {
    rest = rest.slice(at)
    const tag = /^<(\/?[a-z][a-z0-9]*)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*>/.exec(rest)
    assert.isNotNull(tag, `no tag of this page: ${rest.slice(0, 80)}`)
    found.push([
      tag?.[1] ?? "",
      Array.from((tag?.[2] ?? "").replace(/"[^"]*"/g, "").matchAll(/[a-z-]+/g), ([name]) => name)
    ])
    rest = rest.slice(tag?.[0].length)
  }
  return found
}

const elements = new Set(
  ("html head meta title style script body a header main section footer h1 h2 h3 p ul ol li dl dt dd time "
    + "form label input kbd output figure figcaption div span b i code pre table thead tbody tr th td details "
    + "summary").split(" ")
)
const attributes = new Set(
  ("lang charset http-equiv content name class href id for type role hidden placeholder autocomplete spellcheck scope "
    + "style datetime aria-label aria-labelledby aria-hidden aria-keyshortcuts").split(" ")
)

const check = (page: string): void => {
  const open: Array<string> = []
  const empty = new Set(["meta", "input"])
  for (const [name, own] of tags(page)) {
    assert.isTrue(elements.has(name.replace("/", "")), name)
    for (const attribute of own) assert.isTrue(attributes.has(attribute), `${name} ${attribute}`)
    // A paragraph ends where one of these begins.
    if (/^(?:p|div|details|pre|ul|ol|dl|table)$/.test(name)) assert.notInclude(open, "p")
    if (name.startsWith("/")) assert.strictEqual(open.pop(), name.slice(1))
    else if (!empty.has(name)) open.push(name)
  }
  assert.deepStrictEqual(open, [])
  assert.strictEqual(page.match(/<script/g)?.length, 1)
  // Nothing that hides or turns around, and no control but the line feed.
  assert.notMatch(page, /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u)
  const ids = Array.from(page.matchAll(/ id="([^"]*)"/g), ([, id]) => id)
  assert.strictEqual(new Set(ids).size, ids.length)
  for (const [, to] of page.matchAll(/href="#([^"]*)"/g)) assert.include(ids, to)
}

const events = (page: string): ReadonlyArray<number> =>
  Array.from(page.matchAll(/<li class="event [^"]*" id="e(\d+)"/g), ([, number]) => Number(number))

const hostile = fc.oneof(
  fc.constantFrom(
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "</style><svg onload=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' onfocus='alert(1)' autofocus x='",
    "&lt;b&gt;&#60;i>",
    "<!--",
    "javascript:alert(1)",
    "a\u2028b\u2029c",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200b\ufeff",
    "\u0000\u0007\u001b[31mred\u009b",
    "\ud800 \udc00",
    "${alert(1)} `x` {{x}}",
    "__proto__",
    "x".repeat(300) + "<b>"
  ),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: fc.constantFrom("<", ">", "\"", "'", "&", "/", "=", " ", "\r", "\n", "a", "2", "5", "-") })
)

const octets = fc.oneof(
  hostile.map((text) => utf8.encode(text)),
  fc.tuple(
    fc.constantFrom("250 ", "250-", "334 ", "550 5.1.1 ", "421 4.3.2 ", "AUTH ", "MAIL FROM:", "BDAT 3 LAST", ""),
    hostile
  ).map(([start, text]) => utf8.encode(`${start}${text}\r\n`)),
  fc.uint8Array({ maxLength: 30 })
)

const hidden = fc.record({ octets: fc.nat(), hash: hostile, sealed: hostile }, { requiredKeys: [] })

const texts = { subject: hostile, issuer: hostile, validFrom: hostile, validTo: hostile, fingerprint: hostile }

const event = fc.tuple(
  fc.record({ at: fc.double({ noNaN: true, noDefaultInfinity: true }), connection: fc.integer({ min: -1, max: 2 }) }),
  fc.oneof(
    fc.record({ _tag: fc.constant("Connecting" as const), host: hostile, port: fc.integer() }),
    fc.record({ _tag: fc.constantFrom("Connected" as const, "Closed" as const) }),
    fc.record({ _tag: fc.constantFrom("Received" as const, "Sent" as const), data: octets }),
    fc.record({ _tag: fc.constantFrom("ReceivedHidden" as const, "SentHidden" as const), line: hostile, hidden }),
    fc.record(
      { _tag: fc.constant("ContentSent" as const), octets: fc.nat(), sha256: hostile, whole: octets },
      { requiredKeys: ["_tag", "octets", "sha256"] }
    ),
    fc.record({ _tag: fc.constant("Random" as const), hidden }),
    fc.record({ _tag: fc.constant("HandshakeStarted" as const), serverName: hostile }),
    fc.record({
      _tag: fc.constant("TlsEstablished" as const),
      version: fc.constant("TLSv1.3" as const),
      cipher: hostile,
      serverName: hostile,
      verifiedBy: fc.constant("chain" as const),
      certificate: fc.record(texts),
      channelBindings: fc.array(fc.record({ type: fc.constant("tls-unique" as const), hidden }), { maxLength: 1 })
    }),
    fc.record({
      _tag: fc.constant("Failed" as const),
      operation: fc.constantFrom("connect" as const, "read" as const, "handshake" as const),
      problem: fc.record({ _tag: fc.constant("Broken" as const), code: hostile, detail: hostile })
    }),
    fc.record({ _tag: fc.constant("Truncated" as const), events: fc.nat() })
  )
).map(([common, rest]): Recording.Event => ({ ...common, ...rest }))

const anyRecording: fc.Arbitrary<Recording.Recording> = fc.record({
  header: fc.record({
    format: fc.constant("postern-recording" as const),
    version: fc.constant(1),
    by: hostile,
    startedAt: hostile,
    endpoint: fc.record({ host: hostile, port: fc.integer() }),
    mode: fc.constantFrom("plain" as const, "startTls" as const, "tls" as const),
    policy: fc.record({
      addresses: fc.constant("kept" as const),
      content: fc.constant("whole" as const),
      key: hostile
    }),
    note: hostile
  }),
  events: fc.array(event, { maxLength: 30 })
})

/** One connection on which this was said. */
const session = (...said: ReadonlyArray<readonly ["C" | "S", string]>): Recording.Recording => ({
  header,
  events: said.map(([side, text], at) => ({
    _tag: side === "C" ? "Sent" as const : "Received" as const,
    at,
    connection: 0,
    data: utf8.encode(`${text}\r\n`)
  }))
})

/** What a reader sees, without markup. */
const seen = (page: string): string =>
  page.replace(/<(style|script)>[^]*?<\/\1>/g, "").replace(/<[^>]*>/g, " ").replace(/&lt;/g, "<").replace(/&gt;/g, ">")
    .replace(/&#39;/g, "'").replace(/\s+/g, " ")

describe("Page.html", () => {
  it("brings nothing to life, whatever a recording says, and has each event once", () => {
    fc.assert(
      fc.property(anyRecording, (recording) => {
        const page = Page.html(recording)
        check(page)
        assert.deepStrictEqual(
          events(page).toSorted((a, b) => a - b),
          recording.events.map((_, index) => index + 1)
        )
      }),
      { numRuns: 300 }
    )
  })

  it("loads nothing", () => {
    const page = Page.html(session(["S", "220 mx.example"]))
    assert.include(page, "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';")
    assert.notMatch(page, /https?:|url\(|@import|\bsrc=/)
  })

  it("shows a session with SCRAM over STARTTLS, step by step", async () => {
    const recording = await recorded(Scram.scramSha256, { key, note: "ticket 4711" })
    const page = Page.html(recording)
    check(page)
    const text = seen(page)
    for (
      const expected of [
        "mx.example:587",
        "STARTTLS: protected after the greeting",
        "ticket 4711",
        "1 message accepted, 1 refusal.",
        "Authentication: SCRAM-SHA-256",
        "client, initial response client-first",
        "server, challenge server-first",
        "client, response client-final",
        "server, challenge server-final",
        "235: authenticated",
        "TLSv1.3, TLS_AES_256_GCM_SHA384",
        "tls-exporter hidden 32 octets sealed can be read with the key",
        "to RCPT TO:<nobody@b.example> · refused for good: mailbox unavailable, or refused by policy",
        "5.1.1 is about the address",
        "to BDAT 33 LAST · chunk accepted"
      ]
    ) assert.include(text, expected)
    assert.notInclude(page, password)
    assert.strictEqual(events(page).length, recording.events.length)
  })

  it("decodes challenges that are no secret", async () => {
    const login = seen(Page.html(await recorded(Login.login)))
    assert.match(login, /server, challenge asks for the user name Username:/)
    assert.match(login, /client, response password hidden 24 octets/)
    assert.match(
      seen(Page.html(await recorded(CramMd5.cramMd5))),
      /challenge: what the digest is made of <postern\.\S+>/
    )
  })

  it("cuts a long challenge, decoded or not", () => {
    const page = Page.html(
      session(["C", "AUTH UNHEARD-OF"], ["S", `334 ${btoa("z".repeat(600))}`], ["C", "*"], ["S", "501 so"])
    )
    check(page)
    const text = seen(page)
    assert.include(text, "server, challenge message 1 of the server")
    assert.include(text, "z".repeat(600))
    assert.include(text, "client, cancellation cancels the exchange")
    assert.include(text, "501: not authenticated")
  })

  it("knows which reply answers which command", () => {
    const text = seen(Page.html(session(
      ["S", "220 mx.example"],
      ["C", "LHLO x"],
      ["S", "250-mx.example\r\n250 PIPELINING"],
      ["C", "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA"],
      ["S", "250 ok\r\n250 ok\r\n450 4.2.1 busy\r\n250 ok\r\n354 go"],
      ["S", "250 first\r\n552 5.2.2 second"],
      ["C", "QUIT"],
      ["S", "221 bye"],
      ["S", "250 too much"]
    )))
    assert.match(text, /450 4\.2\.1 busy to RCPT TO:<c@d> · refused for now/)
    assert.match(text, /354 go to DATA · send the content/)
    assert.match(text, /552 5\.2\.2 second to the content · refused for good/)
    assert.match(text, /250 too much answers nothing that was asked/)
    assert.include(text, "1 message accepted, 2 refusals.")
  })

  it("follows replies of many lines, chunks, and a log that begins after the greeting", () => {
    const text = seen(Page.html(session(
      ["C", "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>"],
      ["S", "250 ok\r\n550-5.1.1 no\r\n550 5.1.1 such\r\n250 ok"],
      ["C", "BDAT 3"],
      ["S", "250 chunk"],
      ["C", "BDAT 3 LAST"],
      ["S", "250 all"]
    )))
    assert.match(text, /550 5\.1\.1 such to RCPT TO:<a@b> ·/)
    assert.match(text, /250 ok to RCPT TO:<c@d> · recipient accepted/)
    assert.include(text, "1 message accepted, 1 refusal.")
  })

  it("blames no phase for time in which nothing was asked", () => {
    const said = session(
      ["S", "220 mx.example"],
      ["C", "NOOP"],
      ["S", "250 ok"],
      ["C", "NOOP"],
      ["S", "250 ok"],
      ["C", "RCPT TO:<a@b>"],
      ["S", "250 ok"]
    )
    const times = [0, 1, 2, 9002, 9003, 9004, 9034]
    const text = seen(Page.html({ header, events: said.events.map((event, i) => ({ ...event, at: times[i] ?? 0 })) }))
    assert.include(text, "the slowest phase is envelope (30 ms, < 1 %)")
    assert.include(text, "idle 9 s 100 % 0 ms")
  })

  it("cuts what is much, and shows all of it on demand", () => {
    const lines = Array.from({ length: 60 }, (_, index) => `550 no${index}.`)
    const page = Page.html(session(["C", "RCPT TO:<a@b>\r\n".repeat(60).trim()], ["S", lines.join("\r\n")]))
    for (const line of lines) assert.include(page, line.slice(4))
    assert.include(seen(page), "20 more lines")
    assert.include(seen(page), "and 35 more")
  })

  it("measures the phases, and tells the slowest", () => {
    const at = (ms: number, event: Recording.Event): Recording.Event => ({ ...event, at: ms })
    const { events } = session(
      ["S", "220 mx.example"],
      ["C", "EHLO x"],
      ["S", "250 mx.example"],
      ["C", "QUIT"],
      ["S", "221 bye"]
    )
    const times = [0, 10, 2510, 2520, 2620]
    const page = Page.html({ header, events: events.map((event, index) => at(times[index] ?? 0, event)) })
    assert.include(seen(page), "2.62 s in all; the slowest phase is hello (2.51 s, 96 %)")
    assert.include(seen(page), "hello slowest 2.51 s 96 % 2.5 s")
    assert.include(seen(page), "quit 110 ms 4 % 100 ms")
    assert.include(seen(page), "+2.5 s longest")
  })

  it("puts failures first", () => {
    const { events } = session(["S", "220 mx.example"], ["C", "EHLO x"])
    const failed: Recording.Event = {
      _tag: "Failed",
      at: 9,
      connection: 0,
      operation: "read",
      problem: { _tag: "Broken", code: "ECONNRESET", detail: "reset" }
    }
    const page = Page.html({ header, events: [...events, failed] })
    assert.include(
      seen(page),
      "No message was accepted, 1 failure. #3 Reading failed: the connection broke: ECONNRESET, reset"
    )
    assert.include(page, "class=\"outcome bad\"")
    const after: Recording.Event = { _tag: "Closed", at: 10, connection: 0 }
    const refused = session(["S", "554 no"]).events
    const all = Page.html({ header, events: [...events, failed, after, ...refused] })
    assert.deepStrictEqual(Array.from(all.matchAll(/ broken" id="e(\d+)"/g), ([, number]) => number), ["3"])
    const early: Recording.Event = { ...failed, problem: { _tag: "Closed" } }
    assert.include(
      seen(Page.html({ header, events: [...events, early] })),
      "1 failure. #3 Reading failed: the server closed"
    )
    const quit: Recording.Event = { ...failed, problem: { _tag: "Closed" } }
    const bye = session(["S", "220 mx.example"], ["C", "QUIT"], ["S", "221 bye"]).events
    const calm = Page.html({ header, events: [...bye, quit] })
    assert.include(calm, "class=\"outcome none\"")
    assert.include(seen(calm), "The server closed")
    assert.notInclude(seen(calm), "failed")
  })

  it("shows what hides", () => {
    const text = seen(Page.html(session(["S", "250 a\u202eb\u0000c\u200bd"])))
    assert.include(text, "250 a⟨U+202E⟩b⟨U+0000⟩c⟨U+200B⟩d")
  })

  it("shows octets that are no UTF-8, and lines that do not end", () => {
    const data = Uint8Array.of(50, 53, 48, 32, 103, 252, 110)
    const page = Page.html({ header, events: [{ _tag: "Received", at: 0, connection: 0, data }] })
    assert.include(seen(page), "250 g⟨FC⟩n⟨no line end⟩")
  })

  it("keeps the whole of a long line", () => {
    const line = `250 ${"y".repeat(5000)}`
    const page = Page.html(session(["S", line]))
    assert.include(page, "y".repeat(5000))
    assert.match(page, /<summary><code>[^<]*…<\/code> <span>\(5,001 characters\)/)
  })

  it("grows with the number of events, and no faster", () => {
    const many = (count: number) =>
      Page.html({
        header,
        events: Array.from({ length: count }, (_, at): Recording.Event => ({
          _tag: at % 2 === 0 ? "Received" : "Sent",
          at,
          connection: at % 7,
          data: utf8.encode(at % 2 === 0 ? "250 ok\r\n" : "NOOP\r\n")
        }))
      })
    const page = many(10_000)
    assert.strictEqual(events(page).length, 10_000)
    assert.isBelow(page.length / many(1000).length, 11)
  })
})
