import { assert, describe, it } from "@effect/vitest"
import { Advice, Reason, Reply, SmtpError, type Transcript } from "@postern/core"
import { Schema } from "effect"

const temporary = Reply.make(451, "try later", "4.3.0")
const permanent = Reply.make(550, "no", "5.0.0")

/** One reason of each kind, and what is to be said about it. */
const samples: { readonly [T in Reason.Tag]: readonly [Reason.Of<T>, Advice.Fault, Advice.Retry] } = {
  InvalidInput: [Reason.make("InvalidInput", { what: "the address", problem: "no @" }), "you", "never"],
  OutOfSequence: [Reason.make("OutOfSequence", { step: "Data", phase: "ready" }), "you", "never"],
  ExtensionMissing: [Reason.make("ExtensionMissing", { extension: "SMTPUTF8", because: "of an é" }), "server", "never"],
  ConnectionFailed: [
    Reason.make("ConnectionFailed", { host: "mx.example", port: 25, code: "ECONNREFUSED", detail: "refused" }),
    "network",
    "later"
  ],
  ConnectionLost: [Reason.make("ConnectionLost", { step: "Mail", detail: "reset" }), "network", "now"],
  TimedOut: [Reason.make("TimedOut", { step: "Greeting", limit: 300_000 }), "network", "later"],
  TlsModeMismatch: [
    Reason.make("TlsModeMismatch", { mode: "tls", use: "startTls", firstBytes: "220 mx" }),
    "you",
    "now"
  ],
  TlsUnavailable: [Reason.make("TlsUnavailable", { reply: undefined }), "tls", "never"],
  CertificateRefused: [Reason.make("CertificateRefused", { problem: "expired", detail: "yesterday" }), "tls", "never"],
  HandshakeFailed: [Reason.make("HandshakeFailed", { code: "EPROTO", detail: "no shared cipher" }), "tls", "later"],
  PlaintextInjected: [Reason.make("PlaintextInjected", { bytes: "250 evil" }), "tls", "never"],
  ProtocolViolation: [
    Reason.make("ProtocolViolation", { step: "Greeting", expected: "220", received: "HTTP/1.1" }),
    "server",
    "later"
  ],
  GreetingRefused: [Reason.make("GreetingRefused", { reply: permanent }), "refusal", "never"],
  ServiceClosing: [Reason.make("ServiceClosing", { step: "Mail", reply: Reply.make(421, "bye") }), "server", "later"],
  CommandRefused: [Reason.make("CommandRefused", { step: "Vrfy", reply: permanent }), "refusal", "never"],
  TemporaryFailure: [
    Reason.make("TemporaryFailure", { step: "Rcpt", reply: temporary, recipients: ["<a@b>"] }),
    "refusal",
    "later"
  ],
  AuthenticationFailed: [
    Reason.make("AuthenticationFailed", {
      why: "bad credentials",
      attempts: [{ mechanism: "PLAIN", outcome: "refused", reply: permanent, detail: "" }]
    }),
    "authentication",
    "never"
  ],
  NoUsableMechanism: [
    Reason.make("NoUsableMechanism", {
      offered: ["GSSAPI"],
      unusable: [{ mechanism: "GSSAPI", why: "not known here" }],
      startTlsOffered: false
    }),
    "authentication",
    "never"
  ],
  ServerNotVerified: [
    Reason.make("ServerNotVerified", { mechanism: "SCRAM-SHA-256", attempts: [] }),
    "authentication",
    "never"
  ],
  AuthenticationRequired: [
    Reason.make("AuthenticationRequired", { step: "Mail", reply: Reply.make(530, "login") }),
    "authentication",
    "never"
  ],
  RelayDenied: [
    Reason.make("RelayDenied", {
      why: "not authenticated",
      step: "Rcpt",
      recipients: ["<a@b>"],
      identity: undefined,
      reply: permanent
    }),
    "refusal",
    "never"
  ],
  SenderRefused: [Reason.make("SenderRefused", { reversePath: "<a@b>", reply: permanent }), "refusal", "never"],
  RecipientsRefused: [
    Reason.make("RecipientsRefused", { recipients: ["<a@b>"], replies: [permanent] }),
    "refusal",
    "never"
  ],
  ContentRefused: [Reason.make("ContentRefused", { reply: permanent }), "refusal", "never"],
  TooLarge: [Reason.make("TooLarge", { size: 2, limit: 1, reply: undefined }), "refusal", "never"],
  ContentUnavailable: [Reason.make("ContentUnavailable", { detail: "no such file" }), "you", "never"],
  LimitReached: [Reason.make("LimitReached", { limit: "MAILMAX", most: 100 }), "server", "now"],
  Draining: [Reason.make("Draining", { detail: "the pool is drained" }), "you", "later"],
  InDoubt: [Reason.make("InDoubt", { recipients: ["<a@b>"], detail: "reset" }), "network", "in doubt"]
}

