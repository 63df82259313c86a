/**
 * One submission, broken everywhere: at every octet of both directions, in every reply, and in
 * the handshake. Each case has one right outcome.
 */
import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import { Faults } from "@postern/testing"
import { attempt, limits, measure, outcomeOf, parting, range, type Seen, sound } from "./submission.ts"

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

describe("a submission, broken by a cut", () => {
  const hows = ["reset", "close"] as const

  it("at every octet that is sent (462 cases)", async () => {
    const at = await measure()
    const cases = hows.flatMap((how) =>
      range(at.sentOctets).map((n) => async () => {
        const what = `${how} after ${n} octets sent`
        const seen = await attempt([Faults.cut("sent", n, how)])
        sound(seen, what)
        assert.strictEqual(seen.outcome, outcomeOf(seen, "ConnectionLost"), what)
        // Whoever has begun to write the last of the content cannot know how much of it arrived.
        const expected = n <= at.contentBegins ? "ConnectionLost" : n <= at.contentEnds ? "InDoubt" : "sent"
        assert.strictEqual(seen.outcome, expected, what)
        assert.strictEqual(seen.delivered, n < at.contentEnds ? 0 : 1, what)
        assert.strictEqual(seen.millis, 0, what)
      })
    )
    await run("cut at every octet sent", cases, 462)
  }, time)

  it("at every octet that is received (1194 cases)", async () => {
    const at = await measure()
    const cases = hows.flatMap((how) =>
      range(at.receivedOctets).map((n) => async () => {
        const what = `${how} after ${n} octets received`
        const seen = await attempt([Faults.cut("received", n, how)])
        sound(seen, what)
        assert.strictEqual(seen.outcome, outcomeOf(seen, "ConnectionLost"), what)
        const expected = n < at.asked ? "ConnectionLost" : n < at.answered ? "InDoubt" : "sent"
        assert.strictEqual(seen.outcome, expected, what)
        // With the 354 read the connection is gone: the content finds nobody.
        assert.strictEqual(seen.delivered, n <= at.asked ? 0 : 1, what)
        assert.strictEqual(seen.millis, 0, what)
      })
    )
    await run("cut at every octet received", cases, 1194)
  }, time)

  it("anywhere in content of several blocks: not sent before the last of them (42 cases)", async () => {
    const at = await measure()
    const block = 65_536
    const content = `${"x".repeat(62)}\n`.repeat(2500)
    const length = 2500 * 64 + ".\r\n".length
    // SIZE= has more digits.
    const begins = at.contentBegins + `${length - 3}`.length - "33".length
    const last = begins + Math.floor(length / block) * block
    const places = [begins, begins + block, last, begins + length].flatMap((place) =>
      [-2, -1, 0, 1, 2].map((d) => place + d)
    )
      .concat(begins + 1000)
    const cases = hows.flatMap((how) =>
      places.map((n) => async () => {
        const what = `${how} after ${n} octets sent`
        const seen = await attempt([Faults.cut("sent", n, how)], {}, content)
        sound(seen, what)
        const expected = n < last ? "ConnectionLost" : n <= begins + length ? "InDoubt" : "sent"
        assert.strictEqual(seen.outcome, expected, what)
        assert.strictEqual(seen.delivered, n < begins + length ? 0 : 1, what)
      })
    )
    await run("cut in content of several blocks", cases, 42)
  }, time)
})

