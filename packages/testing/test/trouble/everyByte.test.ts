/**
 * One submission, broken everywhere: STARTTLS, AUTH PLAIN, two recipients of which one is
 * refused, content. What the client says of it is held against what the server knows.
 */
import { assert, describe, it } from "@effect/vitest"
import { Choose, Mechanism, Plain, Reply, SmtpClient, type SmtpError, Transport } from "@postern/core"
import { Faults, InMemory, type ServerMachine, VirtualTime } from "@postern/testing"
import { Clock, Effect, Redacted, Result } from "effect"
import { inspect } from "node:util"

const password = "tanstaaftanstaaf"
const message = {
  from: "ann@a.example",
  to: ["ben@b.example", "nobody@b.example"],
  content: "Subject: hello\n\nHello.\n.dots\n"
}

const config: ServerMachine.Config = {
  hostname: "mx.example",
  requireTls: true,
  requireAuth: true,
  mechanisms: [Plain.plain],
  accounts: { tim: Redacted.make(password) },
  unknownUsers: ["nobody@b.example"]
}

interface Seen {
  /** `sent`, or the reason why not. */
  readonly outcome: string
  readonly error: SmtpError.SmtpError | undefined
  /** Octets in each direction, of the client's view. */
  readonly octets: { readonly sent: number; readonly received: number }
  /** What was received. */
  readonly heard: string
  readonly delivered: number
  readonly open: number
  readonly millis: number
  /** All that somebody may see of it. */
  readonly traces: string
}

const attempt = (plan: Faults.Plan, server: ServerMachine.Config = config): Promise<Seen> =>
  Effect.runPromise(
    Effect.gen(function*() {
      const site = yield* InMemory.make(server)
      const octets = { sent: 0, received: 0 }
      let heard = ""
      const faulty = Faults.wrap(site.transport, plan)
      const counting: typeof faulty = {
        open: (peer) =>
          Effect.map(faulty.open(peer), (wire) => ({
            read: Effect.tap(wire.read, (bytes) =>
              Effect.sync(() => {
                octets.received += bytes.length
                heard += new TextDecoder("latin1").decode(bytes)
              })),
            write: (bytes) => {
              octets.sent += bytes.length
              return wire.write(bytes)
            },
            upgradeTls: wire.upgradeTls
          }))
      }
      const smtp = SmtpClient.layer({
        endpoint: "mx.example:587",
        security: "startTls",
        domain: "client.example",
        credentials: Mechanism.password("tim", Redacted.make(password)),
        authenticator: Choose.inOrder(Plain.plain)
      })
      const result = yield* Effect.flatMap(SmtpClient.SmtpClient, (client) => client.send(message)).pipe(
        Effect.provide(smtp),
        Effect.provideService(Transport.Transport, counting),
        Effect.result
      )
      const inbox = yield* site.inbox
      return {
        outcome: Result.isSuccess(result) ? "sent" : result.failure.reason._tag,
        error: Result.isFailure(result) ? result.failure : undefined,
        octets,
        heard,
        delivered: inbox.length,
        open: yield* site.open,
        millis: yield* Clock.currentTimeMillis,
        traces: inspect(result, { depth: 20 })
      }
    }).pipe(Effect.provide(VirtualTime.layer()))
  )

const secrets = [password, btoa(`\0tim\0${password}`), Buffer.from(password).toString("hex"), btoa(password)]

// What holds in every case.
const sound = (seen: Seen, what: string): void => {
  assert.strictEqual(seen.open, 0, `${what}: the connection is closed`)
  for (const secret of secrets) assert.isFalse(seen.traces.includes(secret), `${what}: nothing leaks`)
  if (seen.outcome === "sent") assert.strictEqual(seen.delivered, 1, `${what}: sent is sent`)
  else if (seen.outcome !== "InDoubt") assert.strictEqual(seen.delivered, 0, `${what}: ${seen.outcome} is not sent`)
  assert.isAtMost(seen.delivered, 1)
  if (seen.error?.reason._tag === "InDoubt") {
    assert.deepStrictEqual(seen.error.reason.recipients, ["<ben@b.example>"], what)
    assert.strictEqual(seen.error.retry, "in doubt")
  }
}

