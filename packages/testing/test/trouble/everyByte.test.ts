/**
 * One submission, broken everywhere: at every octet of both directions, in every reply, and in
 * the handshake; with DATA, and all at once with BDAT. Each case has one right outcome.
 */
import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import { Faults } from "@postern/testing"
import { attempt, framings, limits, measure, outcomeOf, parting, range, type Seen, sound } from "./submission.ts"

/** For a machine that does much else. */
const time = 60_000

type Case = () => Promise<void>

const run = async (what: string, cases: ReadonlyArray<Case>, expected: number): Promise<void> => {
  for (const one of cases) await one()
  console.log(`${what}: ${cases.length} cases`)
  assert.strictEqual(cases.length, expected)
}

/** Which limit ended it, and how long that was; the delivery in doubt says it in words. */
const timedOut = (seen: Seen): readonly [string, number] | undefined => {
  const reason = seen.error?.reason
  if (reason?._tag === "TimedOut") return [reason.step, reason.limit]
  if (reason?._tag !== "InDoubt") return undefined
  const seconds = /^no reply within (\d+) seconds$/.exec(reason.detail)?.[1]
  return seconds === undefined ? undefined : ["in doubt", Number(seconds) * 1000]
}

describe.each(framings)("a submission with %s, broken by a cut", (framing) => {
  const hows = ["reset", "close"] as const

  it("at every octet that is sent (462 and 470 cases)", async () => {
    const at = await measure(framing)
    const cases = hows.flatMap((how) =>
      range(at.sentOctets).map((n) => async () => {
        const what = `${how} after ${n} octets sent`
        const seen = await attempt(framing, [Faults.cut("sent", n, how)])
        sound(seen, what)
        assert.strictEqual(seen.outcome, outcomeOf(framing, seen, "ConnectionLost"), what)
        // Whoever has begun to write the last of the content cannot know how much of it arrived.
        const expected = n <= at.contentBegins ? "ConnectionLost" : n <= at.contentEnds ? "InDoubt" : "sent"
        assert.strictEqual(seen.outcome, expected, what)
        assert.strictEqual(seen.delivered, n < at.contentEnds ? 0 : 1, what)
        assert.strictEqual(seen.millis, 0, what)
      })
    )
    await run("cut at every octet sent", cases, framing === "DATA" ? 462 : 470)
  }, time)

  it("at every octet that is received (1138 and 1120 cases)", async () => {
    const at = await measure(framing)
    const cases = hows.flatMap((how) =>
      range(at.receivedOctets).map((n) => async () => {
        const what = `${how} after ${n} octets received`
        const seen = await attempt(framing, [Faults.cut("received", n, how)])
        sound(seen, what)
        assert.strictEqual(seen.outcome, outcomeOf(framing, seen, "ConnectionLost"), what)
        const expected = n < at.asked ? "ConnectionLost" : n < at.answered ? "InDoubt" : "sent"
        assert.strictEqual(seen.outcome, expected, what)
        // With what was waited for the connection is gone: the content finds nobody.
        assert.strictEqual(seen.delivered, n <= at.asked ? 0 : 1, what)
        assert.strictEqual(seen.millis, 0, what)
      })
    )
    await run("cut at every octet received", cases, framing === "DATA" ? 1138 : 1120)
  }, time)

  it("anywhere in content of several blocks: not sent before the last of them (60 and 50 cases)", async () => {
    const content = `${"x".repeat(62)}\n`.repeat(2500)
    const { writes } = await attempt(framing, [], {}, content)
    // Those of the content alone; with BDAT the envelope comes before the first of them.
    const begins = writes.findIndex((write) => write.startsWith("xxx"))
    const blocks = writes.slice(begins, -1)
    const offset = (i: number) => writes.slice(0, i).join("").length
    assert.isAbove(blocks.length, 2)
    assert.isTrue(blocks.slice(0, 2).every((block) => block.length >= 65_536))
    assert.strictEqual(blocks.join("").length, 2500 * 64 + (framing === "DATA" ? ".\r\n".length : 0))
    const ends = offset(writes.length - 1)
    const last = offset(writes.length - 2)
    const places = [...writes.slice(begins).map((_, i) => offset(begins + i)), offset(begins) + 1000].flatMap((place) =>
      [-2, -1, 0, 1, 2].map((d) => place + d)
    )
    const cases = hows.flatMap((how) =>
      places.map((n) => async () => {
        const what = `${how} after ${n} octets sent`
        const seen = await attempt(framing, [Faults.cut("sent", n, how)], {}, content)
        sound(seen, what)
        const expected = n < last ? "ConnectionLost" : n <= ends ? "InDoubt" : "sent"
        assert.strictEqual(seen.outcome, expected, what)
        assert.strictEqual(seen.delivered, n < ends ? 0 : 1, what)
      })
    )
    await run("cut in content of several blocks", cases, framing === "DATA" ? 60 : 50)
  }, time)
})

