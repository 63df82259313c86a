/**
 * From a negative reply, and what the session knows, to a reason. Pure and total; an
 * ordered table of rules of which the first that fits decides. A 4yz reply never
 * becomes a reason that says "never".
 */
import type { Refused } from "../wire/Expect.ts"
import * as EnhancedStatus from "../wire/EnhancedStatus.ts"
import * as Reply from "../wire/Reply.ts"
import * as Reason from "./Reason.ts"

/** What a session knows that explains a refusal. */
export interface Known {
  readonly encrypted: boolean
  readonly authOffered: ReadonlyArray<string>
  readonly startTlsOffered: boolean
  readonly authenticated: boolean
  /** Whom the session is authenticated as, where known. */
  readonly identity: string | undefined
}

/** What the refused command was about. */
export interface Subject {
  readonly reversePath?: string | undefined
  readonly recipients?: ReadonlyArray<string> | undefined
  /** Octets of the message. */
  readonly size?: number | undefined
  /** The largest message the server says it takes, in octets. */
  readonly limit?: number | undefined
}

interface Case extends Refused {
  readonly known: Known
  readonly subject: Subject
  readonly text: string
}

interface Rule {
  /** For the documentation and for tests. */
  readonly name: string
  readonly fits: (it: Case) => boolean
  readonly reason: (it: Case) => Reason.Reason
}

const transaction: ReadonlySet<string> = new Set(["Mail", "Rcpt", "Data", "Content", "Bdat"])

// Not "relay" within an address or host name, nor Postfix's "User unknown in relay recipient table".
// The words real servers use when they do not relay (Postfix, Exim, Sendmail, Exchange, qmail, Courier, hMailServer, …).
const relayWords =
  /(?<![\w.@-])relay(?:ing|ed)?\b(?![\w-]*[.@]\w)(?! recipient table)|not (?:one )?of (?:my|our) (?:local )?(?:users|domains)|rcpthosts|not logged in|not owned by (?:the )?(?:user|auth)|send as this sender|sendas ?denied|domain (?:is )?not (?:local|hosted)|user not local|authenticat\w* (?:is )?required to send|must authenticate|authentication (?:is )?required|requires authentication|(?:smtp )?auth(?:entication)? (?:is )?needed|client was not authenticated/i

// Policy refusals that carry 5.7.1 too but have nothing to do with relaying.
const policyWords =
  /spam|blocked|block ?list|black ?list|rbl|dnsbl|spamhaus|reputation|spf|dkim|dmarc|virus|malware|banned|greylist|reverse dns|\bptr\b|content|message (?:rejected|refused)/i

const relayWhy = ({ known }: Case): Reason.Of<"RelayDenied">["why"] =>
  known.authenticated
    ? "not allowed"
    : known.authOffered.length > 0
    ? "not authenticated"
    : !known.encrypted && known.startTlsOffered
    ? "auth needs tls"
    : "no auth offered"

// 552 is a full mailbox too. Courier says 523.
const oversize = (it: Case): boolean =>
  EnhancedStatus.is(it.reply.status, 3, 4) || EnhancedStatus.is(it.reply.status, 2, 3)
  || ((it.reply.code === 552 || it.reply.code === 523) && !EnhancedStatus.is(it.reply.status, 2, 2)
    && /\bsize\b|too (?:large|big|much)|exceed/i.test(it.text) && !/quota|mailbox|storage/i.test(it.text))

