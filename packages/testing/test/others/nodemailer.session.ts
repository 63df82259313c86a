/** Of nodemailer's cases: how sessions begin and end, and what replies look like. */
import { assert } from "@effect/vitest"
import { Reply } from "@postern/core"
import { ScriptedServer } from "@postern/testing"
import { Effect } from "effect"
import type { Exchange } from "./exchange.ts"
import {
  begins,
  beginsInTls,
  data,
  delivers,
  fails,
  failure,
  gives,
  hello,
  inTls,
  isTaken,
  learns,
  message,
  opens,
  quits,
  reason,
  recipient,
  resets,
  sender,
  sends,
  startsTls,
  steps,
  why
} from "./parts.ts"

const { ends, hears, interjects, says, saysOctets, stalls } = ScriptedServer

const begun = steps(begins())
const asksMail = steps(`${begins()}C: MAIL FROM:<ann@example.org>`)

/** MAIL gets these octets, in as many pieces. */
const refusesMail = (...octets: ReadonlyArray<string | Uint8Array>): ScriptedServer.Script => [
  ...asksMail,
  ...octets.map(saysOctets),
  ...steps(resets)
]

const mailWasRefused = (text: string): Exchange["finds"] => (outcome) => {
  const { reply } = reason(outcome, "TemporaryFailure")
  assert.deepStrictEqual([reply.code, reply.lines], [451, [text]])
  assert.include(failure(outcome).problem, text)
  assert.strictEqual(failure(outcome).retry, "later")
}