describe.each(framings)("a submission with %s, broken by silence", (framing) => {
  it("at every octet that is received: the time limit of the step ends it (569 and 560 cases)", async () => {
    const at = await measure(framing)
    const fired = new Set<string>()
    const cases = range(at.receivedOctets).map((n) => async () => {
      const what = `silence after ${n} octets received`
      const seen = await attempt(framing, [Faults.stall("received", n)])
      sound(seen, what)
      assert.strictEqual(seen.outcome, outcomeOf(framing, seen, "TimedOut"), what)
      const waitingFor = at.received.find(({ end }) => n < end)
      // The handshake begins where the reply to STARTTLS ends.
      const step = n === at.received[2]?.end ? "Handshake" : waitingFor?.step
      if (step === undefined) return assert.deepStrictEqual([seen.outcome, seen.millis], ["sent", 0], what)
      const limit = limits[step as keyof typeof limits]
      fired.add(step)
      // Exactly that time: nothing else is waited for.
      assert.strictEqual(seen.millis, limit, what)
      // From the write of the content to the reply to it.
      const doubtful = n >= at.asked && n < at.answered
      const expected = step === "Quit" ? undefined : [doubtful ? "in doubt" : step, limit]
      assert.deepStrictEqual(timedOut(seen), expected as never, what)
      assert.strictEqual(seen.outcome, step === "Quit" ? "sent" : doubtful ? "InDoubt" : "TimedOut", what)
      assert.strictEqual(seen.delivered, step === "Quit" || doubtful ? 1 : 0, what)
    })
    await run("silence at every octet received", cases, framing === "DATA" ? 569 : 560)
    assert.deepStrictEqual(
      [...fired],
      framing === "DATA"
        ? ["Greeting", "Ehlo", "StartTls", "Handshake", "Auth", "Mail", "Rcpt", "Data", "Content", "Quit"]
        : ["Greeting", "Ehlo", "StartTls", "Handshake", "Auth", "Mail", "Rcpt", "Bdat", "Quit"]
    )
  }, time)

  it("at every octet that is sent: so does the time limit of the write (231 and 235 cases)", async () => {
    const at = await measure(framing)
    const fired = new Set<string>()
    const cases = range(at.sentOctets).map((n) => async () => {
      const what = `silence after ${n} octets sent`
      const seen = await attempt(framing, [Faults.stall("sent", n)])
      sound(seen, what)
      assert.strictEqual(seen.outcome, outcomeOf(framing, seen, "TimedOut"), what)
      const writing = at.written.find(({ end }) => n < end)
      const step = n === at.written[1]?.end ? "Handshake" : writing?.step
      if (step === undefined) return assert.deepStrictEqual([seen.outcome, seen.millis], ["sent", 0], what)
      const limit = limits[step as keyof typeof limits]
      fired.add(step)
      // Who cannot write looks for last replies.
      const noReply = !(step === "Handshake" || step === "Quit")
      assert.strictEqual(seen.millis, limit + (noReply ? parting : 0), what)
      const doubtful = writing?.begin === at.contentBegins
      const expected = step === "Quit" ? undefined : [doubtful ? "in doubt" : step, limit]
      assert.deepStrictEqual(timedOut(seen), expected as never, what)
      assert.strictEqual(seen.delivered, step === "Quit" ? 1 : 0, what)
    })
    await run("silence at every octet sent", cases, framing === "DATA" ? 231 : 235)
    assert.deepStrictEqual(
      [...fired],
      framing === "DATA"
        ? ["Ehlo", "StartTls", "Handshake", "Auth", "Mail", "ContentBlock", "Quit"]
        : ["Ehlo", "StartTls", "Handshake", "Auth", "Mail", "Quit"]
    )
  }, time)
})

