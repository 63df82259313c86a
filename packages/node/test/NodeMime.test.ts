import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as fc from "fast-check"
import PostalMime from "postal-mime"
import * as NodeMime from "../src/NodeMime.ts"

const utf8 = (text: string): Buffer => Buffer.from(text, "utf8")

/** Lines of text or octets, each with CRLF behind it. */
const lines = (...content: ReadonlyArray<string | Uint8Array>): Buffer =>
  Buffer.concat(content.flatMap((line) => [typeof line === "string" ? utf8(line) : line, utf8("\r\n")]))

const convert = (content: Uint8Array) => Effect.map(NodeMime.toSevenBit(content), (octets) => Buffer.from(octets))

const problem = (content: Uint8Array | string) =>
  Effect.map(
    Effect.flip(NodeMime.toSevenBit(typeof content === "string" ? utf8(content) : content)),
    (error) => error.reason
  )

const read = Effect.fnUntraced(function*(content: Uint8Array) {
  const { attachments, bcc, cc, from, html, replyTo, sender, subject, text, to } = yield* Effect.promise(() =>
    PostalMime.parse(content, { attachmentEncoding: "arraybuffer" })
  )
  return {
    mail: { from, sender, replyTo, to, cc, bcc, subject, text, html },
    attachments: attachments.map(({ disposition, filename, mimeType }) => ({ filename, mimeType, disposition })),
    octets: attachments.map(({ content }) => Buffer.from(content as ArrayBuffer))
  }
})

// oxlint-disable-next-line no-control-regex
const notSevenBit = /[^\x01-\x7f]|(?<!\r)\n|\r(?!\n)/

/** And no encoded-word is longer than it may be (RFC 2047 §2). */
const assertSevenBit = (octets: Buffer) => {
  const text = octets.toString("latin1")
  assert.notMatch(text, notSevenBit)
  assert.isAtMost(Math.max(...text.split("\r\n").map((line) => line.length)), 998)
  assert.notMatch(text, /=\?utf-8\?[BQ]\?[^?]{65,}\?=/)
}

/**
 * Converts, and compares what a reader makes of both. Attachments are given: the reader takes lines for text
 * where nothing is encoded. Gives the result as text.
 */
const equivalent = Effect.fnUntraced(function*(content: Uint8Array, attached: ReadonlyArray<Uint8Array> = []) {
  const converted = yield* convert(content)
  assertSevenBit(converted)
  const before = yield* read(content)
  const after = yield* read(converted)
  assert.deepStrictEqual(after.mail, before.mail)
  assert.deepStrictEqual(after.attachments, before.attachments)
  assert.deepStrictEqual(after.octets.map(hex), attached.map(hex))
  assert.strictEqual(hex(yield* convert(converted)), hex(converted))
  return converted.toString("latin1")
})

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString("hex")

const png = Buffer.from(Array.from({ length: 700 }, (_, at) => (at * 151) % 256))

