import type { Recording } from "@postern/testing"
import * as fc from "fast-check"

const nasty = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.string({
    unit: fc.constantFrom(
      ";",
      "#",
      "<",
      ">",
      "\"",
      ":",
      "%%{",
      "\n",
      "\r\n",
      "end",
      "$$",
      "\u0000",
      "\u202e",
      " ",
      "é",
      "\\"
    )
  })
)

/** Text of lines, and arbitrary octets. */
export const octets: fc.Arbitrary<Uint8Array<ArrayBuffer>> = fc.oneof(
  nasty.map((text) => new TextEncoder().encode(text)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => new Uint8Array(bytes))
)

const common = { at: fc.double({ min: 0, max: 1e9, noNaN: true }), connection: fc.nat(3) }
const hidden = fc.record({ octets: fc.nat(999) }, { requiredKeys: [] })
const tag = <const T extends string>(name: T) => ({ _tag: fc.constant(name), ...common })
const port = fc.nat(65_535)

const event: fc.Arbitrary<Recording.Event> = fc.oneof(
  fc.record({ ...tag("Connecting"), host: nasty, port }),
  fc.record(tag("Connected")),
  fc.record({ ...tag("Received"), data: octets }),
  fc.record({ ...tag("Sent"), data: octets }),
  fc.record({ ...tag("ReceivedHidden"), line: nasty, hidden }),
  fc.record({ ...tag("SentHidden"), line: nasty, hidden }),
  fc.record({ ...tag("ContentSent"), octets: fc.nat(), sha256: nasty }),
  fc.record({ ...tag("Random"), hidden }),
  fc.record({ ...tag("HandshakeStarted"), serverName: nasty }),
  fc.record({
    ...tag("TlsEstablished"),
    version: fc.constant("TLSv1.2" as const),
    cipher: nasty,
    serverName: nasty,
    verifiedBy: fc.constant("chain" as const),
    channelBindings: fc.constant([])
  }),
  fc.record({
    ...tag("Failed"),
    operation: fc.constantFrom("connect" as const, "read" as const),
    problem: fc.oneof(
      fc.record({ _tag: fc.constant("Closed" as const) }),
      fc.record({ _tag: fc.constant("Broken" as const), code: nasty, detail: nasty })
    )
  }),
  fc.record(tag("Closed")),
  fc.record({ ...tag("Truncated"), events: fc.nat() })
)

/** Recordings of whatever text and octets, in whatever order. */
export const recordings: fc.Arbitrary<Recording.Recording> = fc.record({
  header: fc.record({
    format: fc.constant("postern-recording" as const),
    version: fc.constant(1),
    by: nasty,
    note: nasty,
    policy: fc.constant({ addresses: "kept" as const, content: "hashed" as const })
  }),
  events: fc.array(event, { maxLength: 12 })
})