/** What one message takes, up to and with what: found by running it whole. */
const measure = async () => {
  const whole = await attempt([])
  const quit = "QUIT\r\n".length
  const content = "Subject: hello\r\n\r\nHello.\r\n..dots\r\n.\r\n".length
  const [accepted, bye] = ["250 2.0.0 Ok: queued as 1\r\n", "221 2.0.0 Bye\r\n"].map(({ length }) => length)
  return {
    sent: whole.octets.sent,
    received: whole.octets.received,
    /** The last octet of the content. */
    contentEnds: whole.octets.sent - quit,
    contentBegins: whole.octets.sent - quit - content,
    /** The last octet of the reply to it. */
    answered: whole.octets.received - (bye ?? 0),
    asked: whole.octets.received - (bye ?? 0) - (accepted ?? 0)
  }
}

const count = async (cases: ReadonlyArray<() => Promise<void>>): Promise<number> => {
  for (const one of cases) await one()
  return cases.length
}

const range = (to: number): ReadonlyArray<number> => Array.from({ length: to + 1 }, (_, i) => i)

describe("a submission, broken", () => {
  it("nowhere, is sent", async () => {
    const seen = await attempt([])
    sound(seen, "whole")
    assert.deepStrictEqual([seen.outcome, seen.delivered], ["sent", 1])
  })

  it("by a cut at every octet that is sent", async () => {
    const at = await measure()
    const ran = await count((["reset", "close"] as const).flatMap((how) =>
      range(at.sent).map((n) => async () => {
        const what = `${how} after ${n} octets sent`
        const seen = await attempt([Faults.cut("sent", n, how)])
        sound(seen, what)
        // The server takes the message with the last octet of its content; what becomes of QUIT is nobody's business.
        if (n < at.contentEnds) {
          assert.include(["ConnectionLost", "InDoubt"], seen.outcome, what)
          if (n <= at.contentBegins) assert.strictEqual(seen.outcome, "ConnectionLost", what)
          assert.strictEqual(seen.delivered, 0, what)
        } else if (n === at.contentEnds) {
          assert.deepStrictEqual([seen.outcome, seen.delivered], ["InDoubt", 1], what)
        } else assert.strictEqual(seen.outcome, "sent", what)
      })
    ))
    console.log(`cut at every octet sent: ${ran} cases`)
    assert.strictEqual(ran, 2 * (at.sent + 1))
  })

  it("by a cut at every octet that is received", async () => {
    const at = await measure()
    const ran = await count((["reset", "close"] as const).flatMap((how) =>
      range(at.received).map((n) => async () => {
        const what = `${how} after ${n} octets received`
        const seen = await attempt([Faults.cut("received", n, how)])
        sound(seen, what)
        if (n < at.asked) assert.deepStrictEqual([seen.outcome, seen.delivered], ["ConnectionLost", 0], what)
        else if (n < at.answered) assert.deepStrictEqual([seen.outcome, seen.delivered], ["InDoubt", 1], what)
        else assert.deepStrictEqual([seen.outcome, seen.delivered], ["sent", 1], what)
      })
    ))
    console.log(`cut at every octet received: ${ran} cases`)
    assert.strictEqual(ran, 2 * (at.received + 1))
  })

  it("by silence at every octet, until a time limit of RFC 5321 §4.5.3.2 ends it", async () => {
    const at = await measure()
    const limits = new Set<string>()
    const ran = await count([
      ...range(at.received).map((n) => async () => {
        const what = `silence after ${n} octets received`
        const seen = await attempt([Faults.stall("received", n)])
        sound(seen, what)
        const { reason } = seen.error ?? {}
        if (n < at.asked) {
          assert.strictEqual(reason?._tag, "TimedOut", what)
          if (reason?._tag === "TimedOut") {
            limits.add(`${reason.step} ${reason.limit}`)
            // No reply came, and QUIT was not said: no other time passes.
            assert.strictEqual(seen.millis, reason.limit, what)
          }
        } else if (n < at.answered) {
          assert.strictEqual(reason?._tag, "InDoubt", what)
          assert.strictEqual(seen.millis, 600_000, what)
        } else assert.strictEqual(seen.outcome, "sent", what)
      }),
      ...range(at.sent).map((n) => async () => {
        const what = `silence after ${n} octets sent`
        const seen = await attempt([Faults.stall("sent", n)])
        sound(seen, what)
        if (n <= at.contentBegins) assert.strictEqual(seen.outcome, "TimedOut", what)
        else if (n < at.contentEnds) assert.include(["TimedOut", "InDoubt"], seen.outcome, what)
        // All of it arrived, though the write does not end: the reply is there when the limit is over.
        else assert.deepStrictEqual([seen.outcome, seen.delivered], ["sent", 1], what)
        assert.isAtLeast(seen.millis, n <= at.contentEnds ? 120_000 : 0, what)
      })
    ])
    console.log(`silence at every octet: ${ran} cases; ${[...limits].join(", ")}`)
    assert.strictEqual(ran, at.received + at.sent + 2)
    assert.isAtLeast(limits.size, 5)
  })

  const steps = ["Greeting", "Ehlo", "StartTls", "Auth", "Mail", "Rcpt", "Data", "Content"] as const

  it("by each reply replaced with 421, 4yz and 5yz", async () => {
    const table: Array<string> = []
    const cases = steps.flatMap((step) =>
      [421, 450, 451, 454, 500, 530, 535, 550, 554].map((code) => async () => {
        const what = `${code} to ${step}`
        let replaced = false
        const seen = await attempt([], {
          ...config,
          reply: (turn) => {
            if (replaced || turn._tag !== step) return undefined
            replaced = true
            return Reply.make(code, "replaced")
          }
        })
        sound(seen, what)
        assert.isTrue(replaced, what)
        assert.notStrictEqual(seen.outcome, "InDoubt", `${what}: a reply is an answer`)
        if (code === 421) assert.strictEqual(seen.outcome, "ServiceClosing", what)
        // EHLO gives way to HELO, after which there is no TLS; a recipient refused leaves none here.
        else assert.notStrictEqual(seen.outcome, "sent", what)
        assert.strictEqual(seen.delivered, 0, what)
        if (code !== 421 && code < 500 && step !== "StartTls" && step !== "Ehlo") {
          assert.notStrictEqual(seen.error?.retry, "never", `${what}: for now is not for ever`)
        }
        table.push(`${step} ${code}: ${seen.outcome}`)
      })
    )
    const ran = await count(cases)
    console.log(`each reply replaced: ${ran} cases`)
    assert.strictEqual(ran, steps.length * 9)
    assert.include(table, "Content 554: ContentRefused")
    assert.include(table, "Mail 550: SenderRefused")
  })

  it("by garbage in place of each reply", async () => {
    const instead = (name: string, text: string) =>
      [name, Faults.insert("received", 0, text), Faults.stall("received", 0)] as const
    const garbage: ReadonlyArray<readonly [string, ...Faults.Plan]> = [
      instead("no reply", "hello there\r\n"),
      instead("HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n"),
      instead("endless line", "250 ".padEnd(20_000, "x")),
      instead("endless reply", "250-x\r\n".repeat(3000)),
      instead("control characters", "250 \u0000\u0007\r\n"),
      instead("another code within", "250-a\r\n251 b\r\n"),
      ["half a reply", Faults.insert("received", 0, "25"), Faults.cut("received", 0)]
    ]
    const { heard } = await attempt([])
    // A reply begins behind a line that is no continuation.
    const begins = [0, ...[...heard.matchAll(/^\d{3} .*\r\n/gm)].map((last) => last.index + last[0].length)].slice(
      0,
      -1
    )
    // Greeting, EHLO, STARTTLS, EHLO, AUTH, MAIL, RCPT twice, DATA, content, QUIT.
    assert.strictEqual(begins.length, 11)
    const ran = await count(garbage.flatMap(([name, ...faults]) =>
      begins.map((at, step) => async () => {
        const what = `${name} as reply ${step}`
        const seen = await attempt(faults.map((fault) => ({ ...fault, at })))
        sound(seen, what)
        const lost = name === "half a reply" ? "ConnectionLost" : "ProtocolViolation"
        // Behind the 220 to STARTTLS it comes before the handshake: as plaintext that somebody may have put there.
        const expected = step === 3 ? "PlaintextInjected" : step < 9 ? lost : step === 9 ? "InDoubt" : "sent"
        assert.strictEqual(seen.outcome, expected, what)
        assert.strictEqual(seen.delivered, step < 9 ? 0 : 1, what)
      })
    ))
    console.log(`garbage: ${ran} cases`)
    assert.strictEqual(ran, 77)
  })
})
