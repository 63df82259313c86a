/** Of MailKit's cases: how sessions begin, what is asked in them, and what replies look like. */
import { assert } from "@effect/vitest"
import { Command, Inquiry, Reply } from "@postern/core"
import { ScriptedServer } from "@postern/testing"
import { Effect } from "effect"
import type { Exchange } from "./exchange.ts"
import {
  begins,
  beginsInTls,
  expands,
  fails,
  gives,
  inTls,
  learns,
  message,
  opens,
  quits,
  reason,
  sends,
  steps,
  triesHelo,
  verifies,
  why
} from "./parts.ts"

const { ends, handshake, hears, saysOctets } = ScriptedServer

const calls = (name: string, from: string, given: string, said: string): Exchange => ({
  name: `calls itself ${name}`,
  from,
  options: { domain: given },
  script: `
    S: 220 mail.example ESMTP
    C: EHLO ${said}
    S: 250 mail.example
    ${quits}
  `,
  asks: opens,
  finds: gives(undefined)
})

const notItself = (name: string, from: string, domain: string): Exchange => ({
  name: `does not call itself ${name}, and says so before it connects`,
  from,
  options: { domain },
  script: [],
  asks: opens,
  finds: fails("InvalidInput", { what: "the domain for EHLO" }, "never")
})

/** Asks VRFY, and gets these octets. */
const reads = (name: string, from: string, octets: Uint8Array | string, lines: ReadonlyArray<string>): Exchange => ({
  name,
  from,
  script: [...steps(`${begins()}C: VRFY ann`), saysOctets(octets), ...steps(quits)],
  asks: (client) => client.use((session) => Effect.map(Inquiry.verify(session, "ann"), ({ mailboxes }) => mailboxes)),
  finds: gives(lines)
})

/** Leaves at a reply that is none. */
const leaves = (line: string, from: string): Exchange => ({
  name: `takes ${JSON.stringify(line)} for no reply`,
  from,
  script: `${begins()}
    C: VRFY ann
    S: ${line}
    -- close
  `,
  asks: verifies("ann"),
  finds: fails("ProtocolViolation", { step: "Vrfy" }, "later")
})

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `this is line ${i} of a reply that is long`)
const long = (lines: ReadonlyArray<string>) => lines.map((line, i) => `250${i < lines.length - 1 ? "-" : " "}${line}`)

// The last line's code begins this many octets before the 4096th.
const acrossTheBoundary = (octets: number): ReadonlyArray<string> => {
  const lines = numbered(60)
  const size = lines.reduce((sum, line) => sum + line.length + 6, 0)
  return [...lines, "a".repeat(4096 - octets - size - 6), "and this is the last"]
}

// Latin-1, an octet a character.
const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))

const people = [
  "Jon Postel <Postel@USC-ISIF.ARPA>",
  "Quincy Smith <@USC-ISIF.ARPA:Q-Smith@ISI-VAXA.ARPA>",
  "<joe@foo-unix.ARPA>"
]

