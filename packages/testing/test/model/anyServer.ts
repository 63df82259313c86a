/** Servers that offer anything. */
import type { ServerMachine } from "@postern/testing"
import * as fc from "fast-check"

export interface Server {
  readonly extensions: ReadonlyArray<string>
  readonly limits: ServerMachine.Limits | undefined
  readonly maxSize: number
  readonly maxRecipients: number
  readonly protocol: "EHLO" | "HELO" | "LHLO"
  readonly tls: "none" | "not used" | "startTls" | "implicit"
  readonly auth: "none" | "not used" | "used"
  readonly dataAnyway: boolean
  /** What the client is not to use. */
  readonly without: ReadonlyArray<string>
}

export const url = "imap://files.example/INBOX/;uid=20/;urlauth=submit+ann:internal:91354a473744909de610943775f92038"

const sizes = [400, 3000, 10_485_760] as const
const latest = "2030-01-01T00:00:00Z"

const lines: ReadonlyArray<fc.Arbitrary<string>> = [
  fc.constant("PIPELINING"),
  fc.constantFrom("SIZE", "SIZE", "SIZE 0"),
  fc.constant("8BITMIME"),
  fc.constant("SMTPUTF8"),
  fc.constant("ENHANCEDSTATUSCODES"),
  fc.constant("DSN"),
  fc.constant("CHUNKING"),
  fc.constant("BINARYMIME"),
  fc.constantFrom("BURL imap", "BURL imap imap://files.example", "BURL"),
  fc.constantFrom("DELIVERBY", "DELIVERBY 60", "DELIVERBY 3600"),
  fc.constantFrom(`FUTURERELEASE 3600 ${latest}`, `FUTURERELEASE 2592000 2100-01-01T00:00:00Z`),
  fc.constantFrom("MT-PRIORITY", "MT-PRIORITY STANAG4406", "MT-PRIORITY MIXER"),
  fc.constant("REQUIRETLS"),
  fc.constant("RRVS"),
  fc.constant("ETRN"),
  fc.constantFrom("XCLIENT", "XCLIENT NAME ADDR", "XCLIENT PORT"),
  fc.constantFrom("X-ODD 1=2 3", "HELP")
]

const extensions = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(...lines) },
  { weight: 3, arbitrary: fc.tuple(...lines).chain((all) => fc.shuffledSubarray(all)) },
  // All but some.
  {
    weight: 3,
    arbitrary: fc.tuple(...lines).chain((all) =>
      fc.subarray(all, { maxLength: 3 }).map((some) => all.filter((line) => !some.includes(line)))
    )
  }
).chain((all) =>
  fc.constantFrom<ReadonlyArray<string>>(
    all,
    all.map((line) => / |SIZE|XCLIENT/.test(line) ? line : line.toLowerCase())
  )
)

export const rarely = <A>(value: fc.Arbitrary<A>): fc.Arbitrary<A | undefined> =>
  fc.option(value, { freq: 4, nil: undefined })

export const server: fc.Arbitrary<Server> = fc.record({
  extensions,
  limits: rarely(fc.record({
    mailMax: rarely(fc.integer({ min: 1, max: 3 })),
    rcptMax: rarely(fc.integer({ min: 1, max: 5 })),
    rcptDomainMax: rarely(fc.integer({ min: 1, max: 3 }))
  })),
  maxSize: fc.constantFrom(...sizes, 10_485_760, 10_485_760),
  maxRecipients: fc.constantFrom(100, 100, 100, 3),
  protocol: fc.oneof(
    { weight: 12, arbitrary: fc.constant("EHLO" as const) },
    { weight: 1, arbitrary: fc.constant("HELO" as const) },
    { weight: 2, arbitrary: fc.constant("LHLO" as const) }
  ),
  tls: fc.constantFrom("none", "not used", "startTls", "implicit"),
  auth: fc.constantFrom("none", "none", "not used", "used"),
  dataAnyway: fc.boolean(),
  without: fc.oneof(
    { weight: 6, arbitrary: fc.constant([]) },
    fc.subarray(["CHUNKING", "PIPELINING", "8BITMIME", "DSN", "SIZE"], { minLength: 1, maxLength: 2 })
  )
}).map((it) => ({
  ...it,
  // HELO offers neither.
  tls: it.protocol === "HELO" && it.tls === "startTls" ? "none" : it.tls,
  auth: it.auth === "used" && (it.protocol === "HELO" || it.tls === "none" || it.tls === "not used") ? "none" : it.auth
}))
