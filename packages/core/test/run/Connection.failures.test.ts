import { assert, describe, it } from "@effect/vitest"
import { type Reason, Reply } from "@postern/core"
import { Effect } from "effect"
import {
  accepted,
  type Answered,
  ends,
  failure,
  hears,
  hearsBytes,
  interjects,
  quits,
  resets,
  says,
  saysBytes,
  single,
  type Step,
  submission,
  success,
  talk,
  type TalkOptions,
  until
} from "./scripted.ts"

const submit = (script: ReadonlyArray<Step>, options?: TalkOptions) =>
  talk(script, (connection) => connection.run(submission()), options)

/** The step that an error names, and the phase, for each answer that the server owes. */
const steps: ReadonlyArray<readonly [Answered, step: string, phase: string]> = [
  ["Greeting", "Greeting", "greeting"],
  ["Ehlo", "Ehlo", "hello"],
  ["StartTls", "StartTls", "tls"],
  ["EhloAgain", "Ehlo", "hello"],
  ["Auth", "Auth", "authentication"],
  ["Mail", "Mail", "envelope"],
  ["Rcpt", "Rcpt", "envelope"],
  ["Data", "Data", "envelope"],
  ["Content", "Content", "content"]
]

describe("the script itself", () => {
  it.effect("is followed to its end by a submission in good order, in any chunking", () =>
    Effect.gen(function*() {
      for (const chunk of [undefined, single]) {
        const talked = yield* submit([...until("Content"), says("250 2.0.0 queued"), ...quits], { chunk })
        assert.deepStrictEqual(success(talked).outcomes.map(({ _tag }) => _tag), ["Accepted", "Refused", "Accepted"])
        assert.strictEqual(talked.seen.writes.at(-1), "QUIT\r\n")
        assert.strictEqual(talked.seen.closed, 1)
      }
    }))

  it.effect("fails readably when the client departs from it", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(submit([says("220 hi"), hears("EHLO somebody.else"), says("250 hi")]))
      assert.include(String(exit), "EHLO somebody.else")
      const more = yield* Effect.exit(submit([...until("Content"), says("250 queued")]))
      assert.include(String(more), "it says more")
      const less = yield* Effect.exit(talk(until("Ehlo"), () => Effect.void))
      assert.include(String(less), "it stops here")
    }))
})

describe("421 at any step", () => {
  for (const [answered, step, phase] of steps) {
    it.effect(`${answered}: nothing more is written, no QUIT`, () =>
      Effect.gen(function*() {
        // The script is over after the 421: whatever were written then would be a departure.
        const talked = yield* submit([...until(answered), says("421 4.3.2 shutting down")])
        const { message, phase: where, reason, retry } = failure(talked)
        const reply = Reply.make(421, "shutting down", "4.3.2")
        assert.deepStrictEqual<Reason.Reason>(reason, { _tag: "ServiceClosing", step, reply })
        assert.strictEqual(where, phase)
        assert.strictEqual(retry, "later")
        assert.include(message, "421 4.3.2 shutting down")
        assert.notInclude(talked.seen.writes, "QUIT\r\n")
      }))
  }

  it.effect("that came behind a reply, before the next command", () =>
    Effect.gen(function*() {
      const { reason } = failure(yield* submit([says("220 hi", "421 4.3.2 idle for too long")]))
      assert.deepStrictEqual<Reason.Reason>(reason, {
        _tag: "ServiceClosing",
        step: "idle",
        reply: Reply.make(421, "idle for too long", "4.3.2")
      })
    }))

  it.effect("that came in a segment of its own, and then the end: the command finds nobody", () =>
    Effect.gen(function*() {
      const idle = [...until("Mail").slice(0, -1), interjects("421 4.4.2 idle for too long\r\n"), ends]
      const { reason } = failure(yield* submit(idle))
      assert.deepStrictEqual<Reason.Reason>(reason, {
        _tag: "ServiceClosing",
        step: "Mail",
        reply: Reply.make(421, "idle for too long", "4.4.2")
      })
    }))
})

