/**
 * What a run of the client is about, as plain data: what the server is like, how the client
 * is set up, what it sends, what the server says instead, and what befalls the connection.
 */
import type { Endpoint } from "@postern/core"
import * as fc from "fast-check"
import { type Chunking, chunking } from "../../src/generate/Arbitraries.ts"
import { type Fault, fault, type Overruled, overruled, silence } from "./trouble.ts"

// ---------------------------------------------------------------------------
// The server
// ---------------------------------------------------------------------------

export type MechanismName = "PLAIN" | "LOGIN" | "CRAM-MD5"

export interface Policy {
  readonly ehlo: boolean
  readonly extensions: ReadonlyArray<string>
  readonly tls: "none" | "startTls" | "implicit"
  /** It offers STARTTLS, and then has none to give. */
  readonly tlsNotNow: boolean
  readonly requireTls: boolean
  readonly inject: boolean
  /** Its reply to EHLO without TLS is somebody else's, with another list. */
  readonly liesBeforeTls: boolean
  readonly mechanisms: ReadonlyArray<MechanismName>
  readonly authBeforeTls: boolean
  readonly legacyAuth: boolean
  readonly requireAuth: boolean
  /** In transition: no mechanism will do for it as yet (432). */
  readonly account: "known" | "other password" | "unknown" | "in transition"
  readonly relays: boolean
  readonly greylist: boolean
  readonly maxSize: number
  readonly maxRecipients: number
  readonly greeting: 220 | 421 | 450 | 554
}

export const localDomain = "local.example"

/** What the model knows of an address. */
export interface Party {
  readonly address: string
  readonly local: boolean
  readonly unknown?: boolean
  readonly utf8?: boolean
  /** At home everywhere, known, never greylisted. */
  readonly postmaster?: boolean
}

export const recipients: ReadonlyArray<Party> = [
  { address: "ann@local.example", local: true },
  { address: "ben@local.example", local: true },
  { address: "relay@local.example", local: true },
  { address: "\"with blank\"@local.example", local: true },
  { address: "ghost@local.example", local: true, unknown: true },
  { address: "nobody@remote.example", local: false, unknown: true },
  { address: "eve@remote.example", local: false },
  { address: "bob@relay.remote.example", local: false },
  { address: "jörg@local.example", local: true, utf8: true },
  { address: "Postmaster", local: true, postmaster: true }
]

const mostly = (value: boolean, weight = 5): fc.Arbitrary<boolean> =>
  fc.oneof({ weight, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: fc.constant(!value) })

const extension = fc.constantFrom(
  "PIPELINING",
  "SIZE",
  "8BITMIME",
  "SMTPUTF8",
  "ENHANCEDSTATUSCODES",
  "DSN",
  "CHUNKING",
  "X-ODD 1 2"
)

const extensions = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      ["PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING"],
      ["PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN"]
    )
  },
  { weight: 1, arbitrary: fc.uniqueArray(extension, { maxLength: 8 }) }
)

const policy = (size: number): fc.Arbitrary<Policy> =>
  fc.record({
    ehlo: mostly(true, 12),
    extensions,
    tls: fc.oneof(
      { weight: 8, arbitrary: fc.constant("startTls" as const) },
      { weight: 2, arbitrary: fc.constant("implicit" as const) },
      { weight: 1, arbitrary: fc.constant("none" as const) }
    ),
    tlsNotNow: mostly(false, 15),
    requireTls: mostly(false, 8),
    inject: mostly(false, 20),
    liesBeforeTls: fc.boolean(),
    mechanisms: fc.oneof(
      fc.constant(["PLAIN", "LOGIN", "CRAM-MD5"] as const),
      fc.shuffledSubarray(["PLAIN", "LOGIN", "CRAM-MD5"] as const)
    ),
    authBeforeTls: fc.boolean(),
    legacyAuth: mostly(false),
    requireAuth: mostly(false, 8),
    account: fc.oneof({ weight: 8, arbitrary: fc.constant("known" as const) }, {
      weight: 1,
      arbitrary: fc.constantFrom("other password" as const, "unknown" as const, "in transition" as const)
    }),
    relays: mostly(true, 2),
    greylist: mostly(false, 8),
    maxSize: fc.oneof(
      { weight: 5, arbitrary: fc.constant(10_485_760) },
      { weight: 1, arbitrary: fc.constantFrom(size, size - 1, size + 1, 20).map((limit) => Math.max(1, limit)) }
    ),
    maxRecipients: fc.oneof({ weight: 5, arbitrary: fc.constant(100) }, {
      weight: 1,
      arbitrary: fc.integer({ min: 1, max: 4 })
    }),
    greeting: fc.oneof({ weight: 20, arbitrary: fc.constant(220 as const) }, {
      weight: 1,
      arbitrary: fc.constantFrom(421, 450, 554)
    })
  })

