import { assert, describe, it, vi } from "@effect/vitest"
import { Reply } from "@postern/core"
import { Result } from "effect"

const utf8 = new TextEncoder()
const bytes = (...parts: ReadonlyArray<string | ReadonlyArray<number>>): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => typeof part === "string" ? Array.from(utf8.encode(part)) : part))

/** Everything a decoder makes of the bytes: `[code, ...lines]` a reply, and the problem it ends in. */
const decode = (input: string | Uint8Array, limits?: Reply.Limits): ReadonlyArray<unknown> => {
  const decoder = Reply.decoder(limits)
  decoder.push(typeof input === "string" ? utf8.encode(input) : input)
  const out: Array<unknown> = []
  for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
    if (Result.isFailure(next)) return [...out, next.failure.problem]
    out.push([next.success.code, ...next.success.lines])
  }
  return out
}

const failure = (input: Uint8Array, limits?: Reply.Limits): Reply.ReplyError => {
  const decoder = Reply.decoder(limits)
  decoder.push(input)
  const next = decoder.next()
  if (next === undefined || Result.isSuccess(next)) throw new Error("no failure")
  return next.failure
}

describe("Reply.decoder", () => {
  const accepted: ReadonlyArray<readonly [string, string | Uint8Array, ...Array<readonly [number, ...Array<string>]>]> =
    [
      ["one line", "250 ok\r\n", [250, "ok"]],
      ["several lines", "250-mx.example\r\n250-SIZE 1000\r\n250 HELP\r\n", [250, "mx.example", "SIZE 1000", "HELP"]],
      ["several replies", "250 a\r\n354 b\r\n250 c\r\n", [250, "a"], [354, "b"], [250, "c"]],
      ["bare LF", "250-a\n250 b\n", [250, "a", "b"]],
      ["line ends mixed", "250-a\r\n250-b\n250 c\r\n", [250, "a", "b", "c"]],
      ["the code alone", "250\r\n", [250, ""]],
      ["the code alone and LF", "250\n", [250, ""]],
      ["the code, a blank, nothing", "250 \r\n", [250, ""]],
      ["the code, a hyphen, nothing", "250-\r\n250 \r\n", [250, "", ""]],
      ["a continued reply that ends in the code alone", "250-a\r\n250\r\n", [250, "a", ""]],
      ["no separator", "220smtp.example\r\n", [220, "smtp.example"]],
      ["a tab as separator", "220\tsmtp.example\r\n", [220, "smtp.example"]],
      ["another character as separator", "220_smtp\r\n", [220, "_smtp"]],
      ["more blanks belong to the text", "250   ok \r\n", [250, "  ok "]],
      ["a hyphen belongs to the text", "250 -ok\r\n", [250, "-ok"]],
      ["a tab in the text", "250 a\tb\r\n", [250, "a\tb"]],
      ["a code in the text", "250 250 ok\r\n", [250, "250 ok"]],
      ["UTF-8", "550 пользователь не найден 🙃\r\n", [550, "пользователь не найден 🙃"]],
      ["Latin-1", bytes("550 Bo", [0xee], "te inconnue, d", [0xe9], "sol", [0xe9], "\r\n"), [
        550,
        "Boîte inconnue, désolé"
      ]],
      ["UTF-8 on one line, Latin-1 on the next", bytes("550-é\r\n550 ", [0xe9], "\r\n"), [550, "é", "é"]],
      ["a byte order mark in the text", "250 \ufeffok\r\n", [250, "\ufeffok"]],
      ["421", "421 4.3.0 closing\r\n", [421, "4.3.0 closing"]],
      ["334 without text", "334 \r\n", [334, ""]],
      ["codes that no RFC has", "299 a\r\n599 b\r\n", [299, "a"], [599, "b"]],
      // RFC 5321 appendix D.1
      ["a greeting", "220 foo.com Simple Mail Transfer Service Ready\r\n", [
        220,
        "foo.com Simple Mail Transfer Service Ready"
      ]]
    ]
  for (const [name, input, ...replies] of accepted) {
    it(`accepts ${name}`, () => assert.deepStrictEqual(decode(input), replies))
  }

  const refused: ReadonlyArray<readonly [string, string | Uint8Array, Reply.ReplyError["problem"]]> = [
    ["a code that changes", "250-a\r\n251 b\r\n", "code changed within a reply"],
    ["a code that changes on a continued line", "250-a\r\n550-b\r\n550 c\r\n", "code changed within a reply"],
    ["1yz", "150 about to\r\n", "no reply code"],
    ["6yz", "650 what\r\n", "no reply code"],
    ["0yz", "050 what\r\n", "no reply code"],
    ["four digits", "2500 ok\r\n", "no reply code"],
    ["two digits", "25 ok\r\n", "no reply code"],
    ["letters", "OK hello\r\n", "no reply code"],
    ["letters in the code", "2a0 ok\r\n", "no reply code"],
    ["digits of another script", "２５０ ok\r\n", "no reply code"],
    ["an empty line", "\r\n", "no reply code"],
    ["an empty line within a reply", "250-a\r\n\r\n250 b\r\n", "no reply code"],
    ["a blank before the code", " 250 ok\r\n", "no reply code"],
    ["NUL", "250 a\0b\r\n", "control character"],
    ["NUL before the code", "\u0000250 ok\r\n", "no reply code"],
    ["a bare CR within a line", "250 a\r250 b\r\n", "control character"],
    ["two CR at the end", "250 ok\r\r\n", "control character"],
    ["an escape sequence", "250 \u001b[2J\r\n", "control character"],
    ["DEL", "250 \u007f\r\n", "control character"],
    ["a TLS alert", bytes([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46, 0x0a]), "no reply code"],
    ["HTTP", "HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", "no reply code"],
    ["IMAP", "* OK IMAP4rev1 ready\r\n", "no reply code"],
    ["POP3", "+OK ready\r\n", "no reply code"],
    ["SSH", "SSH-2.0-OpenSSH_9.6\r\n", "no reply code"]
  ]
  for (const [name, input, problem] of refused) {
    it(`refuses ${name}`, () => assert.deepStrictEqual(decode(input), [problem]))
  }

  it("gives the replies before the fault", () => {
    assert.deepStrictEqual(decode("250 ok\r\n250-a\r\nwhat\r\n250 c\r\n"), [[250, "ok"], "no reply code"])
  })

  it("waits for the end of an unfinished reply", () => {
    for (const input of ["", "2", "250", "250 ok", "250 ok\r", "250-ok\r\n", "250-ok\r\n250 b"]) {
      assert.deepStrictEqual(decode(input), [], JSON.stringify(input))
    }
  })

  it("shows what it could not read, escaped and bounded", () => {
    assert.strictEqual(
      failure(bytes([0x16, 3, 3, 0, 5], "\\\t\"é\r", "\r\n")).offending,
      "\\x16\\x03\\x03\\x00\\x05\\\\\\t\"\\xc3\\xa9\\r"
    )
    assert.strictEqual(
      failure(utf8.encode(`${"x".repeat(500)}\r\n`)).offending,
      `${"x".repeat(Reply.offendingLength)}…`
    )
  })

  it("a challenge of RFC 4954's 12,288 octets fits the default limits", () => {
    const challenge = "A".repeat(12_288)
    assert.deepStrictEqual(decode(`334 ${challenge}\r\n`), [[334, challenge]])
  })
})

