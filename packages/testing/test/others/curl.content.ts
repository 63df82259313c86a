/** Of curl's cases: how content goes out, and what sizes come to. */
import { assert } from "@effect/vitest"
import { Stream } from "effect"
import type { Exchange } from "./exchange.ts"
import {
  begins,
  beginsInTls,
  data,
  delivered,
  delivers,
  fails,
  failure,
  gives,
  inTls,
  isTaken,
  message,
  quits,
  reason,
  recipient,
  resets,
  sender,
  sends
} from "./parts.ts"

const line = "0123456789".repeat(10)
const utf8 = new TextEncoder()

/** The usual envelope, and content of these lines. */
const taken = (lines: string) => `${sender()}${recipient()}${data(lines)}${quits}`

const dots = taken(`
  C: Subject: dots
  C: 
  C: ..
  C: ..
  C: 
  C: ..
  C: 
  C: body
`)

export const content: ReadonlyArray<Exchange> = [
  {
    name: "reads a greeting of several lines, and sends where nothing is offered",
    from: "tests/data/test900, test909; tests/ftpserver.pl (greeting)",
    script: `
      S: 220-          .   .
      S: 220-   welcome  /\\_
      S: 220 .
      C: EHLO client.example
      S: 250 mail.example is here
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "does not send a line of 65530 octets that the server has no extension for",
    from: "tests/data/test900 (a difference)",
    script: `${begins()}${quits}`,
    asks: sends({ ...message, content: `Subject: hello\r\n\r\n${"0123456789".repeat(6553)}\r\n` }),
    finds: fails("ExtensionMissing", { extension: "BINARYMIME" }, "never")
  },
  {
    name: "sends more than 64 KiB",
    from: "tests/data/test1711, test941",
    script: `${begins()}${taken(`C: ${line}\n`.repeat(900))}`,
    ...isTaken({ ...message, content: `${line}\r\n`.repeat(900) })
  },
  {
    name: "makes CRLF of every LF",
    from: "tests/data/test941",
    script: `${begins()}${
      taken(`
        C: Subject: hello
        C: 
        C: one
        C: two
        C: 
        C: three
      `)
    }`,
    ...isTaken({ ...message, content: "Subject: hello\n\none\ntwo\n\nthree\n" })
  },
  {
    name: "doubles dots at the beginning of lines, those that stand alone, too",
    from: "tests/data/test901",
    script: `${begins()}${dots}`,
    ...isTaken({ ...message, content: "Subject: dots\r\n\r\n.\r\n.\r\n\r\n.\r\n\r\nbody\r\n" })
  },
  {
    name: "doubles dots of content that comes in pieces, and ends its last line",
    from: "tests/data/test1520 and tests/libtest/lib1520.c",
    script: `${begins()}${dots}`,
    asks: (client) => {
      const pieces = ["Subject: dots\r\n", "\r\n", ".\r\n", ".\r\n", "\r\n", ".\r\n", "\r\n", "body"]
      const stream = Stream.fromIterable(pieces.map((piece) => utf8.encode(piece)))
      return sends({ ...message, content: stream })(client)
    },
    finds: gives(delivered)
  },
  {
    name: "doubles a dot that is the first octet of the content",
    from: "tests/data/test951",
    script: `${begins()}${taken("C: ..a dot comes first")}`,
    ...isTaken({ ...message, content: ".a dot comes first\r\n" })
  },
  {
    name: "doubles a dot that is all of the content",
    from: "tests/data/test952",
    script: `${begins()}${taken("C: ..")}`,
    ...isTaken({ ...message, content: ".\r\n" })
  },
  {
    name: "ends a last line that has no end",
    from: "tests/data/test910",
    script: `${begins()}${delivers}`,
    ...isTaken({ ...message, content: "Subject: hello\r\n\r\nHello." })
  },
  {
    name: "sends content of no octets",
    from: "tests/data/test911",
    script: `${begins()}${taken("")}`,
    ...isTaken({ ...message, content: "" })
  },
  {
    name: "names the size where SIZE is offered without a number",
    from: "tests/data/test912",
    script: `${begins("SIZE")}
      ${sender("<ann@example.org> SIZE=26")}
      ${recipient()}
      ${data()}
      ${quits}
    `,
    ...isTaken(message)
  },
  {
    name: "names the size as it is on the wire, once for two recipients",
    from: "tests/data/test1406",
    script: `${begins("SIZE")}
      ${sender("<ann@example.org> SIZE=26")}
      ${recipient()}
      ${recipient("<cat@example.com>")}
      ${data()}
      ${quits}
    `,
    asks: sends({ from: message.from, to: [message.to, "cat@example.com"], content: "Subject: hello\n\nHello.\n" }),
    finds: gives([...delivered, "Accepted <cat@example.com>: 250 taken"])
  },
  {
    name: "says nothing of a message that is larger than SIZE",
    from: "tests/data/test913 (a difference)",
    script: `${begins("SIZE 20")}${quits}`,
    asks: sends(message),
    finds: fails("TooLarge", { size: 26, limit: 20, reply: undefined }, "never")
  },
  {
    name: "is told at MAIL that the message is too large",
    from: "tests/data/test913; tests/ftpserver.pl (552)",
    script: `${begins("SIZE")}
      C: MAIL FROM:<ann@example.org> SIZE=26
      S: 552 the size is too large
      ${resets}
    `,
    asks: sends(message),
    finds: (outcome) => {
      assert.strictEqual(reason(outcome, "TooLarge").reply?.code, 552)
      assert.strictEqual(failure(outcome).retry, "never")
    }
  },
  {
    name: "closes, without the dot, when the content fails behind DATA",
    from: "tests/data/test649, test1507 and tests/libtest/lib1507.c",
    script: `${begins()}
      ${sender()}
      ${recipient()}
      C: DATA
      S: 354 go on
      C: Subject: hello
      -- close
    `,
    asks: (client) => {
      const begun = Stream.make(utf8.encode("Subject: hello\r\n"))
      return client.send({ ...message, content: Stream.concat(begun, Stream.fail("the attachment is no 7-bit text")) })
    },
    finds: (outcome) => {
      assert.include(reason(outcome, "ContentUnavailable").detail, "no 7-bit text")
    }
  },
  {
    name: "sends in TLS from the first octet",
    from: "tests/data/test987",
    options: inTls,
    script: `${beginsInTls("STARTTLS")}${delivers}`,
    ...isTaken(message)
  }
]
