import { assert, describe, it } from "@effect/vitest"
import { Transport } from "@postern/core"
import { Replay } from "@postern/testing"
import { Effect } from "effect"
import { imported, log, these } from "./logs.ts"

const decoder = new TextDecoder()

/** What the client of a log did, said once more by hand: each array is written at once, and each line answered. */
type Step = ReadonlyArray<string> | "tls" | "close"

const play = (steps: ReadonlyArray<Step>, peer: Transport.Peer) =>
  Effect.scoped(Effect.gen(function*() {
    const transport = yield* Transport.Transport
    const wire = yield* transport.open(peer)
    const codes: Array<string> = []
    const replies = Effect.fnUntraced(function*(count: number) {
      for (let left = count; left > 0;) {
        for (const line of decoder.decode(yield* wire.read).split("\r\n")) {
          if (!/^\d{3} /.test(line)) continue
          codes.push(line.slice(0, 3))
          left--
        }
      }
    })
    for (const step of steps) {
      if (step === "tls") yield* wire.upgradeTls({ serverName: peer.host })
      else if (step !== "close") {
        if (step.length > 0) yield* wire.write(new TextEncoder().encode(step.map((line) => `${line}\r\n`).join("")))
        yield* replies(Math.max(1, step.length))
      }
    }
    return codes.join(" ")
  }))

describe("Import, replayed", () => {
  const greeting: Step = []
  const EHLO: Step = ["EHLO client.example.org"]
  const MAIL = "MAIL FROM:<ann@example.org>"
  const RCPT = "RCPT TO:<ben@example.net>"
  const content: Step = ["Subject: anything\r\n\r\nat all\r\n."]
  const right = btoa("\0ann@example.org\0correct horse 7")
  const wrong = btoa("\0ann@example.org\0wrong pony 8")
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<Step>, string]> = [
    [
      "swaks-plain",
      [greeting, EHLO, [MAIL], [RCPT], ["RCPT TO:<nobody@example.net>"], ["DATA"], content, ["QUIT"]],
      "220 250 250 250 550 354 250 221"
    ],
    [
      "swaks-starttls-auth",
      [greeting, EHLO, ["STARTTLS"], "tls", EHLO, [`AUTH PLAIN ${right}`], [MAIL], [RCPT], ["DATA"], content, ["QUIT"]],
      "220 250 220 250 235 250 250 354 250 221"
    ],
    ["swaks-rejected", [greeting, EHLO, [`AUTH PLAIN ${wrong}`], ["QUIT"]], "220 250 535 221"],
    [
      "swaks-plaintext-login",
      [
        ...these(greeting, EHLO, ["AUTH LOGIN"], [btoa("ann@example.org")], [btoa("correct horse 7")], [MAIL], [RCPT]),
        ...these(["DATA"], content, ["QUIT"])
      ],
      "220 250 334 334 235 250 250 354 250 221"
    ],
    [
      "curl-starttls-auth",
      [
        ...these<Step>(greeting, EHLO, ["STARTTLS"], "tls", EHLO, ["AUTH PLAIN"], [right], [`${MAIL} SIZE=108`], [
          RCPT
        ]),
        ...these(["DATA"], content)
      ],
      "220 250 220 250 334 235 250 250 354 250"
    ],
    [
      "nodemailer-login",
      [greeting, EHLO, ["AUTH LOGIN"], [btoa("ann@example.org")], ["YW55dGhpbmc="], [MAIL, RCPT, "DATA"], content],
      "220 250 334 334 235 250 250 354 250"
    ],
    [
      "mailkit-starttls-auth",
      [
        ...these<Step>(greeting, EHLO, ["STARTTLS"], "tls", EHLO, ["AUTH PLAIN YW55dGhpbmc="], [MAIL], [RCPT]),
        ...these([`BDAT 73 LAST\r\n${"x".repeat(71)}`], ["QUIT"])
      ],
      "220 250 220 250 235 250 250 250 221"
    ]
  ]

  it.effect.each(cases)("%s", ([name, steps, codes]) =>
    Effect.gen(function*() {
      const recording = imported(log(name))
      const peer = recording.header.endpoint ?? { host: "", port: 0 }
      // Content that the log does not have is any; that which it has is not what is sent here.
      const known = recording.events.some((event) => event._tag === "ContentSent" && event.sha256 !== undefined)
      assert.strictEqual(yield* Replay.run(recording, play(steps, peer), { lenient: known ? ["content"] : [] }), codes)
    }))

  it.effect("a client that says something else departs", () =>
    Effect.gen(function*() {
      const recording = imported(log("swaks-rejected"))
      const other = play([greeting, ["EHLO other.example.org"]], { host: "localhost", port: 2526 })
      const departure = yield* Effect.flip(Replay.run(recording, other))
      assert.match(departure.message, /- EHLO client.example.org/)
    }))

  it.effect("a connection that failed fails again", () =>
    Effect.gen(function*() {
      for (const name of ["swaks-no-server", "curl-no-server", "nodemailer-no-server"]) {
        const recording = imported(log(name))
        const failure = yield* Effect.flip(
          Replay.run(recording, play([], recording.header.endpoint ?? { host: "", port: 0 }))
        )
        const reason = failure instanceof Transport.TransportError ? failure.reason : undefined
        assert.deepStrictEqual([reason?._tag, reason?._tag === "ConnectFailed" && reason.code], [
          "ConnectFailed",
          "ECONNREFUSED"
        ])
      }
    }))
})