describe("Reply.decoder limits", () => {
  const limits: Reply.Limits = { line: 20, lines: 4, bytes: 40 }

  it("octets in a line, its end not counted", () => {
    const text = "x".repeat(16)
    assert.deepStrictEqual(decode(`250 ${text}\r\n`, limits), [[250, text]])
    assert.deepStrictEqual(decode(`250 ${text}\n`, limits), [[250, text]])
    assert.deepStrictEqual(decode(`250 ${text}x\r\n`, limits), ["line too long"])
    assert.deepStrictEqual(decode(`250 ${text}x\n`, limits), ["line too long"])
    // Octets, not characters.
    assert.deepStrictEqual(decode(`250 ${"é".repeat(9)}\r\n`, limits), ["line too long"])
  })

  it("lines in a reply", () => {
    assert.deepStrictEqual(decode("250-\n250-\n250-\n250 \n", limits), [[250, "", "", "", ""]])
    assert.deepStrictEqual(decode("250-\n250-\n250-\n250-\n250 \n", limits), ["too many lines"])
  })

  it("octets in a reply, and the next reply begins anew", () => {
    const text = "x".repeat(16)
    const reply = `250-${text}\r\n250 ${text}\r\n`
    assert.deepStrictEqual(decode(reply + reply, limits), [[250, text, text], [250, text, text]])
    assert.deepStrictEqual(decode(`250-${text}\r\n250-${text}\r\n250 \r\n`, limits), ["reply too long"])
  })

  it("an endless line ends in a failure, and little is held", () => {
    const decoder = Reply.decoder()
    const chunk = new Uint8Array(1024).fill(0x78)
    let next = decoder.next()
    let pushed = 0
    for (; pushed < 10_000 && next === undefined; pushed++) {
      decoder.push(chunk)
      next = decoder.next()
    }
    assert.deepStrictEqual(next && Result.isFailure(next) && next.failure.problem, "line too long")
    assert.isAtMost(pushed * chunk.length, Reply.defaultLimits.line + 2 * chunk.length)
    for (let i = 0; i < 1000; i++) decoder.push(chunk)
    assert.isAtMost(decoder.held().length, Reply.defaultLimits.line + 2 * chunk.length)
    assert.isFalse(decoder.isEmpty())
  })

  for (const line of ["250-\r\n", `250-${"x".repeat(1000)}\r\n`]) {
    it(`an endless reply ends in a failure, and little is held (lines of ${line.length} octets)`, () => {
      const decoder = Reply.decoder()
      const chunk = utf8.encode(line)
      let next = decoder.next()
      let pushed = 0
      for (; pushed < 10_000 && next === undefined; pushed++) {
        decoder.push(chunk)
        next = decoder.next()
      }
      assert.deepStrictEqual(
        next && Result.isFailure(next) && next.failure.problem,
        line.length > 100 ? "reply too long" : "too many lines"
      )
      for (let i = 0; i < 1000; i++) decoder.push(chunk)
      assert.isAtMost(decoder.held().length, Reply.defaultLimits.bytes + 1024)
    })
  }

  it("looks at each octet a bounded number of times, whatever the chunks", () => {
    const typed = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array
    const input = utf8.encode(`250-${"x".repeat(4000)}\r\n`.repeat(15) + "250 end\r\n")
    let work = 0
    const { indexOf, set } = typed
    const spies = [
      vi.spyOn(typed, "indexOf").mockImplementation(function(this: Uint8Array, byte: number, from = 0) {
        const at = indexOf.call(this, byte, from)
        work += (at === -1 ? this.length : at + 1) - from
        return at
      }),
      vi.spyOn(typed, "set").mockImplementation(function(this: Uint8Array, source: ArrayLike<number>, offset = 0) {
        work += source.length
        return set.call(this, source, offset)
      })
    ]
    try {
      for (const size of [1, 7, 1024, input.length]) {
        work = 0
        const decoder = Reply.decoder()
        let replies = 0
        for (let at = 0; at < input.length; at += size) {
          decoder.push(input.subarray(at, at + size))
          if (decoder.next() !== undefined) replies++
        }
        assert.strictEqual(replies, 1)
        assert.isAbove(work, 0)
        assert.isAtMost(work, 3 * input.length, `chunks of ${size}`)
      }
    } finally {
      for (const spy of spies) spy.mockRestore()
    }
  })
})

