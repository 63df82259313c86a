/** What real servers say when they refuse, and what it means. */
import { type Classify, type Expect, type Reason, Reply } from "@postern/core"
import { Result } from "effect"

const known = (facts: Partial<Classify.Known>): Classify.Known => ({
  encrypted: true,
  authOffered: [],
  startTlsOffered: false,
  authenticated: false,
  identity: undefined,
  ...facts
})

/** What a session may know. */
export const sessions = {
  stranger: known({}),
  plain: known({ encrypted: false }),
  plainStartTls: known({ encrypted: false, startTlsOffered: true }),
  anonymous: known({ authOffered: ["PLAIN", "LOGIN"] }),
  authenticated: known({ authOffered: ["PLAIN", "LOGIN"], authenticated: true, identity: "ann@example.org" })
}

/** What a server said, to a session that knows what at which step, and what that comes to. */
export type Row = readonly [
  server: string,
  session: keyof typeof sessions,
  step: Expect.Step,
  reply: string,
  tag: Reason.Tag,
  why?: string
]

/** Real replies of real servers, lines separated by a line break. */
export const replies: ReadonlyArray<Row> = [
  // Not allowed to relay, and why.
  [
    "Postfix",
    "stranger",
    "Rcpt",
    "554 5.7.1 <out@elsewhere.example>: Relay access denied",
    "RelayDenied",
    "no auth offered"
  ],
  [
    "Postfix",
    "anonymous",
    "Rcpt",
    "554 5.7.1 <out@elsewhere.example>: Relay access denied",
    "RelayDenied",
    "not authenticated"
  ],
  [
    "Postfix",
    "plainStartTls",
    "Rcpt",
    "554 5.7.1 <out@elsewhere.example>: Relay access denied",
    "RelayDenied",
    "auth needs tls"
  ],
  [
    "Postfix",
    "plain",
    "Rcpt",
    "554 5.7.1 <out@elsewhere.example>: Relay access denied",
    "RelayDenied",
    "no auth offered"
  ],
  [
    "Postfix",
    "authenticated",
    "Rcpt",
    "554 5.7.1 <out@elsewhere.example>: Relay access denied",
    "RelayDenied",
    "not allowed"
  ],
  ["Postfix", "anonymous", "Rcpt", "454 4.7.1 <out@elsewhere.example>: Relay access denied", "TemporaryFailure"],
  [
    "Postfix",
    "authenticated",
    "Rcpt",
    "553 5.7.1 <boss@example.org>: Sender address rejected: not owned by user ann@example.org",
    "RelayDenied",
    "not allowed"
  ],
  [
    "Postfix",
    "anonymous",
    "Rcpt",
    "553 5.7.1 <ann@example.org>: Sender address rejected: not logged in",
    "RelayDenied",
    "not authenticated"
  ],
  [
    "Postfix",
    "anonymous",
    "Rcpt",
    "554 5.7.1 <client.example[192.0.2.1]>: Client host rejected: Access denied",
    "RelayDenied",
    "not authenticated"
  ],
  ["Exim", "stranger", "Rcpt", "550 relay not permitted", "RelayDenied", "no auth offered"],
  ["Exim", "anonymous", "Rcpt", "550 authentication required", "RelayDenied", "not authenticated"],
  [
    "Exim (cPanel)",
    "anonymous",
    "Rcpt",
    "550-Please turn on SMTP Authentication in your mail client, or login to the\n550-IMAP/POP3 server before sending your message.  client.example [192.0.2.1]:51000\n550-is not permitted to relay through this server without authentication.",
    "RelayDenied",
    "not authenticated"
  ],
  [
    "Sendmail",
    "stranger",
    "Rcpt",
    "550 5.7.1 <out@elsewhere.example>... Relaying denied. IP name lookup failed [192.0.2.1]",
    "RelayDenied",
    "no auth offered"
  ],
  [
    "Sendmail",
    "anonymous",
    "Rcpt",
    "550 5.7.1 <out@elsewhere.example>... Relaying denied. Proper authentication required.",
    "RelayDenied",
    "not authenticated"
  ],
  ["Exchange", "anonymous", "Rcpt", "550 5.7.1 Unable to relay", "RelayDenied", "not authenticated"],
  [
    "Exchange",
    "stranger",
    "Rcpt",
    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    "RelayDenied",
    "no auth offered"
  ],
  [
    "Exchange",
    "authenticated",
    "Content",
    "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
    "RelayDenied",
    "not allowed"
  ],
  [
    "Office 365",
    "stranger",
    "Rcpt",
    "550 5.7.64 TenantAttribution; Relay Access Denied [AM5EUR02FT006.eop-EUR02.prod.protection.outlook.com]",
    "RelayDenied",
    "no auth offered"
  ],
  [
    "Office 365",
    "authenticated",
    "Content",
    "554 5.2.252 SendAsDenied; ann@example.org not allowed to send as boss@example.org; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied",
    "RelayDenied",
    "not allowed"
  ],
  [
    "Gmail relay",
    "stranger",
    "Mail",
    "550-5.7.1 Invalid credentials for relay [192.0.2.1]. The IP address you've\n550-5.7.1 registered in your Workspace SMTP Relay service doesn't match the domain",
    "RelayDenied",
    "no auth offered"
  ],
  [
    "qmail",
    "stranger",
    "Rcpt",
    "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    "RelayDenied",
    "no auth offered"
  ],
  ["Courier", "anonymous", "Rcpt", "513 Relaying denied.", "RelayDenied", "not authenticated"],
  [
    "MailEnable",
    "anonymous",
    "Rcpt",
    "503 This mail server requires authentication when attempting to send to a non-local e-mail address.",
    "RelayDenied",
    "not authenticated"
  ],
  ["Domino", "stranger", "Rcpt", "554 Relay rejected for policy reasons.", "RelayDenied", "no auth offered"],
  // Wants authentication or TLS first.
  ["Postfix", "plainStartTls", "Mail", "530 5.7.0 Must issue a STARTTLS command first", "AuthenticationRequired"],
  ["hMailServer", "anonymous", "Rcpt", "530 SMTP authentication is required.", "AuthenticationRequired"],
  [
    "Gmail",
    "anonymous",
    "Mail",
    "530-5.7.0 Authentication Required. For more information, go to\n530 5.7.0 https://support.google.com/accounts/troubleshooter/2402620 - gsmtp",
    "AuthenticationRequired"
  ],
  [
    "Office 365",
    "anonymous",
    "Mail",
    "530 5.7.57 Client not authenticated to send mail. [AS4P190CA0051.EURP190.PROD.OUTLOOK.COM]",
    "AuthenticationRequired"
  ],
  [
    "OpenSMTPD",
    "anonymous",
    "Mail",
    "530 5.5.1 Invalid command: Must issue an AUTH command first",
    "AuthenticationRequired"
  ],
  // The sender.
  [
    "Sendmail",
    "stranger",
    "Mail",
    "553 5.1.8 <ann@nowhere.example>... Domain of sender address ann@nowhere.example does not exist",
    "SenderRefused"
  ],
  [
    "Postfix",
    "stranger",
    "Rcpt",
    "550 5.1.8 <ann@nowhere.example>: Sender address rejected: Domain not found",
    "SenderRefused"
  ],
  [
    "Postfix",
    "stranger",
    "Rcpt",
    "450 4.1.8 <ann@nowhere.example>: Sender address rejected: Domain not found",
    "TemporaryFailure"
  ],
  ["Exchange", "stranger", "Mail", "501 5.1.7 Invalid address", "SenderRefused"],
  [
    "Office 365",
    "stranger",
    "Mail",
    "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP.",
    "SenderRefused"
  ],
  [
    "Postfix access table",
    "stranger",
    "Mail",
    "550 5.7.1 <ann@example.org>: Sender address rejected: blocked by our block list",
    "SenderRefused"
  ],
  // The recipient.
  [
    "Postfix",
    "stranger",
    "Rcpt",
    "550 5.1.1 <nobody@example.net>: Recipient address rejected: User unknown in virtual mailbox table",
    "RecipientsRefused"
  ],
  [
    "Postfix",
    "stranger",
    "Rcpt",
    "550 5.1.1 <nobody@example.net>: Recipient address rejected: User unknown in relay recipient table",
    "RecipientsRefused"
  ],
  [
    "Postfix",
    "stranger",
    "Rcpt",
    "550 5.1.1 <nobody@relay.example.net>: Recipient address rejected: User unknown in local recipient table",
    "RecipientsRefused"
  ],
  [
    "Postfix",
    "stranger",
    "Rcpt",
    "550 5.1.1 <relay@example.net>: Recipient address rejected: User unknown",
    "RecipientsRefused"
  ],
  [
    "Postfix",
    "stranger",
    "Rcpt",
    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1",
    "RecipientsRefused"
  ],
  [
    "Postfix",
    "stranger",
    "Rcpt",
    "450 4.2.0 <ben@example.net>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.net.html",
    "TemporaryFailure"
  ],
  ["Postfix", "stranger", "Rcpt", "452 4.5.3 Error: too many recipients", "TemporaryFailure"],
  ["Exim", "stranger", "Rcpt", "550 Unrouteable address", "RecipientsRefused"],
  [
    "Exim",
    "stranger",
    "Rcpt",
    "550-Verification failed for <ann@example.org>\n550-No Such User Here\n550 Sender verify failed",
    "RecipientsRefused"
  ],
  ["Sendmail", "stranger", "Rcpt", "550 5.1.1 <nobody@example.net>... User unknown", "RecipientsRefused"],
  [
    "Exchange",
    "stranger",
    "Rcpt",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient nobody@example.net not found by SMTP address lookup",
    "RecipientsRefused"
  ],
  [
    "Office 365",
    "stranger",
    "Rcpt",
    "550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [DB5EUR03FT012.eop-EUR03.prod.protection.outlook.com]",
    "RecipientsRefused"
  ],
  [
    "Gmail",
    "stranger",
    "Rcpt",
    "550-5.1.1 The email account that you tried to reach does not exist. Please try\n550-5.1.1 double-checking the recipient's email address for typos or\n550 5.1.1 unnecessary spaces. - gsmtp",
    "RecipientsRefused"
  ],
  [
    "Gmail",
    "stranger",
    "Rcpt",
    "452-4.2.2 The recipient's inbox is out of storage space.\n452 4.2.2 - gsmtp",
    "TemporaryFailure"
  ],
  ["qmail", "stranger", "Rcpt", "550 sorry, no mailbox here by that name (#5.1.1 - chkuser)", "RecipientsRefused"],
  ["Courier", "stranger", "Rcpt", "550 User unknown.", "RecipientsRefused"],
  ["OpenSMTPD", "stranger", "Rcpt", "550 Invalid recipient: <nobody@example.net>", "RecipientsRefused"],
  [
    "Dovecot LMTP",
    "stranger",
    "Rcpt",
    "550 5.1.1 <nobody@example.net> User doesn't exist: nobody@example.net",
    "RecipientsRefused"
  ],
  [
    "Dovecot LMTP",
    "stranger",
    "Rcpt",
    "552 5.2.2 <ben@example.net> Quota exceeded (mailbox for user is full)",
    "RecipientsRefused"
  ],
  ["without status code", "stranger", "Rcpt", "552 Quota exceeded (mailbox for user is full)", "RecipientsRefused"],
  // Too large.
  ["Postfix", "stranger", "Mail", "552 5.3.4 Message size exceeds fixed limit", "TooLarge"],
  ["Postfix", "stranger", "Content", "552 5.3.4 Error: message file too big", "TooLarge"],
  ["aiosmtpd", "stranger", "Content", "552 Error: Too much mail data", "TooLarge"],
  ["Exim", "stranger", "Mail", "552 Message size exceeds maximum permitted", "TooLarge"],
  ["Sendmail", "stranger", "Mail", "552 5.2.3 Message is too large; 10485760 bytes max", "TooLarge"],
  [
    "Gmail",
    "authenticated",
    "Content",
    "552-5.3.4 Your message exceeded Google's message size limits. To view our message\n552-5.3.4 size guidelines, go to\n552 5.3.4  https://support.google.com/mail/?p=MaxSizeError - gsmtp",
    "TooLarge"
  ],
  ["qmail", "stranger", "Content", "552 sorry, that message size exceeds my databytes limit (#5.3.4)", "TooLarge"],
  ["Courier", "stranger", "Mail", "523 Message length (20000000 bytes) exceeds administrative limit.", "TooLarge"],
  [
    "hMailServer",
    "stranger",
    "Mail",
    "552 Message size exceeds fixed maximum message size. Size: 30000 KB, Max size: 20480 KB",
    "TooLarge"
  ],
  // The content.
  [
    "Gmail",
    "stranger",
    "Content",
    "550-5.7.1 [192.0.2.1      12] Our system has detected that this message is\n550-5.7.1 likely unsolicited mail. To reduce the amount of spam sent to Gmail,\n550 5.7.1 this message has been blocked. - gsmtp",
    "ContentRefused"
  ],
  [
    "Gmail",
    "stranger",
    "Content",
    "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\n550 5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.",
    "ContentRefused"
  ],
  [
    "Gmail",
    "authenticated",
    "Content",
    "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to https://support.google.com/a/answer/166852 - gsmtp",
    "ContentRefused"
  ],
  [
    "Gmail",
    "authenticated",
    "Content",
    "552-5.7.0 This message was blocked because its content presents a potential\n552 5.7.0 security issue. - gsmtp",
    "ContentRefused"
  ],
  [
    "Yahoo",
    "stranger",
    "Content",
    "554 Message not allowed - [PH01] Email not accepted for policy reasons.",
    "ContentRefused"
  ],
  ["qmail", "stranger", "Content", "554 too many hops, this message is looping (#5.4.6)", "ContentRefused"],
  ["Postfix with a milter", "stranger", "Content", "550 5.7.1 Blocked by SpamAssassin", "ContentRefused"],
  ["Postfix", "stranger", "Data", "554 5.5.1 Error: no valid recipients", "ContentRefused"],
  [
    "Office 365",
    "authenticated",
    "Content",
    "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
    "TemporaryFailure"
  ],
  ["Exchange", "stranger", "Content", "452 4.3.1 Insufficient system resources", "TemporaryFailure"],
  // The session.
  [
    "Postfix",
    "stranger",
    "Greeting",
    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked",
    "GreetingRefused"
  ],
  ["Postfix postscreen", "stranger", "Rcpt", "450 4.3.2 Service currently unavailable", "TemporaryFailure"],
  ["Sendmail", "stranger", "Greeting", "421 4.3.2 Connection rate limit exceeded.", "ServiceClosing"],
  ["Exim", "stranger", "Greeting", "554 SMTP synchronization error", "GreetingRefused"],
  [
    "Gmail",
    "stranger",
    "Content",
    "421-4.7.0 [192.0.2.1      15] Our system has detected an unusual rate of\n421 4.7.0 unsolicited mail originating from your IP address. - gsmtp",
    "ServiceClosing"
  ],
  ["Postfix", "stranger", "Rcpt", "421 4.7.0 mx.example Error: too many errors", "ServiceClosing"],
  ["Exchange", "stranger", "Rcpt", "421 4.3.2 Service not available", "ServiceClosing"],
  ["Postfix", "stranger", "StartTls", "454 4.7.0 TLS not available due to local problem", "TlsUnavailable"],
  ["Postfix", "stranger", "StartTls", "502 5.5.1 Error: command not implemented", "TlsUnavailable"],
  ["Exchange", "stranger", "Ehlo", "550 5.7.1 Access denied", "CommandRefused"],
  ["Exim", "stranger", "Ehlo", "501 Syntactically invalid EHLO argument(s)", "CommandRefused"],
  ["Postfix", "stranger", "Vrfy", "502 5.5.1 VRFY command is disabled", "CommandRefused"],
  [
    "Office 365",
    "anonymous",
    "AuthResponse",
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
    "CommandRefused"
  ],
  [
    "Postfix",
    "anonymous",
    "Auth",
    "454 4.7.0 Temporary authentication failure: Connection lost to authentication server",
    "TemporaryFailure"
  ],
  // Replies that do not belong there.
  ["a confused server", "stranger", "Greeting", "221 not ready", "GreetingRefused"],
  ["a confused server", "stranger", "Data", "250 ok", "ProtocolViolation"],
  ["a confused server", "stranger", "Mail", "354 go ahead", "ProtocolViolation"],
  ["a confused server", "stranger", "Auth", "250 ok", "ProtocolViolation"]
]

/** A reply out of its lines as a server sends them. */
export const parse = (text: string): Reply.Reply => {
  const decoder = Reply.decoder()
  // The last line has no hyphen.
  const lines = text.split("\n")
  const last = (lines.at(-1) ?? "").replace(/^(\d{3})-/, "$1 ")
  decoder.push(new TextEncoder().encode([...lines.slice(0, -1), last].map((line) => `${line}\r\n`).join("")))
  const reply = decoder.next()
  if (reply === undefined) throw new Error("no reply")
  return Result.getOrThrowWith(reply, ({ problem }) => new Error(problem))
}

/** What the refused commands were about. */
export const subject: Classify.Subject = {
  reversePath: "<ann@example.org>",
  recipients: ["<ben@example.net>"],
  size: 2000,
  limit: 1000
}