// ---------------------------------------------------------------------------
// The client and its message
// ---------------------------------------------------------------------------

export const authenticators = [
  "standard",
  "only PLAIN",
  "CRAM-MD5 then LOGIN",
  "LOGIN at once",
  "PLAIN also without TLS"
] as const

export type AuthenticatorName = typeof authenticators[number]

export interface Client {
  readonly security: Endpoint.Mode
  readonly port: number
  readonly credentials: {
    readonly user: string
    readonly password: string
    readonly authorizationId: string | undefined
  } | undefined
  readonly authenticator: AuthenticatorName
}

/** Long and odd enough to be found wherever it leaks. */
const password = fc.constantFrom("Tr0ub4dor&3-horse", "pä ss=wörd,\"\\x")

const client: fc.Arbitrary<Client> = fc.record({
  security: fc.constantFrom("auto", "auto", "auto", "startTls", "startTlsIfOffered", "plain", "tls"),
  port: fc.constantFrom(25, 465, 587, 2525, 10_025),
  credentials: fc.oneof(
    fc.constant(undefined),
    fc.record({
      user: fc.constantFrom("ann@local.example", "ünal"),
      password: fc.oneof({ weight: 20, arbitrary: password }, { weight: 1, arbitrary: fc.constant("") }),
      authorizationId: fc.oneof({ weight: 10, arbitrary: fc.constant(undefined) }, {
        weight: 1,
        arbitrary: fc.constantFrom("boss", "ann@local.example")
      })
    })
  ),
  authenticator: fc.constantFrom(...authenticators)
})

export interface Letter {
  readonly from: { readonly address: string | null; readonly utf8: boolean }
  readonly to: ReadonlyArray<Party>
  readonly content: Uint8Array
}

const soup = fc.array(
  fc.constantFrom(
    "\r\n",
    "\r\n",
    "\r",
    "\n",
    ".",
    ".",
    "\r\n.",
    "\r\n.\r\n",
    "\n.\n",
    "\r.\r",
    "x",
    "word ",
    "QUIT\r\n",
    "\0",
    "\t"
  ),
  { maxLength: 40 }
).map((parts) => parts.join(""))

// Its blocks of 64 KiB begin and end everywhere in a line, also within CRLF.
const large = fc.tuple(
  fc.constantFrom("0123456789abcd\r\n", ".\r\n", "..\n", "x\r", "line\r\n.line\r\n"),
  fc.integer({ min: 60_000, max: 140_000 })
)
  .map(([unit, length]) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length))

const content = fc.oneof(
  { weight: 6, arbitrary: soup },
  { weight: 1, arbitrary: fc.constant("") },
  {
    weight: 2,
    arbitrary: fc.tuple(soup, fc.constantFrom("\x80", "\xff", "Gr\xfc\xdfe", "\r\n\r\n\xe9"), soup)
      .map((parts) => parts.join(""))
  },
  {
    weight: 1,
    arbitrary: fc.tuple(soup, fc.integer({ min: 997, max: 1000 }), soup)
      .map(([before, length, after]) => `${before}\n${"y".repeat(length)}\n${after}`)
  },
  { weight: 1, arbitrary: large }
).map((text) => bytesOf(text)).map((bytes) =>
  // Printed in the report of a failure: as text, and not all of what is large.
  Object.assign(bytes, {
    [fc.toStringMethod]: () => `${bytes.length} octets ${JSON.stringify(textOf(bytes.subarray(0, 300)))}`
  })
)