/** The rules in order. The last one always fits. */
export const rules: ReadonlyArray<Rule> = [
  {
    name: "421 ends the session",
    fits: ({ reply }) => reply.code === 421,
    reason: ({ step, reply }) => Reason.make("ServiceClosing", { step, reply })
  },
  {
    name: "refused greeting",
    // 221 is what QUIT is answered by: the server does not wait for commands.
    fits: ({ step, reply }) => step === "Greeting" && (reply.code >= 400 || reply.code === 221),
    reason: ({ reply }) => Reason.make("GreetingRefused", { reply })
  },
  {
    name: "refused STARTTLS",
    fits: ({ step, reply }) => step === "StartTls" && reply.code >= 400,
    reason: ({ reply }) => Reason.make("TlsUnavailable", { reply })
  },
  {
    name: "a 2yz or 3yz that does not fit the step",
    fits: ({ reply }) => reply.code < 400,
    reason: ({ step, reply }) =>
      Reason.make("ProtocolViolation", { step, expected: "a reply of this step", received: Reply.render(reply) })
  },
  {
    name: "530 wants authentication or TLS",
    fits: ({ reply }) => reply.code === 530,
    reason: ({ step, reply }) => Reason.make("AuthenticationRequired", { step, reply })
  },
  {
    name: "4yz",
    fits: ({ reply }) => reply.code < 500,
    reason: ({ step, reply, subject }) =>
      Reason.make("TemporaryFailure", { step, reply, recipients: subject.recipients ?? [] })
  },
  {
    name: "too large",
    fits: (it) => transaction.has(it.step) && oversize(it),
    reason: ({ reply, subject }) => Reason.make("TooLarge", { size: subject.size, limit: subject.limit, reply })
  },
  {
    name: "relaying denied",
    fits: (it) =>
      transaction.has(it.step)
      && (relayWords.test(it.text)
        // X.7.1 alone is any policy; in the envelope, and with no other policy named, it is this one.
        || (EnhancedStatus.is(it.reply.status, 7, 1) && (it.step === "Mail" || it.step === "Rcpt")
          && !policyWords.test(it.text))),
    reason: (it) =>
      Reason.make("RelayDenied", {
        why: relayWhy(it),
        step: it.step,
        recipients: it.subject.recipients ?? [],
        identity: it.known.identity,
        reply: it.reply
      })
  },
  {
    name: "sender refused",
    // Postfix judges the sender at RCPT, then says so by X.1.7 or X.1.8 (RFC 3463 §3.2).
    fits: ({ step, reply: { status } }) =>
      step === "Mail" || (step === "Rcpt" && (EnhancedStatus.is(status, 1, 7) || EnhancedStatus.is(status, 1, 8))),
    reason: ({ subject, reply }) => Reason.make("SenderRefused", { reversePath: subject.reversePath ?? "", reply })
  },
  {
    name: "recipient refused",
    fits: ({ step }) => step === "Rcpt",
    reason: ({ subject, reply }) =>
      Reason.make("RecipientsRefused", { recipients: subject.recipients ?? [], replies: [reply] })
  },
  {
    name: "content refused",
    fits: ({ step }) => transaction.has(step),
    reason: ({ reply }) => Reason.make("ContentRefused", { reply })
  },
  {
    name: "any other command",
    fits: () => true,
    reason: ({ step, reply }) => Reason.make("CommandRefused", { step, reply })
  }
]

/**
 * The reason that a refusal comes to.
 *
 * @example
 * ```ts
 * import { Classify, Expect, Reply } from "@postern/core"
 *
 * const reply = Reply.make(554, "<out@elsewhere.test>: Relay access denied", "5.7.1")
 * const reason = Classify.refusal(
 *   { encrypted: true, authOffered: ["PLAIN"], startTlsOffered: false, authenticated: false, identity: undefined },
 *   Expect.refused("Rcpt", reply)
 * )
 * console.log(reason._tag) // "RelayDenied"
 * ```
 */
export const refusal = (known: Known, refused: Refused, subject: Subject = {}): Reason.Reason => {
  const it: Case = { ...refused, known, subject, text: refused.reply.lines.join(" ") }
  const rule = rules.find((rule) => rule.fits(it))
  return rule === undefined
    ? Reason.make("CommandRefused", { step: refused.step, reply: refused.reply })
    : rule.reason(it)
}