const sentence = (text: string) => {
  assert.isNotEmpty(text.trim())
  assert.notMatch(text, /undefined|\[object|NaN/)
}

describe("Advice", () => {
  it("speaks of every kind", () => {
    assert.deepStrictEqual(Object.keys(Advice.catalogue).toSorted(), Object.keys(samples).toSorted())
  })

  for (const [tag, [reason, fault, retry]] of Object.entries(samples)) {
    it(tag, () => {
      assert.strictEqual(reason._tag, tag)
      assert.isTrue(Reason.isReason(reason))
      sentence(Advice.problem(reason))
      assert.notMatch(Advice.problem(reason), /\.$/)
      sentence(Advice.advice(reason))
      assert.match(Advice.advice(reason), /^[A-Z].*\.$/s)
      assert.strictEqual(Advice.fault(reason), fault)
      assert.strictEqual(Advice.retry(reason), retry)
    })
  }

  it("a reply decides between later and never", () => {
    const make: ReadonlyArray<(reply: Reply.Reply) => Reason.Reason> = [
      (reply) => Reason.make("GreetingRefused", { reply }),
      (reply) => Reason.make("CommandRefused", { step: "Noop", reply }),
      (reply) => Reason.make("TlsUnavailable", { reply }),
      (reply) => Reason.make("TooLarge", { size: 1, limit: 1, reply }),
      (reply) => Reason.make("RecipientsRefused", { recipients: ["a", "b"], replies: [permanent, reply] })
    ]
    for (const reason of make) {
      assert.strictEqual(Advice.retry(reason(temporary)), "later", reason(temporary)._tag)
      assert.strictEqual(Advice.retry(reason(permanent)), "never", reason(permanent)._tag)
    }
  })

  it("every why and every problem of a certificate has its own advice", () => {
    const relay = (["not authenticated", "auth needs tls", "not allowed", "no auth offered"] as const)
      .map((why) => Advice.advice({ ...samples.RelayDenied[0], why }))
    const auth = Reason.AuthenticationFailed.fields.why.literals
      .map((why) => Advice.advice({ ...samples.AuthenticationFailed[0], why }))
    const certificate = Reason.CertificateRefused.fields.problem.literals
      .map((problem) => Advice.advice({ ...samples.CertificateRefused[0], problem }))
    for (const all of [relay, auth, certificate]) {
      assert.lengthOf(new Set(all), all.length)
      for (const text of all) sentence(text)
    }
    assert.strictEqual(Advice.retry({ ...samples.AuthenticationFailed[0], why: "temporary" }), "later")
  })

  it("says what to do where it depends on the case", () => {
    const failed = samples.ConnectionFailed[0]
    assert.notStrictEqual(Advice.advice(failed), Advice.advice({ ...failed, code: "ENOTFOUND" }))
    const timed = samples.TimedOut[0]
    assert.include(Advice.problem(timed), "300 seconds")
    assert.notStrictEqual(Advice.advice(timed), Advice.advice({ ...timed, step: "Mail" }))
    const unusable = samples.NoUsableMechanism[0]
    assert.include(Advice.advice({ ...unusable, startTlsOffered: true }), "startTls")
    assert.notStrictEqual(Advice.problem(unusable), Advice.problem({ ...unusable, offered: [] }))
    assert.notStrictEqual(Advice.advice(unusable), Advice.advice({ ...unusable, offered: [] }))
    assert.notInclude(Advice.problem({ ...samples.TlsModeMismatch[0], firstBytes: undefined }), "began")
  })

  it("a refused token, ticket or certificate is no matter of a password", () => {
    const refusedBy = (mechanism: string) =>
      Reason.make("AuthenticationFailed", {
        why: "bad credentials",
        attempts: [{ mechanism, outcome: "refused", reply: Reply.make(535, "Authentication failed."), detail: "" }]
      })
    for (const mechanism of ["OAUTHBEARER", "XOAUTH2"]) assert.match(Advice.advice(refusedBy(mechanism)), /new token/)
    for (const mechanism of ["GSSAPI", "GSS-SPNEGO", "GS2-KRB5"]) {
      assert.match(Advice.advice(refusedBy(mechanism)), /ticket/)
    }
    assert.match(Advice.advice(refusedBy("EXTERNAL")), /certificate/)
    assert.match(Advice.advice(refusedBy("PLAIN")), /password/)
  })

  it("a server's full stop is not doubled", () => {
    const reason = Reason.make("CommandRefused", { step: "Vrfy", reply: Reply.make(550, "Go away.") })
    assert.match(Advice.problem(reason), /Go away$/)
  })

  it("many recipients are not all listed", () => {
    const recipients = Array.from({ length: 1000 }, (_, i) => `<user${i}@example.org>`)
    const problem = Advice.problem(
      Reason.make("RecipientsRefused", { recipients, replies: recipients.map(() => permanent) })
    )
    assert.include(problem, "<user0@example.org>, <user1@example.org>, <user2@example.org> and 997 more")
    assert.isBelow(problem.length, 400)
  })

  it("a server's escape sequences do not reach a terminal", () => {
    const reply: Reply.Reply = { code: 550, status: undefined, lines: ["a\u009b31m"] }
    assert.notMatch(Advice.problem(Reason.make("ContentRefused", { reply })), /[\u0000-\u001f\u007f-\u009f]/)
  })
})

describe("SmtpError", () => {
  it("says all of it, and survives JSON", () => {
    const transcript: Transcript.Transcript = [{ _tag: "Sent", at: 1, line: "DATA" }]
    const error = new SmtpError.SmtpError({ reason: samples.RelayDenied[0], phase: "envelope", transcript })
    assert.strictEqual(error.message, `${error.problem}. ${error.advice}`)
    assert.deepStrictEqual([error.problem, error.advice, error.retry, error.fault], [
      Advice.problem(error.reason),
      Advice.advice(error.reason),
      "never",
      "refusal"
    ])
    const codec = Schema.toCodecJson(SmtpError.SmtpError)
    const again = Schema.decodeUnknownSync(codec)(JSON.parse(JSON.stringify(Schema.encodeSync(codec)(error))))
    assert.deepStrictEqual(again.reason, error.reason)
    assert.deepStrictEqual(again.transcript, transcript)
  })

  it("every reason survives JSON", () => {
    const codec = Schema.toCodecJson(Reason.Reason)
    for (const [reason] of Object.values(samples)) {
      const again = Schema.decodeUnknownSync(codec)(JSON.parse(JSON.stringify(Schema.encodeSync(codec)(reason))))
      assert.deepStrictEqual(again, reason)
    }
  })
})
