import type { Collection } from "./exchange.ts"
import { auth } from "./smtplib.auth.ts"
import { mail } from "./smtplib.mail.ts"
import { session } from "./smtplib.session.ts"

/** `from` names classes and methods of `Lib/test/test_smtplib.py`. */
export const smtplib: Collection = {
  project: "CPython, test_smtplib",
  version: "main, commit 00b6c4df3fa4",
  url: "https://github.com/python/cpython",
  exchanges: [...session, ...mail, ...auth],
  differences: [
    {
      from: "GeneralTests.testBasic1 and all that follow it",
      theirs: "says EHLO when the first command is asked for",
      ours: "says EHLO when a session is opened",
      reason: "an open session is one that is ready for mail; what keeps it from that is told at once"
    },
    {
      from: "TooLongLineTests.testLineTooLong",
      theirs: "reads lines of up to 8192 octets",
      ours: "reads up to 16384",
      reason: "a challenge may have 12288 octets (RFC 4954 §4)"
    },
    {
      from: "GeneralTests.testTimeoutNone",
      theirs: "can be told to wait for ever",
      ours: "has a time limit for each step",
      reason: "a client that waits for ever helps nobody; RFC 5321 §4.5.3.2 names the limits"
    },
    {
      from: "DebuggingServerTests.testSend and others, SMTPSimTests.test_lowercase_mail_from_rcpt_to",
      theirs: "says addresses without a domain (`John`, `Sally`)",
      ours: "fails with InvalidInput before it connects",
      reason: "only Postmaster has no domain in SMTP (RFC 5321 §4.1.1.3)"
    },
    {
      from: "SMTPSimTests.test_lowercase_mail_from_rcpt_to",
      theirs: "says verbs and `size=` in small letters, and the size before line ends are added (14)",
      ours: "says them in capitals, and the size as it is on the wire (16)",
      reason: "some servers take only capitals; SIZE counts what is sent, CRLF included (RFC 1870 §3)"
    },
    {
      from: "SMTPSimTests.test_with_statement_QUIT_failure",
      theirs: "fails when QUIT is answered by 421",
      ours: "succeeds with what came before",
      reason: "the work is done by then, and the connection closes either way"
    },
    {
      from: "SMTPSimTests.test_421_from_rcpt_cmd",
      theirs: "tells only the recipient that 421 answered",
      ours: "fails with ServiceClosing, for all of them",
      reason: "421 ends the session (RFC 5321 §3.8): nobody was refused, and nobody gets the message now"
    },
    {
      from: "SMTPSimTests.testAUTH_PLAIN, testAUTH_LOGIN, test_auth_function and SMTPAUTHInitialResponseSimTests",
      theirs: "sends passwords without TLS",
      ours: "fails with NoUsableMechanism, unless the mechanism is named with `Mechanism.allowWithoutTls`",
      reason: "whoever listens would have them"
    },
    {
      from: "SMTPSimTests.testAUTH_multiple",
      theirs: "uses CRAM-MD5 before PLAIN and LOGIN, and tries each after a refusal",
      ours: "uses PLAIN first in TLS; 535 ends it",
      reason: "in verified TLS CRAM-MD5 protects nothing more; one password tried three times locks accounts"
    },
    {
      from: "SMTPSimTests.testAUTH_LOGIN",
      theirs: "says the user with AUTH LOGIN, unless told otherwise",
      ours: "waits for the prompt, unless `Login.loginWithInitialResponse` is named",
      reason: "LOGIN is no standard, and servers that know no initial response to it are many"
    },
    {
      from: "SMTPSimTests.testAUTH_BUGGY",
      theirs: "gives up after 5 challenges, and leaves the exchange open",
      ours: "gives up after 16, and ends the exchange with `*`",
      reason: "RFC 4954 §4 has the client cancel; mechanisms of one's own may need more than five"
    }
  ],
  leftOut: [
    "source addresses, default time limits and Unix sockets, which are below the session: testSourceAddress, testTimeoutDefault, testTimeoutZero, testUnixDomainSocketTimeoutDefault",
    "what is printed for debugging: test_debuglevel, test_debuglevel_2 (sessions are told to an observer)",
    "an envelope made of header fields, and Bcc taken out: testSendMessage, testSendMessageWithAddresses, …WithSomeAddresses, …WithSpecifiedAddresses, …WithMultipleFrom, …Resent, …MultipleResentRaises (the envelope is given)",
    "attributes of a Python object: testSockAttributeExists",
    "options of MAIL as text: DefaultArgumentsTests.testSendMessageWithMailOptions (they have types)"
  ]
}