describe("NodeMime.toSevenBit", () => {
  describe("bodies", () => {
    it.effect("text as quoted-printable, and nothing else changed", () =>
      Effect.gen(function*() {
        const header = ["From: Ann <ann@example.org>", "Subject: hello", "MIME-Version: 1.0"]
        const type = "Content-Type: text/plain; charset=utf-8"
        const converted = yield* equivalent(lines(...header, type, "", "Schönen Tag = gut ", "", ".", "Ende"))
        assert.strictEqual(
          converted,
          lines(
            ...header,
            type,
            "Content-Transfer-Encoding: quoted-printable",
            "",
            "Sch=C3=B6nen Tag =3D gut=20",
            "",
            ".",
            "Ende"
          ).toString()
        )
      }))

    it.effect("what has no Content-Type gets one: utf-8 where it is", () =>
      Effect.gen(function*() {
        const converted = yield* equivalent(lines("Subject: x", "", "Schönen Tag"))
        assert.match(
          converted,
          /^Subject: x\r\nMIME-Version: 1\.0\r\nContent-Type: text\/plain; charset=utf-8\r\nContent-Transfer/
        )
      }))

    it.effect("what is encoded is said to be MIME, what is not gets nothing more", () =>
      Effect.gen(function*() {
        const converted = yield* convert(lines("Subject: ü", "Content-Transfer-Encoding: 8bit", "", "ASCII"))
        assert.strictEqual(
          converted.toString(),
          "Subject: =?utf-8?B?w7w=?=\r\nContent-Transfer-Encoding: 7bit\r\n\r\nASCII\r\n"
        )
      }))

    it.effect("unknown-8bit where it is not", () =>
      Effect.gen(function*() {
        const converted = yield* convert(lines("Subject: x", "", Buffer.from("Schönen Tag", "latin1")))
        assert.include(converted.toString(), "Content-Type: text/plain; charset=unknown-8bit\r\n")
        assert.include(converted.toString(), "\r\n\r\nSch=F6nen Tag\r\n")
      }))

    it.effect("a charset that is named stays", () =>
      Effect.gen(function*() {
        const content = lines(
          "Subject: x",
          "MIME-Version: 1.0",
          "Content-Type: text/plain; charset=\"ISO-8859-1\"",
          "Content-Transfer-Encoding: 8bit",
          "",
          Buffer.from("Schönen Tag", "latin1")
        )
        const converted = yield* equivalent(content)
        assert.include(converted, "\"ISO-8859-1\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6nen")
        assert.strictEqual((yield* read(utf8(converted))).mail.text, "Schönen Tag\n")
      }))

    it.effect("a long line of HTML", () =>
      Effect.gen(function*() {
        const html = `<p>${"all ASCII and one line, ".repeat(210)}</p>`
        const converted = yield* equivalent(
          lines("Subject: x", "MIME-Version: 1.0", "Content-Type: text/html; charset=us-ascii", "", html)
        )
        assert.include(converted, "quoted-printable")
      }))

    it.effect("octets as base64", () =>
      Effect.gen(function*() {
        const converted = yield* convert(
          Buffer.concat([lines("MIME-Version: 1.0", "Content-Type: image/png; name=a.png", ""), png])
        )
        assertSevenBit(converted)
        assert.deepStrictEqual((yield* read(converted)).octets.map(hex), [hex(png)])
      }))

    it.effect("text with NUL or a bare CR as base64: quoted-printable has line ends of its own", () =>
      Effect.gen(function*() {
        for (const body of ["a\0b", "a\rb"]) {
          const converted = yield* convert(lines("Content-Type: text/plain", "", body))
          assert.include(converted.toString(), "base64\r\n\r\n")
          assert.strictEqual(
            Buffer.from(converted.toString().split("\r\n\r\n")[1] ?? "", "base64").toString(),
            `${body}\r\n`
          )
        }
      }))

    it.effect("a soft line break never makes a delimiter", () =>
      Effect.gen(function*() {
        const line = `${"x".repeat(73)} --b`
        const converted = yield* equivalent(
          lines("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "ü --", line, "--b--")
        )
        assert.include(converted, `\r\n=C3=BC =2D-\r\n${"x".repeat(73)} =\r\n=2D-b\r\n--b--\r\n`)
      }))

    it.effect("an encoding that is broken is repaired, not applied twice", () =>
      Effect.gen(function*() {
        const header = ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8"]
        const quoted = yield* convert(
          lines(...header, "Content-Transfer-Encoding: Quoted-Printable", "", `gr=C3=BC\u00df${" lang".repeat(300)}`)
        )
        assertSevenBit(quoted)
        assert.strictEqual((yield* read(quoted)).mail.text, `grüß${" lang".repeat(300)}\n`)
        const base64 = yield* equivalent(
          lines(...header, "Content-Transfer-Encoding: base64", "", utf8("ü".repeat(2000)).toString("base64"))
        )
        assert.include(base64, `\r\n\r\n${utf8("ü".repeat(2000)).toString("base64").slice(0, 76)}\r\n`)
      }))
  })

  describe("parts", () => {
    const nested = (inner: ReadonlyArray<string | Uint8Array>) =>
      lines(
        "From: Ann <ann@example.org>",
        "Subject: parts",
        "MIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary=\"out er\"",
        "Content-Transfer-Encoding: 8bit",
        "",
        "For readers without MIME.",
        "Für andere nicht.",
        "--out er",
        "Content-Type: multipart/alternative; boundary=inner",
        "Content-Transfer-Encoding: 8bit",
        "",
        "--inner",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "Only  ASCII ",
        "",
        "--inner",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        "<p>Grüße</p>",
        "--inner--",
        "",
        "--out er  ",
        ...inner,
        "--out er--",
        "Ende ü"
      )

    it.effect("each on its own, nested ones too", () =>
      Effect.gen(function*() {
        const attached = ["Content-Type: image/png; name=Übersicht.png", "Content-Disposition: attachment"]
        const converted = yield* equivalent(nested([...attached, "Content-Transfer-Encoding: binary", "", png]), [png])
        assert.include(
          converted,
          "--inner\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nOnly  ASCII \r\n\r\n--inner\r\n"
        )
        assert.include(converted, "<p>Gr=C3=BC=C3=9Fe</p>\r\n--inner--\r\n\r\n--out er  \r\n")
        assert.include(converted, "name*=utf-8''%C3%9Cbersicht.png")
        // Nothing inside is 8-bit any more, so nothing around may say so; what nobody reads has lost its lines.
        assert.notMatch(converted, /8bit|binary|andere|Ende/)
        assert.strictEqual(converted.split("MIME-Version").length, 2)
        assert.include(converted, "For readers without MIME.\r\n--out er\r\n")
      }))

    it.effect("messages inside are converted themselves", () =>
      Effect.gen(function*() {
        const message = ["Subject: Grüße", "From: Jörg <joerg@example.org>", "", "Schönen Tag"]
        const converted = yield* convert(
          nested(["Content-Type: message/rfc822", "Content-Transfer-Encoding: 8bit", "", ...message])
        )
        assertSevenBit(converted)
        assert.include(
          converted.toString(),
          lines(
            "Content-Type: message/rfc822",
            "Content-Transfer-Encoding: 7bit",
            "",
            "Subject: =?utf-8?B?R3LDvMOfZQ==?=",
            "From: =?utf-8?B?SsO2cmc=?= <joerg@example.org>",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: quoted-printable",
            "",
            "Sch=C3=B6nen Tag",
            "--out er--"
          ).toString()
        )
      }))

    it.effect("in a digest a part is a message unless it says otherwise", () =>
      Effect.gen(function*() {
        const converted = yield* convert(
          lines("Content-Type: multipart/digest; boundary=b", "", "--b", "", "Subject: ü", "", "ASCII", "--b--")
        )
        assert.include(converted.toString(), "--b\r\n\r\nSubject: =?utf-8?B?w7w=?=\r\n\r\nASCII\r\n--b--\r\n")
      }))

    it.effect("message/global may be encoded, with the addresses inside", () =>
      Effect.gen(function*() {
        const inner = lines("From: <jörg@bücher.example>", "", "hello")
        const converted = yield* convert(
          Buffer.concat([lines("MIME-Version: 1.0", "Content-Type: message/global", ""), inner])
        )
        assert.strictEqual(
          converted.toString(),
          lines(
            "MIME-Version: 1.0",
            "Content-Type: message/global",
            "Content-Transfer-Encoding: base64",
            ""
          ).toString() + inner.toString("base64")
        )
      }))

    it.effect("an outer boundary ends all that is open inside", () =>
      Effect.gen(function*() {
        const converted = yield* convert(
          lines(
            "Content-Type: multipart/mixed; boundary=a",
            "",
            "--a",
            "Content-Type: multipart/mixed; boundary=b",
            "",
            "--b",
            "Content-Type: multipart/mixed; boundary=c",
            "",
            "--c",
            "Content-Type: image/png",
            "",
            png,
            "--a",
            "Content-Type: text/plain",
            "",
            "second",
            "--a--"
          )
        )
        assert.isTrue(converted.toString().endsWith("\r\n--a\r\nContent-Type: text/plain\r\n\r\nsecond\r\n--a--\r\n"))
      }))

    it.effect("line ends may be LF", () =>
      Effect.gen(function*() {
        const content = utf8(nested(["", "text ü"]).toString().replaceAll("\r\n", "\n"))
        yield* equivalent(content)
      }))
  })

  describe("header fields", () => {
    const field = (value: string) =>
      Effect.map(convert(lines(value, "", "x")), (converted) => {
        assertSevenBit(converted)
        return converted.toString().slice(0, -"\r\n\r\nx\r\n".length)
      })

    it.effect("as a reader sees them they stay", () =>
      Effect.gen(function*() {
        yield* equivalent(
          lines(
            "From: \"Müller, Jörg\" <joerg@example.org>",
            "Sender: Jörg (Büro) <joerg@example.org>",
            "To: Büro: Änne Ö. Ünal <aenne@example.org>, plain@example.org;, \"Ben\" <ben@example.org>",
            `Cc: ${"名前".repeat(60)} <a@example.org>, =?utf-8?q?J=C3=B6rg?= Größe <b@example.org>`,
            "Subject: Viele Grüße aus  München, =?utf-8?q?gr=C3=BC=C3=9Fe?= ünd 😀 and words in ASCII at the end",
            "",
            "Nothing here."
          )
        )
      }))

    it.effect("words in ASCII are left alone, white space between two encoded words is kept", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* field("Subject: a ü ö b"), "Subject: a =?utf-8?B?w7wgw7Y=?= b")
        assert.strictEqual(yield* field("Subject: =?utf-8?q?a?= ü"), "Subject: =?utf-8?q?a?= =?utf-8?B?IMO8?=")
        assert.strictEqual(yield* field("Subject: mostly-ASCII-ü"), "Subject: =?utf-8?Q?mostly-ASCII-=C3=BC?=")
      }))

    it.effect("comments, also where the grammar has nothing else", () =>
      Effect.gen(function*() {
        assert.strictEqual(
          yield* field("Date: Tue, 24 Nov 2026 12:00:00 +0100 (Mitteleuropäische (Normal-)Zeit \\) ü)"),
          "Date: Tue, 24 Nov 2026 12:00:00 +0100 (=?utf-8?Q?Mitteleurop=C3=A4ische?=\r\n (Normal-)Zeit \\) =?utf-8?B?w7w=?=)"
        )
      }))

    it.effect("octets that are no UTF-8 are kept as such", () =>
      Effect.gen(function*() {
        const converted = yield* convert(lines(Buffer.from("Subject: Größe", "latin1"), "", "x"))
        assert.strictEqual(converted.toString(), "Subject: =?unknown-8bit?B?R3L232U=?=\r\n\r\nx\r\n")
      }))

    it.effect("long lines are folded", () =>
      Effect.gen(function*() {
        yield* equivalent(
          lines(`To: ${Array.from({ length: 99 }, (_, at) => `u${at}@example.org`).join(", ")}`, "", "x")
        )
        yield* equivalent(lines(`Subject: ${"x".repeat(3000)}`, "", "x"))
        yield* equivalent(
          lines(
            `Content-Disposition: attachment; filename="${"long ü ".repeat(300)}.txt"`,
            "MIME-Version: 1.0",
            "",
            "x"
          ),
          [utf8("x\n")]
        )
      }))
  })

  describe("what needs nothing comes back as it is", () => {
    it.effect("the same array", () =>
      Effect.gen(function*() {
        for (const content of ["", "x", "\r\n", "Subject: x\n\n8bit\n", `Subject: x\r\n\r\n${"x".repeat(998)}\r\n`]) {
          const octets = utf8(content)
          assert.strictEqual(yield* NodeMime.toSevenBit(octets), octets)
        }
        const signed = utf8(
          "DKIM-Signature: v=1\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--"
        )
        assert.strictEqual(yield* NodeMime.toSevenBit(signed), signed)
      }))

    it.effect("998 octets are no long line, 999 are", () =>
      Effect.gen(function*() {
        const content = lines("Subject: x", "", "x".repeat(999))
        assert.include((yield* convert(content)).toString(), "quoted-printable")
      }))
  })

  describe("errors", () => {
    const signed = (text: string) => [
      "Content-Type: multipart/signed; boundary=s",
      "",
      "--s",
      "Content-Type: text/plain",
      "",
      text,
      "--s",
      "Content-Type: application/pgp-signature",
      "",
      "abc",
      "--s--"
    ]

    it.effect("signed content", () =>
      Effect.gen(function*() {
        const reason = { _tag: "SignedContent", by: "multipart/signed" } as const
        assert.deepStrictEqual(yield* problem(lines(...signed("ü"))), reason)
        assert.deepStrictEqual(
          yield* problem(lines("Content-Type: multipart/mixed; boundary=m", "", "--m", ...signed("ü"), "--m--")),
          reason
        )
        assert.deepStrictEqual(yield* problem("dkim-signature: v=1\r\n\r\nü"), { ...reason, by: "DKIM-Signature" })
        const error = yield* Effect.flip(NodeMime.toSevenBit(lines(...signed("ü"))))
        assert.match(error.message, /^signed content must not be changed/)
      }))

    it.effect("signed content that needs nothing, in a message that does, stays", () =>
      Effect.gen(function*() {
        const part = signed("x ")
        const converted = yield* convert(lines("Subject: ü", ...part))
        assert.isTrue(converted.toString().endsWith(lines(...part).toString()))
      }))

    it.effect("addresses", () =>
      Effect.gen(function*() {
        for (
          const to of [
            "jörg@example.org",
            "J <jörg@example.org>",
            "a@example.org, jörg@example.org (ü)",
            "<@ä.example:b@example.org>",
            "\"ö\"@x.org"
          ]
        ) {
          assert.include(yield* problem(`To: ${to}\r\n\r\nx`), { _tag: "AddressNotAscii", field: "to" })
        }
        const reason = yield* problem("Resent-To: a@b, Ä <ben@bücher.example>\r\n\r\nx")
        assert.deepStrictEqual(reason, { _tag: "AddressNotAscii", field: "resent-to", address: "ben@bücher.example" })
      }))

    it.effect("fields that have no place for it", () =>
      Effect.gen(function*() {
        for (
          const field of [
            "Message-ID: <ü@example.org>",
            "Sübject: x",
            "no field ü",
            "Subject: a\0b",
            "Subject: a\rb",
            `References: ${"<x@example.org>".repeat(80)}`,
            "Content-Type: text/plain; ü=x",
            "Content-Type: täxt/plain",
            "Content-Type: multipart/mixed; boundary=ü"
          ]
        ) {
          assert.strictEqual((yield* problem(`${field}\r\n\r\nx`))._tag, "FieldNotConvertible", field)
        }
      }))

    it.effect("what may not be encoded, what is not known, what has no parts", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* problem("Content-Type: message/delivery-status\r\n\r\nü"), {
          _tag: "TypeNotEncodable",
          type: "message/delivery-status"
        })
        assert.deepStrictEqual(yield* problem("Content-Transfer-Encoding: x-uuencode\r\n\r\nü"), {
          _tag: "UnknownEncoding",
          encoding: "x-uuencode"
        })
        for (const type of ["multipart/mixed", "multipart/mixed; boundary=b"]) {
          assert.deepStrictEqual(yield* problem(`Content-Type: ${type}\r\n\r\nü`), {
            _tag: "NoParts",
            type: "multipart/mixed"
          })
        }
      }))

    it.effect("what is nested too deep, or has too many parts", () =>
      Effect.gen(function*() {
        const multiparts = Array.from(
          { length: 10_000 },
          (_, at) => `Content-Type: multipart/mixed; boundary=b${at}\r\n\r\n--b${at}\r\n`
        )
        const messages = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000)
        for (const content of [multiparts.join(""), messages]) {
          assert.deepStrictEqual(yield* problem(`${content}\r\nü`), { _tag: "TooComplex", limit: "depth" })
        }
        const parts = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n".repeat(20_000)}\r\nü`
        assert.deepStrictEqual(yield* problem(parts), { _tag: "TooComplex", limit: "parts" })
      }))
  })
})