export const session: ReadonlyArray<Exchange> = [
  {
    name: "does not take an empty line for a greeting",
    from: "smtp-connection-test: Response parser robustness (before the greeting)",
    script: [saysOctets("\r\n220 mail.example ESMTP\r\n"), ends],
    asks: opens,
    finds: fails("ProtocolViolation", { step: "Greeting" }, "later")
  },
  {
    name: "does not go on after an empty line behind a reply",
    from: "smtp-connection-test: Response parser robustness (after EHLO)",
    script: `${begins("HELP")}
      S: 
      -- close
    `,
    asks: sends(message),
    finds: fails("ProtocolViolation", {}, "later")
  },
  ...[
    "legit.example\r\nMAIL FROM:<mallory@example.org>\r\nRCPT TO:<ben@example.net>\r\nDATA\r\nx\r\n.",
    "a\rb",
    "a\nb",
    "a\r\n\r\nb"
  ].map((domain): Exchange => ({
    name: `connects to nobody as ${JSON.stringify(domain)}`,
    from: "smtp-connection-test: Security",
    options: { domain },
    script: [],
    asks: opens,
    finds: fails("InvalidInput", { what: "the domain for EHLO" }, "never")
  })),
  {
    name: "tells a reply in UTF-8 as it was said",
    from: "smtp-connection-test: Server response decoding (error response)",
    script: refusesMail("451 4.7.1 Nicht jetzt: öõüä Привет мир\r\n"),
    asks: sends(message),
    finds: mailWasRefused("4.7.1 Nicht jetzt: öõüä Привет мир")
  },
  {
    name: "tells a reply in UTF-8 whose octets come one by one",
    from: "smtp-connection-test: Server response decoding (split across chunks)",
    script: refusesMail("451 4.7.1 split: ", Uint8Array.of(0xc3), Uint8Array.of(0xb6), "\r\n"),
    asks: sends(message),
    finds: mailWasRefused("4.7.1 split: ö")
  },
  {
    name: "reads a reply that is no UTF-8 an octet a character, and loses none",
    from: "smtp-connection-test: Server response decoding (not valid UTF-8)",
    script: refusesMail("451 4.7.1 octets: ", Uint8Array.of(0xff, 0xfe), "\r\n"),
    asks: sends(message),
    finds: mailWasRefused("4.7.1 octets: ÿþ")
  },
  ...["öõ Привет", "as ABC123"].map((queued): Exchange => ({
    name: `tells what the server said of the content: ${queued}`,
    from: "smtp-connection-test: Server response decoding (success response, pure ASCII)",
    script: `${begins()}
      ${sender()}
      ${recipient()}
      ${data(hello, `250 2.0.0 OK queued ${queued}`)}
      ${quits}
    `,
    asks: (client) => Effect.map(client.send(message), ({ reply }) => Reply.render(reply)),
    finds: gives(`250 2.0.0 OK queued ${queued}`)
  })),
  {
    name: "reads extensions behind a first line in UTF-8",
    from: "smtp-connection-test: Server response decoding (EHLO)",
    script: `
      S: 220 mail.example ESMTP
      C: EHLO client.example
      S: 250-mail.example Привет
      S: 250-PIPELINING
      S: 250 SIZE 10485760
      ${quits}
    `,
    asks: learns(({ capabilities }) => [
      capabilities?.domain,
      capabilities?.pipelining,
      capabilities?.size
    ]),
    finds: gives(["mail.example", true, 10_485_760])
  },
  {
    name: "takes no reply from a server that closes in the middle of its line, and tells what there was of it",
    from: "smtp-connection-test: Server response decoding (_remainder)",
    script: [says("220 mail.example ESMTP"), hears("EHLO client.example"), saysOctets("421 Прощай"), ends],
    asks: opens,
    finds: fails("ConnectionLost", {
      step: "Ehlo",
      detail:
        "the server closed the connection, in the middle of a reply: \"421 \\xd0\\x9f\\xd1\\x80\\xd0\\xbe\\xd1\\x89\\xd0\\xb0\\xd0\\xb9\""
    }, "now")
  },
  {
    name: "connects in plain text where that was asked for",
    from: "smtp-connection-test: should connect to unsecure server",
    script: `${begins("STARTTLS")}${quits}`,
    asks: learns(({ tls }) => tls),
    finds: gives(undefined)
  },
  {
    name: "goes on in TLS after STARTTLS",
    from: "smtp-connection-test: should connect to a server and upgrade with STARTTLS, with forced STARTTLS",
    options: { security: "startTls" },
    script: `${begins("STARTTLS")}${startsTls}
      S: 250 mail.example
      ${quits}
    `,
    asks: learns(({ tls }) => tls !== undefined),
    finds: gives(true)
  },
  {
    name: "goes on without STARTTLS where it is not offered and need not be",
    from: "smtp-connection-test: should connect to a server and try to upgrade STARTTLS",
    options: { security: "startTlsIfOffered" },
    script: `${begins()}${delivers}`,
    ...isTaken(message)
  },
  {
    name: "does not go on without STARTTLS where it is required",
    from: "smtp-connection-test: should try upgrade with STARTTLS where not advertised",
    options: { security: "startTls" },
    script: `${begins()}${quits}`,
    asks: sends(message),
    finds: fails("TlsUnavailable", { reply: undefined }, "never")
  },
  {
    name: "is told that the connection was lost when the server closes after STARTTLS",
    from: "smtp-connection-test: should close connection after STARTTLS",
    options: { security: "startTls" },
    script: `${begins("STARTTLS")}${startsTls}
      S: 250 mail.example
      -- close
    `,
    asks: sends(message),
    finds: fails("ConnectionLost", { step: "Mail" }, "now")
  },
  {
    name: "connects to a server that speaks TLS first",
    from: "smtp-connection-test: should connect to a secure server",
    options: inTls,
    script: `${beginsInTls()}${quits}`,
    asks: learns(({ tls }) => tls !== undefined),
    finds: gives(true)
  },
  {
    name: "ends the session where plain text follows the consent to STARTTLS",
    from: "starttls-buffer-test: discards pre-TLS buffered bytes",
    options: { security: "startTls" },
    script: [
      ...steps(`${begins("STARTTLS")}C: STARTTLS`),
      saysOctets("220 2.0.0 go on\r\n250-SMTPUTF8 INJECTED "),
      ends
    ],
    asks: sends(message),
    finds: (outcome) => {
      assert.include(reason(outcome, "PlaintextInjected").bytes, "INJECTED")
      assert.strictEqual(failure(outcome).retry, "never")
    }
  },
  {
    name: "is told of a 454 that nobody asked for, with which the server goes away",
    from: "smtp-connection-test: should connect and be rejected",
    script: [...begun, interjects("454 4.3.0 try again later\r\n"), ScriptedServer.resets],
    asks: (client) =>
      Effect.flatMap(client.open, ({ send, usable }) =>
        Effect.gen(function*() {
          return [yield* usable, (yield* why(send(message)))?.problem]
        })),
    finds: gives([
      false,
      "the server left the protocol at MAIL FROM: expected silence until the next command, received \"454 4.3.0 try again later\""
    ])
  },
  {
    name: "does not take a port above 65535",
    from: "smtp-connection-test: should emit error for too large port",
    options: { endpoint: "mail.example:999999999" },
    script: [],
    asks: opens,
    finds: fails("InvalidInput", {}, "never")
  },
  {
    name: "does not wait for ever for a greeting",
    from: "smtp-connection-test: should emit inactivity timeout error",
    options: { timeLimits: { Greeting: "100 millis" } },
    script: "-- stall",
    asks: opens,
    finds: fails("TimedOut", { step: "Greeting", limit: 100 }, "later")
  },
  {
    name: "does not wait for ever for the reply to a command",
    from: "smtp-connection-test: should emit inactivity timeout error",
    script: [...asksMail, stalls],
    asks: sends(message),
    finds: fails("TimedOut", { step: "Mail", limit: 300_000 }, "later")
  },
  {
    name: "finds out whether it would get in without sending anything",
    from: "smtp-tranport-test, smtp-pool-test: Should verify connection with(out credentials with) success",
    script: `${begins("AUTH PLAIN", "STARTTLS")}${quits}`,
    asks: learns(({ authenticated }) => authenticated),
    finds: gives(undefined)
  }
]
