/**
 * What is said about a reason: whose fault it is, when to try again, what happened and
 * what to do. The page `docs/errors.md` is printed from {@link catalogue}.
 */
import * as Expect from "../wire/Expect.ts"
import { render, type Reply } from "../wire/Reply.ts"
import type { Attempt, Of, Reason, Tag } from "./Reason.ts"

/**
 * When to try again: at once; later; never (the same thing will be refused again); or
 * in doubt: it may have been delivered, and sending again may deliver it twice.
 */
export type Retry = "now" | "later" | "never" | "in doubt"

/** Who has to act. */
export type Fault = "you" | "network" | "tls" | "authentication" | "refusal" | "server"

/** What is said about one kind of reason. */
export interface Entry<R> {
  readonly fault: Fault
  readonly retry: Retry | ((reason: R) => Retry)
  /** What happened, in one sentence without a full stop. */
  readonly problem: (reason: R) => string
  /** What to do, in one sentence. */
  readonly advice: string | ((reason: R) => string)
}

type Catalogue = { readonly [T in Tag]: Entry<Of<T>> }

/** Permanent refusals are final; a transient one may pass later. */
const byReply = (reason: { readonly reply: Reply | undefined }): Retry =>
  reason.reply !== undefined && reason.reply.code < 500 ? "later" : "never"

const list = (items: ReadonlyArray<string>): string =>
  items.length <= 3 ? items.join(", ") : `${items.slice(0, 3).join(", ")} and ${items.length - 3} more`

// With what the exchange itself told, where that is more than the code says.
const saidTo = ({ detail }: Attempt, reply: Reply): string =>
  detail.startsWith("the token") ? `${render(reply)} (${detail})` : render(reply)

const attempts = (all: ReadonlyArray<Attempt>): string =>
  all.map((attempt) =>
    `${attempt.mechanism}: ${attempt.reply === undefined ? attempt.detail : saidTo(attempt, attempt.reply)}`
  )
    .join("; ")

// The step as it is said on the wire, or in words where nothing is said.
const verb = (step: string): string =>
  Object.hasOwn(Expect.table, step) ? Expect.table[step as Expect.Step].verb : wordless[step] ?? step

const wordless: Readonly<Record<string, string>> = {
  Connect: "connecting",
  Handshake: "the TLS handshake",
  ContentBlock: "sending the content"
}

