import { assert, describe, it } from "@effect/vitest"
import { Capabilities, Envelope, Program, Reason, Reply, Session, Transaction } from "@postern/core"
import { Explore } from "@postern/testing"
import { Result } from "effect"

const utf8 = new TextEncoder()
const ready = (extensions: ReadonlyArray<string>, authenticated = false): Session.Session<"ready"> =>
  new Session.Session("ready", {
    host: "mx.example",
    greeting: Reply.make(220, "mx.example"),
    capabilities: Capabilities.fromEhlo(Reply.make(250, ["mx.example", ...extensions])),
    tls: Explore.tlsFacts,
    authenticated: authenticated ? { identity: "ann", mechanism: "PLAIN" } : undefined
  })

const envelope = (...to: ReadonlyArray<string>) => Result.getOrThrow(Envelope.make({ from: "ann@a.example", to }))
const deliver = (
  session: Session.Session<"ready">,
  to: ReadonlyArray<string>,
  content: string,
  ...answers: ReadonlyArray<ReadonlyArray<Reply.Reply>>
) =>
  Program.rehearse(
    Transaction.deliver(session, envelope(...to), utf8.encode(content)),
    answers.map((all) => Program.replies(...all))
  )

const contentSaid = (said: ReadonlyArray<Program.Rehearsed>) =>
  said.flatMap(({ instruction }) => instruction._tag === "Exchange" ? instruction.say : []).flatMap((it) =>
    it._tag === "Content" ? Array.from(it.blocks, (block) => new TextDecoder().decode(block)) : []
  ).join("")

const ok = Reply.make(250, "ok", "2.0.0")
const go = Reply.make(354, "go ahead")
const relay = Reply.make(554, "<x@elsewhere.test>: Relay access denied", "5.7.1")
const unknown = Reply.make(550, "no such user", "5.1.1")
const later = Reply.make(450, "greylisted", "4.7.1")

