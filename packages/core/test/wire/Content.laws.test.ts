import { assert, describe, it } from "@effect/vitest"
import { Content } from "@postern/core"
import * as fc from "fast-check"

const CR = 13
const LF = 10
const DOT = 46

/** Mostly what matters to line ends and dots. */
const content = fc.oneof(
  fc.array(fc.constantFrom(CR, LF, DOT, 0x61, 0xe9, 0), { maxLength: 40 }).map((bytes) => Uint8Array.from(bytes)),
  fc.uint8Array({ maxLength: 100 })
)

const has = (bytes: Uint8Array, ...sequence: ReadonlyArray<number>): boolean =>
  bytes.some((_, at) => sequence.every((byte, i) => bytes[at + i] === byte))

const barePart = (bytes: Uint8Array): boolean =>
  bytes.some((byte, i) => (byte === CR && bytes[i + 1] !== LF) || (byte === LF && bytes[i - 1] !== CR))

/** By a regular expression, a character an octet. */
const reference = (bytes: Uint8Array): string => {
  const lines = Buffer.from(bytes).toString("latin1").replace(/\r\n|\r|\n/g, "\r\n")
  return lines === "" || lines.endsWith("\r\n") ? lines : `${lines}\r\n`
}

const runs = { numRuns: 2000 }

describe("Content laws", () => {
  it("normalize is what it says, and changes nothing a second time", () => {
    fc.assert(
      fc.property(content, (bytes) => {
        const normal = Content.normalize(bytes)
        assert.strictEqual(Buffer.from(normal).toString("latin1"), reference(bytes))
        assert.deepStrictEqual(Content.normalize(normal), normal)
      }),
      runs
    )
  })

  it("decodeData(encodeData(content)) is normalize(content)", () => {
    fc.assert(
      fc.property(
        content,
        (bytes) => assert.deepStrictEqual(Content.decodeData(Content.encodeData(bytes)), Content.normalize(bytes))
      ),
      runs
    )
  })

  it("no bare CR or LF on the wire", () => {
    fc.assert(
      fc.property(content, (bytes) => {
        assert.isFalse(barePart(Content.encodeData(bytes)))
        assert.isFalse(barePart(Content.normalize(bytes)))
      }),
      runs
    )
  })

  it("the end of data comes once, at the end", () => {
    fc.assert(
      fc.property(content, (bytes) => {
        const wire = Content.encodeData(bytes)
        // As if after the CRLF of the line before.
        const line = Uint8Array.of(CR, LF, ...wire)
        assert.deepStrictEqual(line.slice(-5), Uint8Array.of(CR, LF, DOT, CR, LF))
        assert.isFalse(has(line.slice(0, -1), CR, LF, DOT, CR, LF))
        assert.isFalse(has(line.slice(0, -3), LF, DOT, CR) || has(line.slice(0, -3), LF, DOT, LF))
      }),
      runs
    )
  })

  it("measure tells what normalize makes, and what a regular expression finds", () => {
    fc.assert(
      fc.property(content, (bytes) => {
        const normal = reference(bytes)
        const lines = normal.split("\r\n")
        const header = lines.slice(0, lines.indexOf("")).join()
        assert.deepStrictEqual(Content.measure(bytes), {
          size: normal.length,
          eightBit: bytes.some((byte) => byte > 127),
          eightBitHeader: /[\x80-\xff]/.test(header),
          longestLine: Math.max(...lines.map((line) => line.length)),
          canonical: normal.length === bytes.length
        })
      }),
      runs
    )
  })

  it("looked at before it is encoded as it is without", () => {
    const joined = (blocks: Iterable<Uint8Array>) => new Uint8Array(Buffer.concat([...blocks]))
    fc.assert(
      fc.property(content, fc.boolean(), (bytes, canonical) => {
        const given = canonical ? Content.normalize(bytes) : bytes
        assert.deepStrictEqual(
          joined(Content.inspectedBlocks(given, Content.inspect(given))),
          Content.encodeData(given)
        )
      }),
      runs
    )
    const line = `${"x".repeat(62)}\r\n`
    for (const text of [`.${line}`, line, `${line}.\r\n`, `.\r\n`.repeat(3)]) {
      const long = new TextEncoder().encode(text.repeat(3000))
      assert.deepStrictEqual(joined(Content.inspectedBlocks(long, Content.inspect(long))), Content.encodeData(long))
    }
  })

  it("encoded in pieces of any kind it is what the whole is", () => {
    fc.assert(
      fc.property(content, fc.array(fc.nat(40), { maxLength: 8 }), (bytes, places) => {
        const cuts = [
          0,
          ...places.map((place) => Math.min(place, bytes.length)).toSorted((a, b) => a - b),
          bytes.length
        ]
        for (const framing of ["DATA", "BDAT"] as const) {
          const { end, push } = Content.encoder(framing)
          const pieces = cuts.slice(1).map((to, i) => push(bytes.subarray(cuts[i], to)))
          const whole = framing === "DATA" ? Content.encodeData(bytes) : Content.normalize(bytes)
          assert.deepStrictEqual(new Uint8Array(Buffer.concat([...pieces, end()])), whole)
        }
      }),
      runs
    )
  })

  it("blocks are the whole, also where a block ends within a line end or before a dot", () => {
    const line = "x".repeat(76)
    for (let shift = 0; shift < 6; shift++) {
      const text = "y".repeat(shift) + `${line}\r\n.${line}\n.\r`.repeat(1000)
      const bytes = new TextEncoder().encode(text)
      assert.isAbove(bytes.length, 2 * Content.blockSize)
      const joined = (framing: Content.Framing) => new Uint8Array(Buffer.concat([...Content.blocks(bytes, framing)]))
      assert.deepStrictEqual(joined("DATA"), Content.encodeData(bytes))
      assert.deepStrictEqual(joined("BDAT"), Content.normalize(bytes))
      assert.strictEqual(Buffer.from(joined("BDAT")).toString(), reference(bytes))
    }
  })

  it("decodeData never throws, and gives at most what came", () => {
    fc.assert(
      fc.property(content, fc.constantFrom("", ".\r\n", "\r\n.\r\n"), (bytes, end) => {
        const wire = Uint8Array.from([...bytes, ...Buffer.from(end)])
        const decoded = Content.decodeData(wire)
        if (decoded !== undefined) assert.isAtMost(decoded.length, wire.length)
        if (end === "\r\n.\r\n") assert.isDefined(decoded)
      }),
      runs
    )
  })
})