describe("the connection ends", () => {
  for (
    const [how, end, detail] of [["EOF", ends, "the server closed the connection"], [
      "reset",
      resets,
      "reset by peer"
    ]] as const
  ) {
    for (const [answered, step, phase] of steps) {
      it.effect(`${how} instead of an answer to ${answered}`, () =>
        Effect.gen(function*() {
          const { reason, phase: where, retry } = failure(yield* submit([...until(answered), end]))
          if (answered === "Content") {
            assert.deepStrictEqual<Reason.Reason>(reason, { _tag: "InDoubt", recipients: accepted, detail })
            assert.strictEqual(retry, "in doubt")
          } else {
            assert.deepStrictEqual<Reason.Reason>(reason, { _tag: "ConnectionLost", step, detail })
            assert.strictEqual(retry, "now")
          }
          assert.strictEqual(where, phase)
        }))

      it.effect(`${how} in the middle of an answer to ${answered}`, () =>
        Effect.gen(function*() {
          const { reason } = failure(yield* submit([...until(answered), saysBytes("250-one\r\n250-\u001b[2J"), end]))
          // It may hold half of a secret.
          const shown = answered === "Auth" ? "<redacted>" : "250-one\\r\\n250-\\x1b[2J"
          const begun = `${detail}, in the middle of a reply: "${shown}"`
          assert.deepStrictEqual<Reason.Reason>(
            reason,
            answered === "Content"
              ? { _tag: "InDoubt", recipients: accepted, detail: begun }
              : { _tag: "ConnectionLost", step, detail: begun }
          )
        }))
    }
  }

  it.effect("before a command is written", () =>
    Effect.gen(function*() {
      const { reason } = failure(yield* submit([...until("Mail").slice(0, -1), ends]))
      assert.deepStrictEqual<Reason.Reason>(reason, { _tag: "ConnectionLost", step: "Mail", detail: "broken pipe" })
    }))
})

const block = 65_536
const long = "x".repeat(76) + "\r\n"
/** Content of three blocks and a bit. */
const large = long.repeat(Math.ceil(3 * block / long.length))
const encoded = `${large}.\r\n`
const begun = (octets: number): ReadonlyArray<Step> => [
  ...until("Content").slice(0, -1),
  ...octets === 0 ? [] : [hearsBytes(encoded.slice(0, octets))]
]
const submitLarge = (script: ReadonlyArray<Step>) => talk(script, (connection) => connection.run(submission(large)))

describe("content that is cut", () => {
  it.effect("arrives whole in good order", () =>
    Effect.gen(function*() {
      success(yield* submitLarge([...begun(encoded.length), says("250 queued"), ...quits]))
    }))

  for (const blocks of [0, 1, 2]) {
    it.effect(`after ${blocks} blocks: cannot have been accepted`, () =>
      Effect.gen(function*() {
        for (const end of [ends, resets]) {
          const { reason } = failure(yield* submitLarge([...begun(blocks * block), end]))
          assert.deepStrictEqual<Reason.Reason>(reason, {
            _tag: "ConnectionLost",
            step: "Content",
            detail: "broken pipe"
          })
        }
      }))
  }

  it.effect("in its last block: in doubt", () =>
    Effect.gen(function*() {
      for (const end of [ends, resets]) {
        const { reason } = failure(yield* submitLarge([...begun(3 * block), end]))
        assert.deepStrictEqual<Reason.Reason>(reason, { _tag: "InDoubt", recipients: accepted, detail: "broken pipe" })
      }
    }))

  for (const [where, octets] of [["first", 0], ["second", block], ["last", 3 * block]] as const) {
    it.effect(`with a refusal before the ${where} block: the refusal explains it`, () =>
      Effect.gen(function*() {
        const refusedBy = (line: string) =>
          Effect.map(submitLarge([...begun(octets), interjects(`${line}\r\n`), resets]), (talked) =>
            failure(talked).reason)
        const size = yield* refusedBy("552 5.3.4 message size exceeds the limit")
        assert.strictEqual(size._tag, "TooLarge")
        assert.strictEqual(size._tag === "TooLarge" ? size.reply?.code : 0, 552)
        assert.strictEqual((yield* refusedBy("554 5.7.1 this is spam"))._tag, "ContentRefused")
        assert.strictEqual((yield* refusedBy("421 4.3.0 no"))._tag, "ServiceClosing")
      }))
  }

  it.effect("by a yes: it counts only when the last block is on its way", () =>
    Effect.gen(function*() {
      const early = failure(yield* submitLarge([...begun(block), interjects("250 ok\r\n"), resets]))
      assert.strictEqual(early.reason._tag, "ConnectionLost")
      assert.strictEqual(
        success(yield* submitLarge([...begun(3 * block), interjects("250 ok\r\n"), resets])).reply.code,
        250
      )
    }))

  it.effect("a reply to content that is none: in doubt", () =>
    Effect.gen(function*() {
      const { reason } = failure(yield* submit([...until("Content"), saysBytes("what?\r\n")]))
      assert.deepStrictEqual<Reason.Reason>(reason, {
        _tag: "InDoubt",
        recipients: accepted,
        detail: "the reply was not understood: \"what?\""
      })
    }))
})