describe("one transaction", () => {
  it("goes MAIL and RCPT, DATA, content", () => {
    const { end, said } = deliver(
      ready(["SIZE 1000", "8BITMIME"]),
      ["b@b.example", "c@c.example"],
      "\ncafé\n.\n",
      [ok, ok, ok],
      [go],
      [ok]
    )
    assert.deepStrictEqual(Explore.linesSent(said), [
      "MAIL FROM:<ann@a.example> SIZE=12 BODY=8BITMIME",
      "RCPT TO:<b@b.example>",
      "RCPT TO:<c@c.example>",
      "DATA"
    ])
    assert.strictEqual(contentSaid(said), "\r\ncafé\r\n..\r\n.\r\n")
    assert.isTrue(
      end !== undefined && Result.isSuccess(end) && end.success.outcomes.every(({ _tag }) => _tag === "Accepted")
    )
  })

  it("tells each recipient's outcome when some are refused, and goes on for the others", () => {
    const { end } = deliver(ready([]), ["b@b.example", "c@c.example", "d@d.example"], "x", [ok, unknown, ok, later], [
      go
    ], [ok])
    assert.isTrue(end !== undefined && Result.isSuccess(end))
    if (end !== undefined && Result.isSuccess(end)) {
      assert.deepStrictEqual(end.success.outcomes.map(({ _tag }) => _tag), ["Refused", "Accepted", "Deferred"])
      const payload = end.success.outcomes.map((outcome) => outcome._tag === "Accepted" ? "" : outcome.reason._tag)
      assert.deepStrictEqual(payload, ["RecipientsRefused", "", "TemporaryFailure"])
    }
  })

  it("only accepted recipients are in doubt when the reply to the content does not come", () => {
    const broken = Reason.make("ConnectionLost", { step: "Content", detail: "the server closed the connection" })
    const deliverTo = (...answers: ReadonlyArray<Program.Answer>) =>
      Program.rehearse(
        Transaction.deliver(ready([]), envelope("b@b.example", "c@c.example"), utf8.encode("x")),
        answers
      )
    const envelopes = [Program.replies(ok, unknown, ok), Program.replies(go)]
    assert.deepStrictEqual(
      deliverTo(...envelopes, Program.lost(broken, [], 1)).end,
      Result.fail(Reason.make("InDoubt", { recipients: ["<c@c.example>"], detail: "the server closed the connection" }))
    )
    // Before its end was written it cannot have been accepted.
    assert.deepStrictEqual(
      deliverTo(...envelopes, Program.lost(broken)).end,
      Result.fail<Program.Lost>({ _tag: "Lost", reason: broken, heard: [], written: 0 })
    )
  })

  it("all refused: resets, sends no DATA, and fails with what they have in common", () => {
    const denied = deliver(ready(["AUTH PLAIN"]), ["b@b.example", "c@c.example"], "x", [ok, relay, relay], [ok])
    assert.deepStrictEqual(
      denied.end,
      Result.fail(Reason.make("RelayDenied", {
        why: "not authenticated",
        step: "Rcpt",
        recipients: ["<b@b.example>", "<c@c.example>"],
        identity: undefined,
        reply: relay
      }))
    )
    assert.deepStrictEqual(Explore.linesSent(denied.said).at(-1), "RSET")
    const mixed = deliver(ready([]), ["b@b.example", "c@c.example"], "x", [ok, relay, unknown], [ok]).end
    assert.deepStrictEqual(
      mixed,
      Result.fail(
        Reason.make("RecipientsRefused", { recipients: ["<b@b.example>", "<c@c.example>"], replies: [relay, unknown] })
      )
    )
    const partly = deliver(ready([]), ["b@b.example", "c@c.example"], "x", [ok, later, unknown], [ok]).end
    assert.strictEqual(partly !== undefined && Result.isFailure(partly) ? partly.failure._tag : "", "TemporaryFailure")
  })

  it("explains a denied relay by what the session knows", () => {
    const why = (session: Session.Session<"ready">) => {
      const { end } = deliver(session, ["b@b.example"], "x", [ok, relay], [ok])
      return end !== undefined && Result.isFailure(end) && end.failure._tag === "RelayDenied"
        ? end.failure.why
        : undefined
    }
    const plain = (...extensions: ReadonlyArray<string>) =>
      new Session.Session("ready", { ...ready(extensions).facts, tls: undefined })
    assert.strictEqual(why(ready(["AUTH PLAIN"])), "not authenticated")
    assert.strictEqual(why(ready(["AUTH PLAIN"], true)), "not allowed")
    assert.strictEqual(why(plain("STARTTLS")), "auth needs tls")
    assert.strictEqual(why(ready([])), "no auth offered")
  })

  it("refuses what is too large, or needs what is not offered, before anything is sent", () => {
    const reason = (extensions: ReadonlyArray<string>, to: string, content: string) => {
      const { end, said } = deliver(ready(extensions), [to], content)
      assert.lengthOf(said, 0)
      return end !== undefined && Result.isFailure(end) ? end.failure : undefined
    }
    assert.deepStrictEqual(
      reason(["SIZE 10"], "b@b.example", "12345678\n9"),
      Reason.make("TooLarge", { size: 13, limit: 10, reply: undefined })
    )
    const missing = (extension: string, because: string) => Reason.make("ExtensionMissing", { extension, because })
    assert.deepStrictEqual(
      reason(["SIZE"], "b@b.example", "\né"),
      missing("8BITMIME", "the content has octets above 127")
    )
    assert.deepStrictEqual(
      reason(["8BITMIME"], "bé@b.example", "x"),
      missing("SMTPUTF8", "an address has characters outside ASCII")
    )
    assert.deepStrictEqual(
      reason(["8BITMIME"], "b@b.example", "Subject: é\n\nx"),
      missing("SMTPUTF8", "a header field has characters outside ASCII")
    )
    assert.deepStrictEqual(
      reason([], "b@b.example", "x".repeat(999)),
      missing("BINARYMIME", "a line of the content has 999 octets, and 998 are allowed")
    )
  })

  it("a refused sender, DATA or content has a reason of its own", () => {
    const tag = (...answers: ReadonlyArray<ReadonlyArray<Reply.Reply>>) => {
      const { end } = deliver(ready([]), ["b@b.example"], "x", ...answers)
      return end !== undefined && Result.isFailure(end) ? end.failure._tag : "success"
    }
    const no = Reply.make(550, "not you", "5.7.9")
    assert.strictEqual(tag([no, Reply.make(503, "no sender")], [ok]), "SenderRefused")
    assert.strictEqual(tag([ok, ok], [Reply.make(554, "no")], [ok]), "ContentRefused")
    assert.strictEqual(tag([ok, ok], [go], [Reply.make(550, "spam", "5.7.1")]), "ContentRefused")
    assert.strictEqual(tag([ok, ok], [go], [Reply.make(552, "message too large", "5.3.4")]), "TooLarge")
    assert.strictEqual(tag([ok, ok], [go], [Reply.make(451, "try later")]), "TemporaryFailure")
  })
})