describe.each(framings)("a submission with %s, broken by what the server says", (framing) => {
  const codes = [421, 450, 451, 454, 500, 530, 535, 550, 554]

  // What it comes to, by the step that is answered so (the number counts those of its kind): 421, 4yz, 5yz, and
  // single codes that say something else there.
  const table: ReadonlyArray<
    readonly [string, number, string, string, string, { readonly [code: number]: string }?]
  > = [
    ["Greeting", 0, "ServiceClosing", "GreetingRefused", "GreetingRefused"],
    // Such a server may know HELO, but this one wants STARTTLS first.
    ["Ehlo", 0, "ServiceClosing", "TemporaryFailure", "CommandRefused", { 530: "AuthenticationRequired" }],
    ["StartTls", 0, "ServiceClosing", "TlsUnavailable", "TlsUnavailable"],
    // Behind HELO no mechanism is offered; a 530 or 554 is not about EHLO.
    ["Ehlo", 1, "ServiceClosing", "TemporaryFailure", "NoUsableMechanism", {
      530: "AuthenticationRequired",
      554: "CommandRefused"
    }],
    ["Auth", 0, "ServiceClosing", "AuthenticationFailed", "AuthenticationFailed"],
    ["Mail", 0, "ServiceClosing", "TemporaryFailure", "SenderRefused", { 530: "AuthenticationRequired" }],
    // The other recipient is refused as well: now there is none.
    ["Rcpt", 0, "ServiceClosing", "TemporaryFailure", "RecipientsRefused"],
    // Refused in other words.
    ["Rcpt", 1, "ServiceClosing", "sent", "sent"],
    ["Data", 0, "ServiceClosing", "TemporaryFailure", "ContentRefused", { 530: "AuthenticationRequired" }],
    ["Content", 0, "ServiceClosing", "TemporaryFailure", "ContentRefused", { 530: "AuthenticationRequired" }],
    // What is said behind the message changes nothing for it.
    ["Quit", 0, "sent", "sent", "sent"]
  ]

  it("in each reply: 421, 4yz or 5yz instead (99 and 90 cases)", async () => {
    // Who says BDAT says no DATA.
    const rows = table.filter(([step]) => framing === "DATA" || step !== "Data")
    const turnOf = (step: string) => framing === "BDAT" && step === "Content" ? "Bdat" : step
    const cases = rows.flatMap(([step, nth, closing, transient, permanent, others = {}]) =>
      codes.map((code) => async () => {
        const what = `${code} to ${step} ${nth}`
        let count = 0
        const seen = await attempt(framing, [], {
          reply: (turn) => turn._tag === turnOf(step) && count++ === nth ? Reply.make(code, "replaced") : undefined
        })
        sound(seen, what)
        assert.isAbove(count, nth, what)
        const expected = others[code] ?? (code === 421 ? closing : code < 500 ? transient : permanent)
        assert.strictEqual(seen.outcome, expected, what)
        assert.strictEqual(seen.delivered, expected === "sent" ? 1 : 0, what)
        if (seen.error !== undefined) assert.strictEqual(seen.error.retry, code < 500 ? "later" : "never", what)
      })
    )
    await run("each reply replaced", cases, framing === "DATA" ? 99 : 90)
  })

  /** Instead of a reply: nothing else comes behind it. */
  const instead = (what: Faults.Inserted) => (at: number): Faults.Plan => [
    Faults.insert("received", at, what),
    Faults.stall("received", at)
  ]
  /** And then the end. */
  const thenCut = (what: Faults.Inserted, how: "reset" | "close") => (at: number): Faults.Plan => [
    Faults.insert("received", at, what),
    Faults.cut("received", at, how)
  ]
  const garbage: ReadonlyArray<readonly [string, string, (at: number) => Faults.Plan]> = [
    ["no reply", "ProtocolViolation", instead("hello there\r\n")],
    ["HTTP", "ProtocolViolation", instead("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["an endless line", "ProtocolViolation", instead("250 ".padEnd(20_000, "x"))],
    ["an endless reply", "ProtocolViolation", instead("250-x\r\n".repeat(3000))],
    ["control characters", "ProtocolViolation", instead("250 \u0000\u0007\r\n")],
    ["binary", "ProtocolViolation", instead(Array.from({ length: 256 }, (_, i) => 255 - i))],
    ["another code within", "ProtocolViolation", instead("250-a\r\n251 b\r\n")],
    ["two digits", "ProtocolViolation", instead("25\r\n")],
    ["empty lines", "ProtocolViolation", instead("\r\n\r\n")],
    ["half a reply, then a reset", "ConnectionLost", thenCut("25", "reset")],
    ["half a reply, then the end", "ConnectionLost", thenCut("250-", "close")],
    ["half a line, and no more", "TimedOut", instead("250 but")]
  ]

  it("in each reply: garbage instead (132 and 120 cases)", async () => {
    const { answered, asked, received } = await measure(framing)
    const cases = garbage.flatMap(([name, lost, plan]) =>
      received.map(({ begin }, i) => async () => {
        const what = `${name} as reply ${i}`
        const seen = await attempt(framing, plan(begin))
        sound(seen, what)
        // Behind the 220 to STARTTLS it comes before the handshake: plaintext that somebody may have put there.
        const expected = i === 3
          ? "PlaintextInjected"
          : begin < asked
          ? lost
          : begin < answered
          ? "InDoubt"
          : "sent"
        assert.strictEqual(seen.outcome, expected, what)
        assert.strictEqual(seen.delivered, begin < asked ? 0 : 1, what)
      })
    )
    await run("garbage for each reply", cases, framing === "DATA" ? 132 : 120)
  })
})

describe("a submission, broken before it begins", () => {
  const failures: { readonly [P in Faults.TlsProblem]: string } = {
    "expired": "CertificateRefused",
    "not-yet-valid": "CertificateRefused",
    "wrong-name": "CertificateRefused",
    "unknown-ca": "CertificateRefused",
    "self-signed": "CertificateRefused",
    "wrong-fingerprint": "CertificateRefused",
    "revoked": "CertificateRefused",
    "other": "CertificateRefused",
    "handshake": "HandshakeFailed",
    "not-tls": "PlaintextInjected",
    "reset": "ConnectionLost",
    "close": "ConnectionLost",
    "silence": "TimedOut"
  }

  it("by the handshake, in each way (13 cases)", async () => {
    const cases = Object.entries(failures).map(([problem, expected]) => async () => {
      const seen = await attempt("DATA", [Faults.tlsFailure(problem as Faults.TlsProblem)])
      sound(seen, problem)
      assert.strictEqual(seen.outcome, expected, problem)
      assert.strictEqual(seen.millis, problem === "silence" ? limits.Handshake : 0, problem)
      // Not a word of the credentials, or of the message.
      assert.deepStrictEqual(seen.writes, ["EHLO client.example\r\n", "STARTTLS\r\n"], problem)
    })
    await run("each failure of the handshake", cases, 13)
  })

  it("by no connection, or a late one (5 cases)", async () => {
    const cases = ["ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH"].map((code) => async () => {
      const seen = await attempt("DATA", [Faults.refuse(code)])
      sound(seen, code)
      assert.deepStrictEqual([seen.outcome, seen.writes], ["ConnectionFailed", []], code)
    }).concat([9_999, 10_001].map((millis) => async () => {
      const seen = await attempt("DATA", [Faults.slowConnect(millis)])
      sound(seen, `${millis}`)
      assert.deepStrictEqual(
        [seen.outcome, seen.millis],
        millis < limits.Connect ? ["sent", millis] : ["TimedOut", limits.Connect]
      )
    }))
    await run("no connection", cases, 5)
  })
})