/** All that is said about reasons, one entry a kind. */
export const catalogue: Catalogue = {
  InvalidInput: {
    fault: "you",
    retry: "never",
    problem: (r) => `${r.what} cannot be used: ${r.problem}`,
    advice: "Correct the input; nothing was sent."
  },
  OutOfSequence: {
    fault: "you",
    retry: "never",
    problem: (r) => `${verb(r.step)} is not possible in the phase "${r.phase}"`,
    advice: "Follow the order MAIL, RCPT, DATA within one transaction."
  },
  ExtensionMissing: {
    fault: "server",
    retry: "never",
    problem: (r) => `the server does not offer ${r.extension}, which is needed because ${r.because}`,
    advice: (r) => `Send it in a form that needs no ${r.extension}, or through another server.`
  },
  ConnectionFailed: {
    fault: "network",
    retry: "later",
    problem: (r) => `cannot connect to ${r.host}:${r.port}: ${r.detail}`,
    advice: (r) =>
      r.code === "ENOTFOUND"
        ? "The name does not resolve: check the host."
        : "Check host and port, and whether a firewall or provider blocks outgoing SMTP (port 25 often is; try 587 or 465)."
  },
  ConnectionLost: {
    fault: "network",
    retry: "now",
    problem: (r) => `the connection was lost during ${verb(r.step)}: ${r.detail}`,
    advice: "Nothing was delivered: send again on a new connection."
  },
  TimedOut: {
    fault: "network",
    retry: "later",
    problem: (r) => `${verb(r.step)}: no answer within ${r.limit / 1000} seconds`,
    advice: (r) =>
      r.step === "Connect"
        ? "Check host and port, and whether a firewall drops the traffic."
        : r.step === "Greeting"
        ? "A port that expects TLS from the first byte stays silent: try security \"tls\" or \"auto\"; otherwise try again later."
        : "Try again later, or raise the time limit of this step."
  },
  TlsModeMismatch: {
    fault: "you",
    retry: "now",
    problem: (r) =>
      `the server does not speak "${r.mode}" on this port${
        r.firstBytes === undefined ? "" : `; it began with "${r.firstBytes}"`
      }`,
    advice: (r) => `Use security "${r.use}" for this port, or "auto".`
  },
  TlsUnavailable: {
    fault: "tls",
    retry: (r) => r.reply !== undefined && r.reply.code < 500 ? "later" : "never",
    problem: (r) =>
      r.reply === undefined ? "the server does not offer STARTTLS" : `the server refused STARTTLS: ${render(r.reply)}`,
    advice:
      "Use a port with TLS (465 with security \"tls\", 587 with \"startTls\"); \"startTlsIfOffered\" would send in plain text."
  },
  CertificateRefused: {
    fault: "tls",
    retry: "never",
    problem: (r) => `the server's certificate is refused (${r.problem}): ${r.detail}`,
    advice: (r) => certificateAdvice[r.problem]
  },
  HandshakeFailed: {
    fault: "tls",
    retry: "later",
    problem: (r) => `the TLS handshake failed: ${r.detail}`,
    advice: "Client and server may share no TLS version or cipher, or the server wants a client certificate."
  },
  PlaintextInjected: {
    fault: "tls",
    retry: "never",
    problem: (r) => `plaintext followed the server's consent to STARTTLS: "${r.bytes}"`,
    advice: "Someone between you and the server may be injecting replies: use a port with TLS from the start (465)."
  },
  ProtocolViolation: {
    fault: "server",
    retry: "later",
    problem: (r) => `the server left the protocol at ${verb(r.step)}: expected ${r.expected}, received "${r.received}"`,
    advice: "Check that host and port belong to an SMTP server and nothing in between alters the traffic."
  },
  GreetingRefused: {
    fault: "refusal",
    retry: byReply,
    problem: (r) => `the server refused the connection: ${render(r.reply)}`,
    advice:
      "The server does not serve this address now: check its policy, block lists, or use your provider's submission port."
  },
  ServiceClosing: {
    fault: "server",
    retry: "later",
    problem: (r) => `the server ended the session at ${verb(r.step)}: ${render(r.reply)}`,
    advice: "Try again later on a new connection; nothing of this step was accepted."
  },
  CommandRefused: {
    fault: "refusal",
    retry: byReply,
    problem: (r) => `${verb(r.step)} was refused: ${render(r.reply)}`,
    advice: "Read the server's text; the command may not be implemented or not be allowed for this session."
  },
  TemporaryFailure: {
    fault: "refusal",
    retry: "later",
    problem: (r) =>
      `${verb(r.step)} was refused for now${r.recipients.length === 0 ? "" : ` for ${list(r.recipients)}`}: ${
        render(r.reply)
      }`,
    advice: "Try again later with growing pauses (greylisting passes after some minutes)."
  },
  AuthenticationFailed: {
    fault: "authentication",
    // 432 leads to the next mechanism, and is still no refusal for good.
    retry: (r) => r.why === "temporary" || (r.attempts.at(-1)?.reply?.code ?? 500) < 500 ? "later" : "never",
    problem: (r) => `authentication failed (${r.why}): ${attempts(r.attempts)}`,
    advice: (r) => (r.why === "bad credentials" ? refusedAdvice(r) : undefined) ?? authenticationAdvice[r.why]
  },
  NoUsableMechanism: {
    fault: "authentication",
    retry: "never",
    problem: (r) =>
      r.offered.length === 0
        ? "credentials are given, but the server offers no authentication"
        : `no mechanism can be used: ${r.unusable.map((u) => `${u.mechanism} (${u.why})`).join(", ")}`,
    advice: (r) =>
      r.startTlsOffered
        ? "Use security \"startTls\": servers offer AUTH, and passwords may be sent, once TLS is on."
        : r.offered.length === 0
        ? "Use the submission port (587 or 465), or drop the credentials if this server needs none."
        : "Allow one of the offered mechanisms, give credentials of their kind, or use TLS."
  },
  ServerNotVerified: {
    fault: "authentication",
    retry: "never",
    problem: (r) => `the server accepted ${r.mechanism} without proving that it knows the secret`,
    advice: "Do not trust this connection: someone may be impersonating the server. No message was sent."
  },
  AuthenticationRequired: {
    fault: "authentication",
    retry: "never",
    problem: (r) => `the server wants authentication or TLS before ${verb(r.step)}: ${render(r.reply)}`,
    advice: "Give credentials, and use security \"startTls\" or \"tls\"."
  },
  RelayDenied: {
    fault: "refusal",
    retry: "never",
    problem: (r) =>
      `relaying denied (${r.why})${r.recipients.length === 0 ? "" : ` for ${list(r.recipients)}`}: ${render(r.reply)}`,
    advice: (r) => relayAdvice[r.why]
  },
  SenderRefused: {
    fault: "refusal",
    retry: "never",
    problem: (r) => `the sender ${r.reversePath} was refused: ${render(r.reply)}`,
    advice: "Use a sender address that this server accepts for your account; its domain must exist."
  },
  RecipientsRefused: {
    fault: "refusal",
    retry: (r) => r.replies.some(({ code }) => code >= 400 && code < 500) ? "later" : "never",
    problem: (r) => `refused for ${list(r.recipients)}: ${list(r.replies.map(render))}`,
    advice: "Check the addresses: the server knows no such mailbox or does not take mail for it."
  },
  ContentRefused: {
    fault: "refusal",
    retry: "never",
    problem: (r) => `the content was refused: ${render(r.reply)}`,
    advice:
      "Read the server's text: the content looks like spam or malware to it, or breaks its policy (SPF, DKIM, DMARC)."
  },
  TooLarge: {
    fault: "refusal",
    retry: byReply,
    problem: (r) =>
      r.reply === undefined
        ? `the message has ${r.size} octets, the server takes ${r.limit}`
        : `the message is too large: ${render(r.reply)}`,
    advice: "Send a smaller message, or a link instead of the attachment."
  },
  ContentUnavailable: {
    fault: "you",
    retry: "never",
    problem: ({ detail }) => `the content could not be had: ${detail}`,
    advice: "See to what the content comes from: nothing of the message was delivered."
  },
  LimitReached: {
    fault: "server",
    retry: "now",
    problem: ({ limit, most }) => `the server takes no more in this session (${limit}=${most})`,
    advice: "Send to the rest on another connection; `SmtpClient.send` and `sendAll` do."
  },
  Draining: {
    fault: "you",
    retry: "later",
    problem: ({ detail }) => `no new messages are taken: ${detail}`,
    advice: "Send with another client or pool: this one is being shut down."
  },
  InDoubt: {
    fault: "network",
    retry: "in doubt",
    problem: (r) => `the content was sent to ${list(r.recipients)} and no reply came: ${r.detail}`,
    advice: "The message may have been delivered: sending it again may deliver it twice."
  }
}

