import { assert, describe, it } from "@effect/vitest"
import { Content } from "@postern/core"

const utf8 = new TextEncoder()
const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)

describe("Content", () => {
  /** Content, with CRLF line ends, as DATA carries it (without the final dot). */
  const table: ReadonlyArray<readonly [string, string, string?]> = [
    ["", ""],
    ["a", "a\r\n"],
    ["a\r\n", "a\r\n"],
    ["a\n", "a\r\n"],
    ["a\r", "a\r\n"],
    ["\n", "\r\n"],
    ["\r", "\r\n"],
    ["\r\n", "\r\n"],
    ["\n\n", "\r\n\r\n"],
    ["\r\r", "\r\n\r\n"],
    ["\n\r", "\r\n\r\n"],
    ["\r\r\n", "\r\n\r\n"],
    ["\r\n\n", "\r\n\r\n"],
    ["\r\n\r", "\r\n\r\n"],
    ["\n\r\n", "\r\n\r\n"],
    ["a\r\nb\nc\rd", "a\r\nb\r\nc\r\nd\r\n"],
    ["a\n\nb", "a\r\n\r\nb\r\n"],
    ["a\r\rb", "a\r\n\r\nb\r\n"],
    [" \n\t", " \r\n\t\r\n"],
    ["\0\n\u000b\u000c\u0085\u2028", "\0\r\n\u000b\u000c\u0085\u2028\r\n"],
    ["é\n用", "é\r\n用\r\n"],
    // Dots at the beginning of lines (RFC 5321 §4.5.2).
    [".", ".\r\n", "..\r\n"],
    ["..", "..\r\n", "...\r\n"],
    [".\r\n", ".\r\n", "..\r\n"],
    [".a\n.b\nc.\n", ".a\r\n.b\r\nc.\r\n", "..a\r\n..b\r\nc.\r\n"],
    ["a\n.\nb", "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n"],
    ["a\r.\rb", "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n"],
    ["a\n..\nb", "a\r\n..\r\nb\r\n", "a\r\n...\r\nb\r\n"],
    ["a\n .\n", "a\r\n .\r\n"],
    ["a.b\n", "a.b\r\n"],
    ["a\n\n.\n", "a\r\n\r\n.\r\n", "a\r\n\r\n..\r\n"]
  ]
  for (const [content, normal, stuffed = normal] of table) {
    it(JSON.stringify(content), () => {
      const bytes = utf8.encode(content)
      assert.strictEqual(text(Content.normalize(bytes)), normal)
      assert.strictEqual(text(Content.encodeData(bytes)), `${stuffed}.\r\n`)
      assert.strictEqual(text(Content.decodeData(Content.encodeData(bytes))), normal)
      assert.strictEqual(Content.measure(bytes).size, utf8.encode(normal).length)
    })
  }

  // The ends of data that published smuggling attacks are made of: one server takes them for the end, another does not.
  const ends = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\n",
    "\n.\r",
    "\r\n.\r",
    "\r.\r\n",
    "\r\n.\r\r\n",
    "\r\r\n.\r\r\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
    "\r\n.\r\n",
    "\n\n.\r\n",
    "\r\r.\r\n",
    "\n\r.\r\n",
    "\r\n\n.\n",
    "\n.\n\n",
    "\r\n.\n\r"
  ]
  for (const end of ends) {
    it(`no command is smuggled behind ${JSON.stringify(end)}`, () => {
      const content =
        `From: a@example.org\r\n\r\nhello${end}MAIL FROM:<evil@example.org>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\nspam\r\n`
      const wire = text(Content.encodeData(utf8.encode(content))) ?? ""
      assert.isTrue(wire.endsWith("\r\n.\r\n"))
      assert.notMatch(wire.replaceAll("\r\n", ""), /[\r\n]/)
      // However a server reads line ends: no line but the last is a lone dot.
      for (const lineEnd of ["\r\n", "\n", "\r", /\r?\n|\r/]) {
        const alone = wire.split(lineEnd).map((line) => line.replace(/[\r\n]/g, "")).flatMap((line, i) =>
          line === "." ? [i] : []
        )
        assert.deepStrictEqual(alone, [wire.split(lineEnd).length - 2], String(lineEnd))
      }
    })
  }

  it("measures size and octets above 127", () => {
    const facts = (bytes: Uint8Array) => {
      const { eightBit, size } = Content.measure(bytes)
      return { size, eightBit }
    }
    assert.deepStrictEqual(facts(utf8.encode("a\n")), { size: 3, eightBit: false })
    assert.deepStrictEqual(facts(utf8.encode("é")), { size: 4, eightBit: true })
    assert.deepStrictEqual(facts(Uint8Array.of(0x7f)), { size: 3, eightBit: false })
    assert.deepStrictEqual(facts(Uint8Array.of(10, 10, 0x80)), { size: 7, eightBit: true })
  })

  it("measures the longest line, and tells octets above 127 of the header from those of the body", () => {
    const facts = (text: string) => {
      const { canonical, eightBitHeader, longestLine } = Content.measure(utf8.encode(text))
      return [longestLine, eightBitHeader, canonical]
    }
    assert.deepStrictEqual(facts(""), [0, false, true])
    assert.deepStrictEqual(facts("Subject: é\r\n\r\nx\r\n"), [11, true, true])
    assert.deepStrictEqual(facts("Subject: e\r\n\r\né\r\n"), [10, false, true])
    assert.deepStrictEqual(facts(`a\n\n${"x".repeat(999)}`), [999, false, false])
    assert.deepStrictEqual(facts("é"), [2, true, false])
    assert.deepStrictEqual(facts("\né"), [2, false, false])
  })

  for (
    const wire of [
      "",
      ".",
      ".\r",
      "\r\n",
      "a\r\n",
      "a\r\n.\n",
      "a\n.\r\n",
      "a.\r\n",
      "a\r\n..\r\n",
      "\n.\r\n",
      "a\r\n.\r\nb"
    ]
  ) {
    it(`decodeData does not take ${JSON.stringify(wire)} for complete`, () => {
      assert.isUndefined(Content.decodeData(utf8.encode(wire)))
    })
  }

  it("does not change the content it is given, nor share memory with it", () => {
    const bytes = utf8.encode("a\r\n.b\r\n")
    const before = bytes.slice()
    for (
      const out of [Content.normalize(bytes), Content.encodeData(bytes), Content.decodeData(Content.encodeData(bytes))]
    ) {
      out?.fill(0)
      assert.deepStrictEqual(bytes, before)
    }
  })

  for (
    const [name, unit] of [
      ["CR", "\r"],
      ["LF", "\n"],
      ["dots", "."],
      ["dot lines", ".\n"],
      ["CR then letters", "\ra"],
      ["letters", "a"]
    ] as const
  ) {
    it(`a megabyte of ${name}`, () => {
      const bytes = utf8.encode(unit.repeat(1_048_576 / unit.length))
      const wire = Content.encodeData(bytes)
      assert.strictEqual(Content.decodeData(wire)?.length, Content.measure(bytes).size)
      assert.strictEqual(Content.normalize(bytes).length, Content.measure(bytes).size)
    })
  }
})