describe("a submission, broken by silence", () => {
  it("at every octet that is received: the time limit of the step ends it (597 cases)", async () => {
    const at = await measure()
    const fired = new Set<string>()
    const cases = range(at.receivedOctets).map((n) => async () => {
      const what = `silence after ${n} octets received`
      const seen = await attempt([Faults.stall("received", n)])
      sound(seen, what)
      assert.strictEqual(seen.outcome, outcomeOf(seen, "TimedOut"), what)
      const waitingFor = at.received.find(({ end }) => n < end)
      // The handshake begins where the reply to STARTTLS ends.
      const step = n === at.received[2]?.end ? "Handshake" : waitingFor?.step
      if (step === undefined) return assert.deepStrictEqual([seen.outcome, seen.millis], ["sent", 0], what)
      const limit = limits[step as keyof typeof limits]
      fired.add(step)
      // Exactly that time: nothing else is waited for.
      assert.strictEqual(seen.millis, limit, what)
      const expected = step === "Quit" ? undefined : [step === "Content" ? "in doubt" : step, limit]
      assert.deepStrictEqual(timedOut(seen), expected as never, what)
      assert.strictEqual(seen.outcome, step === "Quit" ? "sent" : step === "Content" ? "InDoubt" : "TimedOut", what)
      assert.strictEqual(seen.delivered, step === "Quit" || step === "Content" ? 1 : 0, what)
    })
    await run("silence at every octet received", cases, 597)
    assert.deepStrictEqual(
      [...fired],
      ["Greeting", "Ehlo", "StartTls", "Handshake", "Auth", "Mail", "Rcpt", "Data", "Content", "Quit"]
    )
  }, time)

  it("at every octet that is sent: so does the time limit of the write (231 cases)", async () => {
    const at = await measure()
    const fired = new Set<string>()
    const cases = range(at.sentOctets).map((n) => async () => {
      const what = `silence after ${n} octets sent`
      const seen = await attempt([Faults.stall("sent", n)])
      sound(seen, what)
      assert.strictEqual(seen.outcome, outcomeOf(seen, "TimedOut"), what)
      const writing = at.written.find(({ end }) => n < end)
      const step = n === at.written[1]?.end ? "Handshake" : writing?.step
      if (step === undefined) return assert.deepStrictEqual([seen.outcome, seen.millis], ["sent", 0], what)
      const limit = limits[step as keyof typeof limits]
      fired.add(step)
      // Who cannot write looks for a last reply; to the MAIL of the group there is one.
      const noReply = !(step === "Handshake" || step === "Quit" || (step === "Mail" && n >= at.mailEnds))
      assert.strictEqual(seen.millis, limit + (noReply ? parting : 0), what)
      const expected = step === "Quit" ? undefined : [step === "ContentBlock" ? "in doubt" : step, limit]
      assert.deepStrictEqual(timedOut(seen), expected as never, what)
      assert.strictEqual(seen.delivered, step === "Quit" ? 1 : 0, what)
    })
    await run("silence at every octet sent", cases, 231)
    assert.deepStrictEqual(
      [...fired],
      ["Ehlo", "StartTls", "Handshake", "Auth", "Mail", "Data", "ContentBlock", "Quit"]
    )
  }, time)
})

describe("a submission, broken by what the server says", () => {
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

  it("in each reply: 421, 4yz or 5yz instead (99 cases)", async () => {
    const cases = table.flatMap(([step, nth, closing, transient, permanent, others = {}]) =>
      codes.map((code) => async () => {
        const what = `${code} to ${step} ${nth}`
        let count = 0
        const seen = await attempt([], {
          reply: (turn) => turn._tag === step && count++ === nth ? Reply.make(code, "replaced") : undefined
        })
        sound(seen, what)
        assert.isAbove(count, nth, what)
        const expected = others[code] ?? (code === 421 ? closing : code < 500 ? transient : permanent)
        assert.strictEqual(seen.outcome, expected, what)
        assert.strictEqual(seen.delivered, expected === "sent" ? 1 : 0, what)
        if (seen.error !== undefined) assert.strictEqual(seen.error.retry, code < 500 ? "later" : "never", what)
      })
    )
    await run("each reply replaced", cases, 99)
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

  it("in each reply: garbage instead (132 cases)", async () => {
    const { received } = await measure()
    const cases = garbage.flatMap(([name, lost, plan]) =>
      received.map(({ begin }, i) => async () => {
        const what = `${name} as reply ${i}`
        const seen = await attempt(plan(begin))
        sound(seen, what)
        // Behind the 220 to STARTTLS it comes before the handshake: plaintext that somebody may have put there.
        const expected = i === 3 ? "PlaintextInjected" : i < 9 ? lost : i === 9 ? "InDoubt" : "sent"
        assert.strictEqual(seen.outcome, expected, what)
        assert.strictEqual(seen.delivered, i < 9 ? 0 : 1, what)
      })
    )
    await run("garbage for each reply", cases, 132)
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
      const seen = await attempt([Faults.tlsFailure(problem as Faults.TlsProblem)])
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
      const seen = await attempt([Faults.refuse(code)])
      sound(seen, code)
      assert.deepStrictEqual([seen.outcome, seen.writes], ["ConnectionFailed", []], code)
    }).concat([9_999, 10_001].map((millis) => async () => {
      const seen = await attempt([Faults.slowConnect(millis)])
      sound(seen, `${millis}`)
      assert.deepStrictEqual(
        [seen.outcome, seen.millis],
        millis < limits.Connect ? ["sent", millis] : ["TimedOut", limits.Connect]
      )
    }))
    await run("no connection", cases, 5)
  })
})
