/**
 * What goes wrong: what the server says in place of its own replies, and what befalls the
 * connection.
 */
import * as fc from "fast-check"

export const turns = [
  "Greeting",
  "Ehlo",
  "Helo",
  "StartTls",
  "Auth",
  "AuthResponse",
  "AuthCancel",
  "Mail",
  "Rcpt",
  "Data",
  "Content",
  "Bdat",
  "Rset",
  "Quit"
] as const

/** What the server says in place of its own reply, at the turn of this kind that is so many after the first. */
export interface Overruled {
  readonly turn: typeof turns[number]
  readonly nth: number
  readonly by:
    | {
      readonly _tag: "Reply"
      readonly code: number
      readonly status: string | undefined
      readonly lines: ReadonlyArray<string>
    }
    /** As the reply, and another one behind it in the same write. */
    | { readonly _tag: "Extra"; readonly code: number; readonly second: number }
    /** A reply out of grammar with this code. */
    | { readonly _tag: "Malformed"; readonly code: number }
    /** A refusal that quotes what the client said. */
    | { readonly _tag: "Echo"; readonly code: number }
    | { readonly _tag: "Drop" }
}

const refusal = fc.oneof(
  fc.constantFrom(421, 450, 500, 501, 502, 503, 504, 530, 535, 550, 554),
  fc.constantFrom(432, 451, 452, 454, 523, 534, 538, 551, 552, 553, 555, 571)
)
const misplaced = fc.constantFrom(211, 214, 220, 221, 235, 250, 251, 252, 334, 354)

const words = fc.constantFrom(
  "",
  "no",
  "Relay access denied",
  "message size exceeds limit",
  "Greylisted, try again",
  "blocked by Spamhaus",
  "authentication required",
  "Mailbox full",
  "ZXZlcnk=",
  "caf\u00e9 \u2028"
)

const reply = (code: fc.Arbitrary<number>): fc.Arbitrary<Overruled["by"]> =>
  fc.record({
    _tag: fc.constant("Reply" as const),
    code,
    status: fc.option(fc.constantFrom("7.1", "1.1", "1.8", "3.4", "7.0", "2.2", "5.0"), { nil: undefined }),
    lines: fc.oneof(fc.tuple(words), fc.array(words, { minLength: 1, maxLength: 3 }))
  })

const one = <T extends string>(_tag: T, ...codes: ReadonlyArray<number>) =>
  fc.record({ _tag: fc.constant(_tag), code: fc.constantFrom(...codes) })

const nth = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(3) })

const anywhere: fc.Arbitrary<Overruled> = fc.record({
  turn: fc.constantFrom(...turns),
  nth,
  by: fc.oneof(
    { weight: 3, arbitrary: reply(refusal) },
    { weight: 2, arbitrary: reply(misplaced) },
    { weight: 1, arbitrary: one("Malformed", 250, 220, 354, 550) },
    { weight: 1, arbitrary: fc.record({ _tag: fc.constant("Drop" as const) }) }
  )
})

const inAuth: fc.Arbitrary<Overruled> = fc.record({
  turn: fc.constantFrom("Auth", "AuthResponse"),
  nth,
  by: fc.oneof(reply(fc.constantFrom(235, 250, 334, 432, 432, 454, 504, 535)), one("Echo", 504, 535, 454, 334, 235))
})

const inMail: fc.Arbitrary<Overruled> = fc.record({
  turn: fc.constantFrom("Mail", "Rcpt", "Data", "Content", "Bdat"),
  nth,
  by: fc.oneof({ weight: 3, arbitrary: reply(refusal) }, {
    weight: 1,
    arbitrary: reply(fc.constantFrom(250, 334, 354))
  })
})

/** The server's own yes, and another reply with it. */
const unasked: fc.Arbitrary<Overruled> = fc.tuple(
  fc.constantFrom(
    ...[["Greeting", 220], ["Ehlo", 250], ["StartTls", 220], ["Auth", 235], ["AuthResponse", 235]] as const,
    ...[["Mail", 250], ["Rcpt", 250], ["Data", 354], ["Content", 250], ["Bdat", 250]] as const
  ),
  fc.constantFrom(250, 354, 235, 220, 550),
  nth
).map(([[turn, code], second, nth]) => ({ turn, nth, by: { _tag: "Extra", code, second } }))

export const overruled: fc.Arbitrary<Overruled> = fc.oneof(anywhere, inAuth, inMail, unasked)

/** A place in what one side sends, counted from the beginning or from the end of an undisturbed run. */
export interface Place {
  readonly from: "start" | "end"
  readonly octets: number
}

export type Fault =
  | { readonly _tag: "Cut"; readonly side: "sent" | "received"; readonly at: Place; readonly how: "Broken" | "Closed" }
  | { readonly _tag: "Silence"; readonly at: Place }
  | {
    readonly _tag: "Tls"
    readonly problem: "expired" | "HandshakeFailed" | "NotTls" | "PlaintextBuffered" | "Closed" | "Broken" | "no answer"
  }

const place: fc.Arbitrary<Place> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ from: fc.constant("start" as const), octets: fc.nat(900) }) },
  // Here the envelope, the content, its reply, and QUIT are.
  { weight: 2, arbitrary: fc.record({ from: fc.constant("end" as const), octets: fc.oneof(fc.nat(60), fc.nat(250)) }) }
)

/** From some place on nothing comes any more. */
export const silence: fc.Arbitrary<Fault> = fc.record({ _tag: fc.constant("Silence" as const), at: place })

export const fault: fc.Arbitrary<Fault> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      _tag: fc.constant("Cut" as const),
      side: fc.constantFrom("sent", "received"),
      at: place,
      how: fc.constantFrom("Broken", "Closed")
    })
  },
  {
    weight: 1,
    // In what the client sends: within large content.
    arbitrary: fc.record({
      _tag: fc.constant("Cut" as const),
      side: fc.constant("received" as const),
      at: fc.record({ from: fc.constant("end" as const), octets: fc.nat(150_000) }),
      how: fc.constantFrom("Broken", "Closed")
    })
  },
  { weight: 2, arbitrary: silence },
  {
    weight: 1,
    arbitrary: fc.record({
      _tag: fc.constant("Tls" as const),
      problem: fc.constantFrom(
        "expired",
        "HandshakeFailed",
        "NotTls",
        "PlaintextBuffered",
        "Closed",
        "Broken",
        "no answer"
      )
    })
  }
)
