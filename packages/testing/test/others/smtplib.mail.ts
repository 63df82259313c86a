/** Of smtplib's cases: messages, and replies that end sessions. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { Exchange } from "./exchange.ts"
import {
  begins,
  data,
  delivered,
  delivers,
  fails,
  failure,
  gives,
  hello,
  isTaken,
  message,
  quits,
  reason,
  recipient,
  resets,
  sender,
  sends,
  told
} from "./parts.ts"

/** A transaction with this content, from and to those of {@link message} unless others are given. */
const takes = (content: string, from = "<ann@example.org>", to = "<ben@example.net>") => `
  C: MAIL FROM:${from}
  S: 250 OK
  C: RCPT TO:${to}
  S: 250 OK
  C: DATA
  S: 354 go on
  ${content}
  C: .
  S: 250 taken
`

const utf8 = new TextEncoder()

export const mail: ReadonlyArray<Exchange> = [
  {
    name: "makes CRLF of CR and of LF, and doubles dots",
    from: "GeneralTests.testQuoteData",
    script: `${begins()}
      ${
      takes(`
        C: abc
        C: ..jkl
        C: foo
        C: ...blue
      `)
    }
      ${quits}
    `,
    ...isTaken({ ...message, content: "abc\n.jkl\rfoo\r\n..blue" })
  },
  {
    name: "sends text of one line, whose size is that on the wire",
    from: "DebuggingServerTests.testSend; SMTPSimTests.test_lowercase_mail_from_rcpt_to",
    script: `${begins("SIZE 33554432")}
      ${takes("C: One line alone", "<ann@example.org> SIZE=16")}
      ${quits}
    `,
    ...isTaken({ ...message, content: "One line alone" })
  },
  {
    name: "sends octets as it does text",
    from: "DebuggingServerTests.testSendBinary",
    script: `${begins("SIZE 33554432")}
      ${takes("C: One line alone", "<ann@example.org> SIZE=16")}
      ${quits}
    `,
    ...isTaken({ ...message, content: utf8.encode("One line alone") })
  },
  {
    name: "doubles dots at the beginning of lines, and no others",
    from: "DebuggingServerTests.testSendNeedingDotQuote",
    script: `${begins()}
      ${
      takes(`
        C: ..one
        C: ..two.three.
      `)
    }
      ${quits}
    `,
    ...isTaken({ ...message, content: ".one\n.two.three." })
  },
  {
    name: "sends with the null reverse-path, written <>",
    from: "DebuggingServerTests.testSendNullSender",
    script: `${begins()}
      ${takes("C: One line alone", "<>")}
      ${quits}
    `,
    ...isTaken({ ...message, from: "<>", content: "One line alone" })
  },
  {
    name: "says nothing for an address without a domain",
    from: "DebuggingServerTests.testSend (a difference)",
    script: [],
    asks: sends({ from: "ann", to: "ben", content: "One line alone" }),
    finds: fails("InvalidInput", { what: "\"from\" of the envelope" }, "never")
  },
  {
    name: "says no option with a line break in it",
    from: "DebuggingServerTests.test_issue43124_escape_options",
    script: [],
    asks: sends({ ...message, dsn: { envelopeId: "id\nRSET" } }),
    finds: fails("InvalidInput", { what: "\"dsn.envelopeId\" of the envelope" }, "never")
  },
  {
    name: "says the address alone where there is a name with it",
    from: "SMTPSimTests.test_name_field_not_included_in_envelop_addresses",
    script: `${begins()}${delivers}`,
    ...isTaken({ ...message, from: "Änne <ann@example.org>", to: "Ørjan <ben@example.net>" })
  },
  {
    name: "stays with what it was told when the server hangs up behind it",
    from: "SMTPSimTests.test__rest_from_mail_cmd",
    script: `${begins()}
      C: MAIL FROM:<ann@example.org>
      S: 451 trouble here
      -- close
    `,
    asks: sends(message),
    finds: (outcome) => {
      fails("TemporaryFailure", { step: "Mail" }, "later")(outcome)
      assert.strictEqual(reason(outcome, "TemporaryFailure").reply.code, 451)
    }
  },
  {
    name: "says no RSET behind 421 to MAIL",
    from: "SMTPSimTests.test_421_from_mail_cmd",
    script: `${begins()}
      C: MAIL FROM:<ann@example.org>
      S: 421 going down
      -- close
    `,
    asks: sends(message),
    finds: fails("ServiceClosing", { step: "Mail" }, "later")
  },
  {
    name: "says nothing behind 421 to the second of three recipients",
    from: "SMTPSimTests.test_421_from_rcpt_cmd",
    script: `${begins()}
      ${sender()}
      ${recipient()}
      C: RCPT TO:<cat@example.com>
      S: 421 closing
      -- close
    `,
    asks: sends({ ...message, to: ["ben@example.net", "cat@example.com", "dan@example.com"] }),
    finds: (outcome) => {
      fails("ServiceClosing", { step: "Rcpt" }, "later")(outcome)
      assert.include(failure(outcome).problem, "421 closing")
    }
  },
  {
    name: "is told by 421 that the content is not taken",
    from: "SMTPSimTests.test_421_from_data_cmd",
    script: `${begins()}
      ${sender()}
      ${recipient()}
      ${data(hello, "421 closing")}
      S: 421 closing
      S: 421 closing
      -- close
    `,
    asks: sends(message),
    finds: fails("ServiceClosing", { step: "Content" }, "later")
  },
  {
    name: "says nothing for a recipient beyond ASCII to a server without SMTPUTF8",
    from: "SMTPSimTests.test_smtputf8_NotSupportedError_if_no_server_support, test_send_unicode_without_SMTPUTF8",
    script: `${begins("SIZE 20000000")}${quits}`,
    asks: sends({ ...message, to: "zoë@example.net" }),
    finds: fails("ExtensionMissing", { extension: "SMTPUTF8" }, "never")
  },
  {
    name: "says nothing for a sender beyond ASCII to a server without SMTPUTF8",
    from: "SMTPSimTests.test_send_message_error_on_non_ascii_addrs_if_no_smtputf8, test_send_unicode_without_SMTPUTF8",
    script: `${begins("SIZE 20000000", "8BITMIME")}${quits}`,
    asks: sends({ ...message, from: "Jürgen <jürgen@bar.example>" }),
    finds: fails("ExtensionMissing", { extension: "SMTPUTF8" }, "never")
  },
  {
    name: "says SMTPUTF8 and BODY=8BITMIME where addresses and content go beyond ASCII",
    from:
      "SMTPUTF8SimTests.test_test_server_supports_extensions, test_send_unicode_with_SMTPUTF8_via_sendmail, test_send_unicode_with_SMTPUTF8_via_low_level_API",
    script: `${begins("SMTPUTF8", "8BITMIME")}
      ${
      takes(
        "C: ¡también así!",
        "<jürgen@example.org> BODY=8BITMIME SMTPUTF8",
        "<zoë@example.net>"
      )
    }
      ${quits}
    `,
    asks: (client) =>
      Effect.map(
        client.send({
          from: "jürgen@example.org",
          to: "zoë@example.net",
          content: utf8.encode("¡también así!")
        }),
        told
      ),
    finds: gives(["Accepted <zoë@example.net>: 250 taken"])
  },
  {
    name: "says SMTPUTF8 and BODY=8BITMIME where the sender and header fields go beyond ASCII, for each message anew",
    from: "SMTPUTF8SimTests.test_send_message_uses_smtputf8_if_addrs_non_ascii; DefaultArgumentsTests",
    script: `${begins("SMTPUTF8", "8BITMIME")}
      ${
      `
        ${sender("<jürgen@bar.example> BODY=8BITMIME SMTPUTF8")}
        ${recipient()}
        C: DATA
        S: 354 go on
        C: From: Jürgen <jürgen@bar.example>
        C: Content-Transfer-Encoding: 8bit
        C: 
        C: à bientôt
        C: .
        S: 250 taken
      `.repeat(2)
    }
      ${quits}
    `,
    asks: (client) =>
      Effect.gen(function*() {
        const { send } = yield* client.open
        const unicode = {
          ...message,
          from: "Jürgen <jürgen@bar.example>",
          content: "From: Jürgen <jürgen@bar.example>\nContent-Transfer-Encoding: 8bit\n\nà bientôt\n"
        }
        return [...told(yield* send(unicode)), ...told(yield* send(unicode))]
      }),
    finds: gives([...delivered, ...delivered])
  },
  {
    name: "says RSET behind any other refusal of MAIL",
    from: "SMTPSimTests.test_421_from_mail_cmd, with another code",
    script: `${begins()}
      C: MAIL FROM:<ann@example.org>
      S: 451 not now
      ${resets}
    `,
    asks: sends(message),
    finds: fails("TemporaryFailure", { step: "Mail" }, "later")
  }
]
