/** What the tests of MailKit's SmtpClient say. */
import type { Collection } from "./exchange.ts"
import { auth } from "./mailkit.auth.ts"
import { mail } from "./mailkit.mail.ts"
import { session } from "./mailkit.session.ts"

export const mailkit: Collection = {
  project: "MailKit",
  version: "4.17.0 (d1f7aa7, 2026-08-19)",
  url: "https://github.com/jstedfast/MailKit",
  exchanges: [...session, ...auth, ...mail],
  differences: [
    {
      from: "TestAuthenticationFailed",
      theirs: "tries LOGIN after 535 to PLAIN, and the same password a third time when asked again",
      ours: "fails with AuthenticationFailed after the first 535",
      reason: "the password is wrong for LOGIN, too, and some servers lock an account after three failures"
    },
    {
      from: "TestEightBitMime, TestPipelining and all others that authenticate",
      theirs: "sends passwords without TLS",
      ours: "fails with NoUsableMechanism, unless the mechanism is named with `Mechanism.allowWithoutTls`",
      reason: "whoever listens would have them"
    },
    {
      from: "TestXEXPSExtension",
      theirs: "reads the mechanisms of X-EXPS as if AUTH had offered them",
      ours: "reads AUTH and the old `AUTH=` alone",
      reason:
        "X-EXPS is a command of its own between Exchange servers; those that offer it to clients offer AUTH as well"
    },
    {
      from: "TestSaslExceptionProperlyResets",
      theirs: "answers a false proof by an empty line",
      ours: "answers it by `*`",
      reason: "that is how an exchange is cancelled (RFC 4954 §4)"
    },
    {
      from: "TestLocalDomainIPv4, TestLocalDomainIPv6, TestLocalDomainIPv4MappedToIPv6",
      theirs: "puts an address without brackets, given as the domain, into brackets, a mapped one as IPv4",
      ours: "takes address literals as they are written, `[127.0.0.1]`; anything else is InvalidInput",
      reason: "one way to say a thing; the error tells how"
    },
    {
      from: "TestGetSafeHostName",
      theirs: "makes a hyphen of an underscore, and takes labels that are too long",
      ours: "fails with InvalidInput",
      reason: "a host of that name is not this one (RFC 5321 §4.1.2 has neither)"
    },
    {
      from: "TestComputeDefaultValues",
      theirs: "goes on in plain text by itself where STARTTLS is not offered on a port other than 465",
      ours: "fails with TlsUnavailable; `startTlsIfOffered` is for those who want that",
      reason: "who takes the offer away would read everything"
    },
    {
      from: "TestInternationalMailboxes (SMTPUTF8 taken away)",
      theirs: "sends it all the same, with the mailbox as `MailboxAddress.EncodeAddrspec` writes it",
      ours: "fails with ExtensionMissing",
      reason:
        "a local part beyond ASCII needs SMTPUTF8 at each server on its way (RFC 6531); another form of it is another mailbox"
    },
    {
      from: "TestInternationalMailboxes, TestDeliveryStatusNotification",
      theirs: "says SMTPUTF8 before BODY, and ENVID before RET",
      ours: "says BODY, SMTPUTF8, RET, ENVID",
      reason: "the order means nothing (RFC 5321 §4.1.2)"
    },
    {
      from: "TestDeliveryStatusNotificationWithHexEncode",
      theirs: "makes an ENVID of UTF-8, each octet in hexadecimal",
      ours: "fails with InvalidInput",
      reason: "an ENVID is printable ASCII before it is encoded (RFC 3461 §4.4)"
    },
    {
      from: "TestDeliveryStatusNotification, TestDeliveryStatusNotificationWithHexEncode",
      theirs: "says ORCPT of every recipient, and takes ENVID from Message-ID",
      ours: "says each where it is given",
      reason: "the address that the sender wrote is known to the caller alone"
    },
    {
      from: "TestRequireTls",
      theirs: "says REQUIRETLS though the session has no TLS",
      ours: "fails with ExtensionMissing",
      reason: "the extension is none where the session has no TLS (RFC 8689)"
    },
    {
      from: "TestPipelining, TestNoRecipientsAcceptedPipelined",
      theirs: "writes MAIL and RCPT together, then waits",
      ours: "writes DATA with them",
      reason: "it costs a round trip less; empty content ends a 354 that comes for nobody (RFC 2920 §3.1)"
    }
  ],
  leftOut: [
    "arguments that a type does not allow, and calls out of order: TestArgumentExceptions, TestInvalidStateExceptions, TestSyncRoot, SmtpCommandExceptionTests, SmtpProtocolExceptionTests",
    "servers on the Internet, sockets and proxies: TestConnectGMail…, TestConnectYahoo…, TestConnect…Socket, …ViaProxy",
    "a log file that cannot be written: TestProtocolLoggerExceptions",
    "an envelope made of header fields (Resent-…), and content made of objects: TestResend's header, TestBinaryMime's and TestPipelining's progress",
    "commands of one's own as text: TestCustomCommand (there is a type for each command)",
    "mailboxes of EXPN taken apart into name, route and address: TestBasicFunctionality (each line is given as it was said)",
    "what a server does with content: SmtpDataFilterTests.TestSmtpDataFilterDecode",
    "buffers, positions and time limits of a .NET stream: SmtpStreamTests.TestCanReadWriteSeek, TestGetSetTimeouts, TestRead, TestSeek, TestSetLength, TestWrite",
    "each case a second time for `await`: …Async"
  ]
}