describe("a server that leaves the protocol", () => {
  const nonsense: ReadonlyArray<readonly [string, string, received: string]> = [
    ["garbage", "\u0000\u0001\\\u001b[2J\r\n", "\\x00\\x01\\\\\\x1b[2J"],
    ["HTTP", "HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1 400 Bad Request"],
    ["another code within a reply", "250-one\r\n251 two\r\n", "251 two"],
    ["a code of four digits", "2500 ok\r\n", "2500 ok"],
    ["a control character", "250 o\u0007k\r\n", "250 o\\x07k"],
    ["an empty line", "\r\n", ""]
  ]
  for (const [name, bytes, received] of nonsense) {
    for (const chunk of [undefined, single]) {
      it.effect(`${name}${chunk === undefined ? "" : ", octet by octet"}`, () =>
        Effect.gen(function*() {
          for (const [answered, step] of steps) {
            if (answered === "Content") continue
            const { reason, fault } = failure(yield* submit([...until(answered), saysBytes(bytes)], { chunk }))
            assert.strictEqual(fault, "server")
            if (answered === "Auth") {
              // What answers a secret may hold it.
              assert.strictEqual(reason._tag, "ProtocolViolation")
              continue
            }
            assert.deepInclude(reason, { _tag: "ProtocolViolation", step, received })
          }
        }))
    }
  }

  it.effect("an endless line, and an endless reply", () =>
    Effect.gen(function*() {
      const endless = (bytes: string) =>
        Effect.map(submit([...until("Ehlo"), saysBytes(bytes)]), (talked) => failure(talked).reason)
      const line = yield* endless("250 ".padEnd(20_000, "x"))
      assert.deepInclude(line, { _tag: "ProtocolViolation", expected: "a reply (line too long)" })
      assert.isBelow(JSON.stringify(line).length, 300)
      assert.deepInclude(yield* endless("250-x\r\n".repeat(2000)), { expected: "a reply (too many lines)" })
      assert.deepInclude(yield* endless(`250-${"x".repeat(10_000)}\r\n`.repeat(100)), {
        expected: "a reply (reply too long)"
      })
    }))

  it.effect("a reply to a command that was never sent is not taken for the answer to the next", () =>
    Effect.gen(function*() {
      const { reason } = failure(yield* submit([says("220 hi", "250 hello to you too")]))
      assert.deepStrictEqual<Reason.Reason>(reason, {
        _tag: "ProtocolViolation",
        step: "Ehlo",
        expected: "silence until the next command",
        received: "250 hello to you too"
      })
      const half = failure(yield* submit([saysBytes("220 hi\r\n250-hel")])).reason
      assert.deepInclude(half, { _tag: "ProtocolViolation", received: "250-hel" })
    }))

  it.effect("a success that does not fit the step", () =>
    Effect.gen(function*() {
      const { reason } = failure(
        yield* submit([...until("Data"), says("250 fine, go on"), hears("RSET"), says("250 ok"), ...quits])
      )
      assert.deepInclude(reason, { _tag: "ProtocolViolation", step: "Data" })
    }))
})
