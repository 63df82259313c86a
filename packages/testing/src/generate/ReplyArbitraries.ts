/**
 * Generators of what servers say as they should: replies, and answers to EHLO.
 */
import { EnhancedStatus, Reply } from "@postern/core"
import * as fc from "fast-check"
import { domain } from "./AddressArbitraries.ts"
import { from, printable, word } from "./Characters.ts"

// ---------------------------------------------------------------------------
// Valid replies
// ---------------------------------------------------------------------------

/** Text of one line of a reply: no control character but the tab. */
export const replyText: fc.Arbitrary<string> = fc.oneof(
  { withCrossShrink: true },
  { weight: 4, arbitrary: from(`${printable}\t`, { maxLength: 40 }) },
  { weight: 2, arbitrary: fc.string({ unit: "grapheme", maxLength: 20 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("", " ", "-", "250 ok", "5.1.1", "5.1.1 No such user", "2.0.0 ok", "\ufeff", "é", "…")
  }
)

// What servers say every day; a counterexample shrinks to the first.
const common = [
  250,
  211,
  214,
  220,
  221,
  235,
  251,
  252,
  334,
  354,
  421,
  450,
  451,
  452,
  454,
  500,
  502,
  530,
  535,
  550,
  554
]

const code = fc.oneof({ withCrossShrink: true }, fc.constantFrom(...common), fc.integer({ min: 200, max: 599 }))

/** Codes as RFC 5321 §4.2 has them: the second digit is 0 to 5. */
export const replyCode: fc.Arbitrary<number> = fc.oneof(
  { withCrossShrink: true },
  fc.constantFrom(...common),
  fc.tuple(fc.integer({ min: 2, max: 5 }), fc.nat(5), fc.nat(9)).map(([a, b, c]) => 100 * a + 10 * b + c)
)

/** Enhanced status codes (RFC 3463), those of the registry and others. */
export const enhancedStatus: fc.Arbitrary<EnhancedStatus.EnhancedStatus> = fc.record({
  class: fc.constantFrom(2, 4, 5),
  subject: fc.oneof({ withCrossShrink: true }, fc.nat(7), fc.nat(999)),
  detail: fc.oneof({ withCrossShrink: true }, fc.nat(30), fc.nat(999))
})

/**
 * Valid replies: one line or several, with and without an enhanced status code, ASCII and
 * UTF-8 text, any second digit of the code.
 */
export const reply: fc.Arbitrary<Reply.Reply> = fc.tuple(
  code,
  fc.array(replyText, { minLength: 1, maxLength: 6 }),
  fc.option(enhancedStatus, { nil: undefined })
).map(([code, texts, status]) =>
  // There is no class 3 (RFC 3463 §2).
  status === undefined || (code >= 300 && code < 400)
    ? Reply.make(code, texts)
    : Reply.make(code, texts, EnhancedStatus.format({ ...status, class: Math.floor(code / 100) as 2 | 4 | 5 }))
)

const strictText = from(`${printable}\t`, { minLength: 1, maxLength: 40 })

/** Replies of which every octet is within the grammar of RFC 5321 §4.2: for parsers that are to take all of them. */
export const strictReply: fc.Arbitrary<Reply.Reply> = fc.tuple(
  replyCode,
  fc.array(fc.oneof({ weight: 5, arbitrary: strictText }, { weight: 1, arbitrary: fc.constant("") }), { maxLength: 5 }),
  strictText
).map(([code, texts, last]) => Reply.make(code, [...texts, last]))

// ---------------------------------------------------------------------------
// Answers to EHLO
// ---------------------------------------------------------------------------

const extension = fc.oneof(
  fc.constantFrom(
    "PIPELINING",
    "8BITMIME",
    "SMTPUTF8",
    "CHUNKING",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "STARTTLS",
    "starttls"
  ),
  fc.tuple(
    fc.constantFrom("SIZE", "size"),
    fc.oneof(fc.constant(""), fc.nat().map((size) => ` ${size}`), fc.constant(" x"))
  )
    .map((parts) => parts.join("")),
  fc.tuple(
    fc.constantFrom("AUTH ", "AUTH=", "auth ", "AUTH= "),
    fc.array(fc.constantFrom("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256-PLUS", "plain", "NO GOOD,", ""), {
      maxLength: 5
    })
  ).map(([keyword, names]) => keyword + names.join(" ")),
  fc.array(fc.tuple(fc.constantFrom("MAILMAX", "RCPTMAX", "RCPTDOMAINMAX", "X"), fc.nat(2_000_000)), { maxLength: 4 })
    .map((limits) => `LIMITS ${limits.map((limit) => limit.join("=")).join(" ")}`),
  fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(" ")),
  replyText
)

/** Answers to EHLO: extensions known and unknown in every spelling, and lines that are none. */
export const ehloReply: fc.Arbitrary<Reply.Reply> = fc.tuple(
  domain,
  fc.constantFrom("", " at your service", " Hello [192.0.2.1]"),
  fc.array(extension, { maxLength: 10 })
).map(([domain, greeting, lines]) => Reply.make(250, [domain + greeting, ...lines]))