describe("Reply", () => {
  it("make puts the enhanced status code before every line", () => {
    const reply = Reply.make(550, ["No such user", "Ask the postmaster"], "5.1.1")
    assert.deepStrictEqual(reply, {
      code: 550,
      status: { class: 5, subject: 1, detail: 1 },
      lines: ["5.1.1 No such user", "5.1.1 Ask the postmaster"]
    })
    assert.strictEqual(Reply.text(reply), "5.1.1 No such user\n5.1.1 Ask the postmaster")
    assert.strictEqual(Reply.message(reply), "No such user Ask the postmaster")
    assert.strictEqual(Reply.render(reply), "550 5.1.1 No such user / 5.1.1 Ask the postmaster")
  })

  it("make of no lines is one empty line", () => assert.deepStrictEqual(Reply.make(250, []).lines, [""]))

  it("make lets no line break through", () => {
    assert.deepStrictEqual(Reply.make(250, "a\r\n250 b\0\u007f\tc").lines, ["a  250 b  \tc"])
  })

  it("message leaves out codes as they were written, and only whole ones", () => {
    const message = (...lines: readonly [string, ...Array<string>]) =>
      Reply.message({ ...Reply.make(550, lines[0]), lines })
    assert.strictEqual(message("5.1.1 a", "5.1.1  b", "c "), "a b c")
    assert.strictEqual(message("5.01.1 a"), "a")
    assert.strictEqual(message("5.1.1 a", "5.1.10 b"), "a b")
    assert.strictEqual(message("5.1.1"), "")
    assert.strictEqual(message("5.1.1 a", "5.1.1x b"), "a 5.1.1x b")
    assert.strictEqual(message("a", "5.1.1 b"), "a 5.1.1 b")
  })

  it("render shows no control character", () => {
    assert.strictEqual(Reply.render({ code: 250, status: undefined, lines: ["a\u009b2J", "é"] }), "250 a\\x9b2J / é")
  })

  it("the first digit decides", () => {
    const kinds = [250, 354, 450, 550].map((code) => {
      const reply = Reply.make(code, "")
      return [Reply.isPositive(reply), Reply.isIntermediate(reply), Reply.isTransient(reply), Reply.isPermanent(reply)]
    })
    assert.deepStrictEqual(kinds, kinds.map((_, i) => [0, 1, 2, 3].map((j) => i === j)))
  })

  it("encode ends each line in CRLF", () => {
    assert.deepStrictEqual(Reply.encode(Reply.make(250, ["a", "", "é"])), utf8.encode("250-a\r\n250-\r\n250 é\r\n"))
  })
})