describe("NodeMime.toSevenBit (laws)", () => {
  /** No control characters: how readers take those in text differs. */
  const text = fc.string({
    unit: fc.oneof(
      fc.constantFrom(..."aé=. ?_ßあ😀\n"),
      fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 3 })
    ),
    maxLength: 400
  })
  const word = fc.stringMatching(/^[A-Za-zé=.?_ßあ😀-]{1,30}$/u)
  const phrase = fc.array(word, { minLength: 1, maxLength: 12 }).map((words) => words.join(" "))

  interface Generated {
    readonly content: Buffer
    readonly attached: ReadonlyArray<Uint8Array>
  }

  const textPart = fc.record({ text, type: fc.constantFrom("plain", "html"), repeat: fc.integer({ min: 1, max: 40 }) })
    .map(({ repeat, text, type }): Generated => ({
      content: lines(
        `Content-Type: text/${type}; charset=utf-8`,
        "Content-Transfer-Encoding: 8bit",
        "",
        `${text.replaceAll("\n", "\r\n").repeat(repeat)}.`
      ),
      attached: []
    }))
  const attachment = fc.record({ octets: fc.uint8Array({ maxLength: 500 }), name: phrase }).map((
    { name, octets }
  ): Generated => ({
    content: lines(
      "Content-Type: application/octet-stream",
      `Content-Disposition: attachment; filename="${name}"`,
      "Content-Transfer-Encoding: binary",
      "",
      // Some of it is 7-bit, and lines in it would be lines of a mail then.
      Buffer.concat([octets, png])
    ),
    attached: [Buffer.concat([octets, png])]
  }))
  const { part } = fc.letrec<{ part: Generated; multipart: Generated }>((tie) => ({
    part: fc.oneof({ depthSize: "small", withCrossShrink: true }, textPart, attachment, tie("multipart")),
    multipart: fc.record({
      parts: fc.array(tie("part"), { minLength: 1, maxLength: 3 }),
      boundary: fc.stringMatching(/^=_[0-9a-z]{12}$/)
    }).map(({ boundary, parts }): Generated => ({
      content: Buffer.concat([
        lines(`Content-Type: multipart/mixed; boundary="${boundary}"`, ""),
        ...parts.flatMap((each) => [lines(`--${boundary}`), each.content]),
        lines(`--${boundary}--`)
      ]),
      attached: parts.flatMap((each) => each.attached)
    }))
  }))
  // Around a part there is always a multipart, so that the line end after it is not its own.
  const message = fc.record({ part, subject: phrase, names: fc.array(phrase, { minLength: 1, maxLength: 5 }) }).map(
    ({ names, part, subject }): Generated => ({
      content: Buffer.concat([
        lines(
          `Subject: ${subject}`,
          "MIME-Version: 1.0",
          `To: ${names.map((name) => `"${name}" <a@example.org>`).join(", ")}`,
          "Content-Type: multipart/mixed; boundary=outermost",
          "",
          "--outermost"
        ),
        part.content,
        lines("--outermost--")
      ]),
      attached: part.attached
    })
  )

  it("a reader sees no difference, and a second time changes nothing", () =>
    fc.assert(
      fc.asyncProperty(message, ({ attached, content }) =>
        Effect.runPromise(Effect.asVoid(equivalent(content, attached)))),
      { numRuns: 1000 }
    ))

  it("nor where delimiters stand anywhere, missing ones and too many", () => {
    const anyLine = fc.constantFrom(
      "--a",
      "--b",
      "--c",
      "--a--",
      "--b--",
      "--c--",
      "--a  ",
      "",
      "",
      "",
      "text ü",
      "Subject: ü",
      "Content-Type: multipart/mixed; boundary=a",
      "Content-Type: multipart/mixed; boundary=b",
      "Content-Type: multipart/alternative; boundary=c",
      "Content-Type: text/html; charset=utf-8",
      "Content-Type: message/rfc822"
    )
    const compare = Effect.fnUntraced(function*(content: Buffer) {
      const converted = yield* Effect.result(convert(content))
      if (Result.isFailure(converted)) return
      assertSevenBit(converted.success)
      assert.deepStrictEqual((yield* read(converted.success)).mail, (yield* read(content)).mail)
    })
    return fc.assert(
      fc.asyncProperty(fc.array(anyLine, { maxLength: 30 }), (body) =>
        Effect.runPromise(
          compare(lines("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=a", "", "--a", ...body))
        )),
      { numRuns: 1500 }
    )
  })

  it("anything ends in 7-bit content or a typed error", () =>
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.constantFrom(
              "\r\n",
              "\n",
              "\r",
              "--a",
              "--b",
              "--",
              ": ",
              ";",
              "(",
              "\"",
              "<",
              "ü",
              "\xff",
              "\0",
              " ",
              "boundary=a",
              "Content-Type: multipart/mixed; boundary=a\r\n\r\n",
              "Content-Type: multipart/mixed; boundary=b\r\n",
              "Content-Type: message/rfc822\r\n\r\n",
              "Content-Transfer-Encoding: base64\r\n",
              "To: ",
              "Subject: ",
              "x".repeat(999)
            ),
            fc.string({ unit: "binary" })
          ),
          { maxLength: 60 }
        ),
        fc.boolean(),
        (pieces, latin1) => {
          const content = Buffer.from(pieces.join(""), latin1 ? "latin1" : "utf8")
          const result = Effect.runSync(Effect.result(convert(content)))
          if (Result.isSuccess(result) && result.success.compare(content) !== 0) assertSevenBit(result.success)
        }
      ),
      { numRuns: 3000 }
    ))
})
