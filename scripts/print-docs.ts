/**
 * Prints the pages that are tables of the code: docs/replies.md from `Expect.table`,
 * docs/errors.md from `Advice.catalogue`, docs/other-peoples-tests.md from the collections
 * of exchanges. With --check it only says whether they are up to date.
 */
import { Advice, Expect, Reason, Reply } from "@postern/core"
import * as Duration from "effect/Duration"
import { readFileSync, writeFileSync } from "node:fs"
import { table } from "./markdown.ts"
import { others } from "./others-page.ts"

const codes = (meanings: Readonly<Record<number, string>>): string =>
  Object.entries(meanings).map(([code, meaning]) => `${code} ${meaning}`).join("; ") || "none"

const replies = [
  "# Replies by step",
  "",
  "Printed from `Expect.table` by `npm run docs`. Codes that are not listed count by their first digit: 4yz is refused for now, 5yz for good. 421 may come at any step and ends the session. AUTH takes nothing but 235 and a 334 of one line for success.",
  "",
  ...table(
    ["Step", "Means yes", "Means no", "Time limit", "Source"],
    Object.values(Expect.table).map(({ no, source, timeLimit, verb, yes }) => [
      `\`${verb}\``,
      codes(yes),
      codes(no),
      Duration.format(timeLimit),
      source
    ])
  )
]

const denied = Reply.make(554, "<out@elsewhere.test>: Relay access denied", "5.7.1")
const later = Reply.make(451, "try again later", "4.3.0")
const attempt: Reason.Attempt = {
  mechanism: "PLAIN",
  outcome: "refused",
  reply: Reply.make(535, "bad credentials", "5.7.8"),
  detail: "bad credentials"
}

/** One example of each kind. */
const samples: { readonly [T in Reason.Tag]: Omit<Reason.Of<T>, "_tag"> } = {
  InvalidInput: { what: "\"to\" of the envelope", problem: "there is no @" },
  OutOfSequence: { step: "Data", phase: "ready" },
  ExtensionMissing: { extension: "SMTPUTF8", because: "an address has characters outside ASCII" },
  ConnectionFailed: { host: "mail.example", port: 587, code: "ECONNREFUSED", detail: "connection refused" },
  ConnectionLost: { step: "Rcpt", detail: "the server closed the connection" },
  TimedOut: { step: "Greeting", limit: 300_000 },
  TlsModeMismatch: { mode: "tls", use: "startTls", firstBytes: "220 mx.example ESMTP\\r\\n" },
  TlsUnavailable: { reply: undefined },
  CertificateRefused: { problem: "wrong-name", detail: "the certificate is for mx.example" },
  HandshakeFailed: { code: "ERR_SSL_UNSUPPORTED_PROTOCOL", detail: "unsupported protocol" },
  PlaintextInjected: { bytes: "250 injected\\r\\n" },
  ProtocolViolation: { step: "Greeting", expected: "a reply (no reply code)", received: "HTTP/1.1 400 Bad Request" },
  GreetingRefused: { reply: Reply.make(554, "no service for you", "5.3.2") },
  ServiceClosing: { step: "Mail", reply: Reply.make(421, "shutting down", "4.3.2") },
  CommandRefused: { step: "Vrfy", reply: Reply.make(502, "not implemented", "5.5.1") },
  TemporaryFailure: { step: "Rcpt", reply: later, recipients: ["<ben@b.example>"] },
  AuthenticationFailed: { why: "bad credentials", attempts: [attempt] },
  NoUsableMechanism: {
    offered: ["PLAIN"],
    unusable: [{ mechanism: "PLAIN", why: "would send the password without verified TLS" }],
    startTlsOffered: true
  },
  ServerNotVerified: { mechanism: "LOGIN", attempts: [] },
  AuthenticationRequired: { step: "Mail", reply: Reply.make(530, "authentication required", "5.7.0") },
  RelayDenied: {
    why: "not authenticated",
    step: "Rcpt",
    recipients: ["<out@elsewhere.test>"],
    identity: undefined,
    reply: denied
  },
  SenderRefused: { reversePath: "<ann@nowhere.example>", reply: Reply.make(550, "no such domain", "5.1.8") },
  RecipientsRefused: { recipients: ["<nobody@b.example>"], replies: [Reply.make(550, "no such user", "5.1.1")] },
  ContentRefused: { reply: Reply.make(550, "this looks like spam", "5.7.1") },
  TooLarge: { size: 20_000_000, limit: 10_485_760, reply: undefined },
  LimitReached: { limit: "MAILMAX", most: 100 },
  Draining: { detail: "the pool is drained" },
  ContentUnavailable: { detail: "ENOENT: no such file or directory, open 'message.eml'" },
  InDoubt: { recipients: ["<ben@b.example>"], detail: "the server closed the connection" }
}

const errors = [
  "# Errors and what to do",
  "",
  "Printed from `Advice.catalogue` by `npm run docs`. Every failure is one `SmtpError` with a `reason`; `retry`, `problem`, `advice` and `fault` come from the reason. Handle one kind by its name: `Effect.catchReason(\"SmtpError\", \"RelayDenied\", …)`. Refusals are \"later\" where the reply is 4yz, whatever the row says of 5yz.",
  "",
  ...table(
    ["Reason", "Fault", "Retry", "Problem (example)", "Advice"],
    Object.entries(samples).map(([tag, fields]) => {
      const reason = Reason.make(tag as Reason.Tag, fields as never)
      return [`\`${tag}\``, Advice.fault(reason), Advice.retry(reason), Advice.problem(reason), Advice.advice(reason)]
    })
  )
]

const whys = <T extends "RelayDenied" | "AuthenticationFailed" | "CertificateRefused">(
  tag: T,
  field: string,
  values: ReadonlyArray<string>
): ReadonlyArray<string> => [
  "",
  `## ${tag} by \`${field}\``,
  "",
  ...table(
    [field, "Advice"],
    values.map((value) => [
      value,
      Advice.advice({ ...Reason.make(tag, samples[tag] as never), [field]: value } as Reason.Reason)
    ])
  )
]

errors.push(
  ...whys("RelayDenied", "why", Reason.RelayDenied.fields.why.literals),
  ...whys("AuthenticationFailed", "why", Reason.AuthenticationFailed.fields.why.literals),
  ...whys("CertificateRefused", "problem", Reason.CertificateRefused.fields.problem.literals)
)

const check = process.argv.includes("--check")
let stale = 0
const pages = [
  ["docs/replies.md", replies],
  ["docs/errors.md", errors],
  ["docs/other-peoples-tests.md", others]
] as const
for (const [path, lines] of pages) {
  const text = `${lines.join("\n")}\n`
  if (!check) {
    writeFileSync(path, text)
  } else if (readFileSync(path, "utf8") !== text) {
    stale++
    console.error(`${path} is not what the code says: run npm run docs`)
  }
}
process.exitCode = stale === 0 ? 0 : 1