const certificateAdvice: Readonly<Record<Of<"CertificateRefused">["problem"], string>> = {
  expired: "Have the server's certificate renewed; check this machine's clock.",
  "not-yet-valid": "Check this machine's clock and the certificate's dates.",
  "wrong-name": "Connect by the name the certificate carries, or name it with `tls.serverName`.",
  "unknown-ca": "Give the issuing authority's certificate as `tls.ca`, if you trust it.",
  "self-signed": "Give the certificate itself as `tls.ca`, or pin it with `tls.fingerprint`, if you trust it.",
  "wrong-fingerprint": "The server has another certificate than the pinned one: find out why before changing the pin.",
  revoked: "Do not use this server until it has a new certificate.",
  other: "Look at the detail; there is no switch that skips verification."
}

const authenticationAdvice: Readonly<Record<Of<"AuthenticationFailed">["why"], string>> = {
  "bad credentials":
    "Check user name and password; providers with two-factor login want an app password or OAuth. No other mechanism was tried, so that the account is not locked.",
  "response refused":
    "The server ran the mechanism and did not take what was said with it: read its reply, and check the form of the user name and whom to act for. No other mechanism was tried.",
  temporary: "The server cannot authenticate now: try again later.",
  "encryption required": "Use security \"startTls\" or \"tls\".",
  "no mechanism worked": "None of the mechanisms tried is available on this server: look at each reply.",
  "exchange broken": "The server's challenge could not be answered: look at the attempt's detail."
}

// Where credentials are no user name and password.
const refusedAdvice = ({ attempts }: Of<"AuthenticationFailed">): string | undefined => {
  const { mechanism = "" } = attempts.at(-1) ?? {}
  if (mechanism === "OAUTHBEARER" || mechanism === "XOAUTH2") {
    return "Have a new token issued, for this server and with the right to send mail; `renew` of the credentials does it when it is needed. No other mechanism was tried."
  }
  if (mechanism.startsWith("GS")) {
    return "Get a new ticket (`kinit`), and check both clocks and the server's key for the service `smtp` at the name that was connected to. No other mechanism was tried."
  }
  return mechanism === "EXTERNAL"
    ? "Check whether the server knows this client certificate, and whom it is for. No other mechanism was tried."
    : undefined
}

const relayAdvice: Readonly<Record<Of<"RelayDenied">["why"], string>> = {
  "not authenticated": "The server offers AUTH and the session is not authenticated: give credentials.",
  "auth needs tls":
    "The server offers AUTH only after TLS: use security \"startTls\" (or \"tls\") and give credentials.",
  "not allowed":
    "The session is authenticated, but this account may not send from this sender or to this recipient: check both against the account.",
  "no auth offered":
    "The server offers no AUTH here: use its submission port (587 or 465) with credentials, or have this client's address allowed."
}

const entry = (reason: Reason): Entry<Reason> => catalogue[reason._tag] as Entry<Reason>

/** Who has to act. */
export const fault = (reason: Reason): Fault => entry(reason).fault

/** When to try again. */
export const retry = (reason: Reason): Retry => {
  const { retry } = entry(reason)
  return typeof retry === "function" ? retry(reason) : retry
}

/** What happened, in one sentence without a full stop: that of a server's reply is left out. */
export const problem = (reason: Reason): string => entry(reason).problem(reason).replace(/\.$/, "")

/** What to do, in one sentence. */
export const advice = (reason: Reason): string => {
  const { advice } = entry(reason)
  return typeof advice === "function" ? advice(reason) : advice
}