const letter: fc.Arbitrary<Letter> = fc.record({
  from: fc.oneof({
    weight: 8,
    arbitrary: fc.constantFrom({ address: "sender@client.example", utf8: false }, { address: null, utf8: false })
  }, {
    weight: 1,
    arbitrary: fc.constant({ address: "jürgen@client.example", utf8: true })
  }),
  to: fc.oneof(
    fc.uniqueArray(
      fc.constantFrom(...recipients.filter(({ local, unknown, utf8 }) => local && unknown !== true && utf8 !== true)),
      { minLength: 1, maxLength: 4 }
    ),
    fc.uniqueArray(fc.constantFrom(...recipients), { minLength: 1, maxLength: 5 }),
    fc.uniqueArray(fc.constantFrom(...recipients.filter(({ local }) => !local)), { minLength: 1 })
  ),
  content
})

// ---------------------------------------------------------------------------
// All of it
// ---------------------------------------------------------------------------

export interface Scenario {
  readonly policy: Policy
  readonly client: Client
  readonly letter: Letter
  readonly overruled: ReadonlyArray<Overruled>
  readonly fault: Fault | undefined
  readonly chunking: Chunking
}

/** The server keeps to its policy; at most the TLS handshake fails. */
export const honest: fc.Arbitrary<Scenario> = letter.chain((letter) =>
  fc.record({
    policy: policy(normalized(letter.content).length),
    client,
    letter: fc.constant(letter),
    overruled: fc.constant([]),
    fault: fc.oneof({ weight: 15, arbitrary: fc.constant(undefined) }, {
      weight: 1,
      arbitrary: fc.constantFrom<Fault>({ _tag: "Tls", problem: "expired" }, {
        _tag: "Tls",
        problem: "HandshakeFailed"
      })
    }),
    chunking
  })
)

/** The server would take the message, if nothing came between: most scenarios end long before that. */
const easy: fc.Arbitrary<Scenario> = honest.map((scenario) => {
  const { client, policy } = scenario
  return {
    ...scenario,
    policy: {
      ...policy,
      ehlo: true,
      extensions: [...new Set([...policy.extensions, "8BITMIME", "SMTPUTF8"])],
      tls: policy.tls === "none" ? "startTls" : policy.tls,
      tlsNotNow: false,
      inject: false,
      mechanisms: ["PLAIN", "LOGIN", "CRAM-MD5"],
      relays: false,
      maxSize: 10_485_760,
      greeting: 220
    },
    client: { ...client, security: "auto" }
  }
})

/** Anything may be said and anything may happen. */
export const hostile: fc.Arbitrary<Scenario> = fc.tuple(
  fc.oneof(honest, { weight: 2, arbitrary: easy }),
  fc.oneof(
    fc.record({ overruled: fc.array(overruled, { maxLength: 3 }), fault: fc.constant(undefined) }),
    fc.record({ overruled: fc.constant([]), fault }),
    fc.record({ overruled: fc.array(overruled, { maxLength: 2 }), fault: fc.option(fault, { nil: undefined }) })
  )
).map(([scenario, trouble]) => ({ ...scenario, ...trouble }))

/** The connection stays open for ever, and nothing comes. */
export const silent: fc.Arbitrary<Scenario> = fc.tuple(honest, silence).map(([scenario, fault]) => ({
  ...scenario,
  fault
}))

/** Content as the server must get it: every CR, LF and CRLF a CRLF, one at the end. Slow and plain. */
export const normalized = (content: Uint8Array): Uint8Array => {
  const text = textOf(content).replace(/\r\n|\r|\n/g, "\r\n")
  return bytesOf(text === "" || text.endsWith("\r\n") ? text : `${text}\r\n`)
}

/** Octets as characters of the same number, and back. */
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")
export const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))