export const session: ReadonlyArray<Exchange> = [
  calls("[127.0.0.1]", "TestLocalDomainIPv4", "[127.0.0.1]", "[127.0.0.1]"),
  calls("[IPv6:::1]", "TestLocalDomainIPv6", "[IPv6:::1]", "[IPv6:::1]"),
  calls("by A-labels", "TestGetSafeHostName", "名がドメイン.com", "xn--v8jxj3d1dzdz08w.com"),
  notItself("127.0.0.1, which is no name", "TestLocalDomainIPv4", "127.0.0.1"),
  notItself("::1 without brackets", "TestLocalDomainIPv6", "::1"),
  notItself("by a name with an underscore", "TestGetSafeHostName", "underscore_domain.com"),
  notItself("by labels of 256 letters", "TestGetSafeHostName", `${"a".repeat(256)}.${"b".repeat(256)}.com`),
  {
    name: "says HELO with the same address literal after EHLO was answered by 504",
    from: "TestHeloFallback",
    options: { domain: "[IPv6:::1]" },
    script: `
      S: 220 mail.example
      C: EHLO [IPv6:::1]
      S: 504 not known
      C: HELO [IPv6:::1]
      S: 250 mail.example hello [127.0.0.1]
      ${quits}
    `,
    asks: learns(({ capabilities }) => [
      capabilities?.extended,
      capabilities?.domain,
      Object.keys(capabilities?.keywords ?? {})
    ]),
    finds: gives([false, "mail.example", []])
  },
  {
    name: "is told the code where EHLO and HELO are refused",
    from: "TestHeloErrorHandlingFailed",
    script: `
      ${triesHelo("504 not known")}
      S: 504 nor this
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => assert.strictEqual(Reply.render(reason(outcome, "CommandRefused").reply), "504 not known")
  },
  {
    name: "does not go on in plain text where HELO leaves STARTTLS unoffered",
    from: "TestStartTlsNotSupported",
    options: { security: "startTls" },
    script: `
      ${triesHelo("504 not known")}
      S: 250 mail.example
      ${quits}
    `,
    asks: opens,
    finds: fails("TlsUnavailable", { reply: undefined }, "never")
  },
  {
    name: "is told that it is refused by a server that greets with 221",
    from: "TestServiceNotReady",
    script: `
      S: 221 not ready
      ${quits}
    `,
    asks: opens,
    finds: fails("GreetingRefused", { reply: Reply.make(221, "not ready") }, "later")
  },
  ...([
    ["wrong-name", "it is for other.example"],
    ["self-signed", "it is its own issuer"],
    ["expired", "it expired"],
    ["revoked", "it is revoked"]
  ] as const).map(([problem, detail]): Exchange => ({
    name: `says nothing to a server whose certificate is refused (${problem})`,
    from: "TestSslHandshakeExceptions",
    options: inTls,
    script: [handshake({ _tag: "CertificateRefused", problem, detail })],
    asks: opens,
    finds: fails("CertificateRefused", { problem, detail }, "never")
  })),
  {
    name: "is told that a server which should speak TLS first does not",
    from: "TestSslHandshakeExceptions (plain text)",
    options: inTls,
    script: [handshake({ _tag: "NotTls", firstBytes: latin1("220 mail.example ESMTP\r\n") })],
    asks: opens,
    finds: fails("TlsModeMismatch", { mode: "tls", use: "startTls" }, "now")
  },
  {
    name: "asks for STARTTLS by itself on port 25, and does not go on without",
    from: "TestComputeDefaultValues (Auto)",
    options: { security: "auto" },
    script: `${begins()}${quits}`,
    asks: opens,
    finds: fails("TlsUnavailable", { reply: undefined }, "never")
  },
  {
    name: "begins with TLS by itself on port 465",
    from: "TestComputeDefaultValues (Auto)",
    options: { security: "auto", endpoint: "mail.example:465" },
    script: `${beginsInTls()}${quits}`,
    asks: opens,
    finds: gives(undefined)
  },
  {
    name: "goes on in plain text where that was allowed and STARTTLS is not offered",
    from: "TestComputeDefaultValues (StartTlsWhenAvailable)",
    options: { security: "startTlsIfOffered" },
    script: `${begins()}${quits}`,
    asks: learns(({ tls }) => tls),
    finds: gives(undefined)
  },
  {
    name: "reads replies that come octet by octet",
    from: "TestSmtpResponseModes (Char, Line)",
    script: [
      ...Array.from("220 mail.example ESMTP\r\n", saysOctets),
      hears("EHLO client.example"),
      ...Array.from("250-mail.example\r\n250-SIZE 36700160\r\n250 8BITMIME\r\n", saysOctets),
      hears("QUIT"),
      ...Array.from("221 bye\r\n", saysOctets),
      ends
    ],
    asks: learns(({ capabilities }) => [
      capabilities?.size,
      capabilities?.eightBitMime
    ]),
    finds: gives([36_700_160, true])
  },
  {
    name: "asks who a user is and who is on a list, and gets each line as it was said",
    from: "TestBasicFunctionality (VRFY, EXPN), TestCustomCommand",
    script: `${begins()}
      C: VRFY Smith
      S: 250 Fred Smith <Smith@USC-ISIF.ARPA>
      C: EXPN Example-People
      S: 250-${people[0]}
      S: 250-${people[1]}
      S: 250 ${people[2]}
      ${quits}
    `,
    asks: (client) =>
      client.use((session) =>
        Effect.all([Inquiry.verify(session, "Smith"), Inquiry.expand(session, "Example-People")])
      ),
    finds: gives([{ certain: true, mailboxes: ["Fred Smith <Smith@USC-ISIF.ARPA>"] }, people])
  },
  {
    name: "does not say VRFY or EXPN of two lines",
    from: "TestArgumentExceptions",
    script: `${begins()}${quits}`,
    asks: expands("line1\r\nline2"),
    finds: fails("InvalidInput", { what: "the argument of EXPN" }, "never")
  },
  {
    name: "keeps the session when NOOP is refused",
    from: "TestNoOp",
    script: `${begins()}
      C: NOOP
      S: 250 2.0.0 OK
      C: NOOP
      S: 503 bad sequence
      ${quits}
    `,
    asks: (client) =>
      client.use((session) =>
        Effect.gen(function*() {
          const first = yield* session.send(Command.noop)
          const second = yield* why(session.send(Command.noop))
          return [Reply.render(first), second?.problem]
        })
      ),
    finds: gives(["250 2.0.0 OK", "NOOP was refused: 503 bad sequence"])
  },
  ...["XXX nonsense", "0 nonsense", "01 nonsense", "012 nonsense", "1234 nonsense"].map((line) =>
    leaves(line, "SmtpStreamTests.TestReadResponseInvalidStatusCode")
  ),
  {
    name: "does not take a reply whose lines have two codes",
    from: "SmtpStreamTests.TestReadResponseMismatchedResponseCodes",
    script: `${begins()}
      C: MAIL FROM:<ann@example.org>
      S: 250-one code
      S: 340 and another
      -- close
    `,
    asks: sends(message),
    finds: fails("ProtocolViolation", { step: "Mail" }, "later")
  },
  ...[0, 1, 2, 3, 4].map((octets) => {
    const lines = acrossTheBoundary(octets)
    return reads(
      `reads a reply of more than 4096 octets, the last line of which begins ${octets} before that`,
      "SmtpStreamTests.TestReadResponseStatusCodeUnderflow, TestReadResponseOver4K",
      long(lines).map((line) => `${line}\r\n`).join(""),
      lines
    )
  }),
  reads(
    "reads a reply in Latin-1",
    "SmtpStreamTests.TestReadResponseLatin1Fallback",
    latin1("250-Un projet d'encyclopédie\r\n250 visant à être libre\r\n"),
    ["Un projet d'encyclopédie", "visant à être libre"]
  ),
  {
    name: "is told when the connection breaks while it writes",
    from: "SmtpStreamTests.TestDisconnectOnWriteException",
    script: [
      ...steps(begins()),
      { _tag: "Ends", problem: { _tag: "Broken", code: "EPIPE", detail: "broken pipe" } }
    ],
    asks: verifies("ann"),
    finds: fails("ConnectionLost", { step: "Vrfy" }, "now")
  }
]
