/**
 * Why something went wrong: plain tagged data.
 *
 * Reasons cost nothing to make and compare by value. `SmtpError` carries one into the
 * error channel of an Effect; `Advice` says of each whose fault it is, when to try
 * again and what to do.
 */
import * as Schema from "effect/Schema"
import { Reply } from "../wire/Reply.ts"

const Step = Schema.String
const Recipients = Schema.Array(Schema.String)

/** Input that cannot be sent: an address, an option, a command that is none. */
export const InvalidInput = Schema.TaggedStruct("InvalidInput", { what: Schema.String, problem: Schema.String })
/** A command in a phase of the session that does not allow it. */
export const OutOfSequence = Schema.TaggedStruct("OutOfSequence", { step: Step, phase: Schema.String })
/** The message needs an extension that the server does not offer. */
export const ExtensionMissing = Schema.TaggedStruct("ExtensionMissing", {
  extension: Schema.String,
  because: Schema.String
})

/** No connection could be made. `code` is the platform's, such as `ECONNREFUSED`. */
export const ConnectionFailed = Schema.TaggedStruct("ConnectionFailed", {
  host: Schema.String,
  port: Schema.Int,
  code: Schema.String,
  detail: Schema.String
})
/** The connection ended before the session did; `detail` shows the beginning of a reply that it ended in. */
export const ConnectionLost = Schema.TaggedStruct("ConnectionLost", { step: Step, detail: Schema.String })
/** No reply within the time limit of the step; `limit` is in milliseconds. */
export const TimedOut = Schema.TaggedStruct("TimedOut", { step: Step, limit: Schema.Finite })

/** The server speaks the other kind of TLS on this port; `use` names the mode to take. */
export const TlsModeMismatch = Schema.TaggedStruct("TlsModeMismatch", {
  mode: Schema.String,
  use: Schema.String,
  firstBytes: Schema.UndefinedOr(Schema.String)
})
/** STARTTLS is required and the server does not offer it, or refused it. */
export const TlsUnavailable = Schema.TaggedStruct("TlsUnavailable", { reply: Schema.UndefinedOr(Reply) })
/** The server's certificate is not acceptable. */
export const CertificateRefused = Schema.TaggedStruct("CertificateRefused", {
  problem: Schema.Literals([
    "expired",
    "not-yet-valid",
    "wrong-name",
    "unknown-ca",
    "self-signed",
    "wrong-fingerprint",
    "revoked",
    "other"
  ]),
  detail: Schema.String
})
/** The TLS handshake failed for another reason than the certificate of the server. */
export const HandshakeFailed = Schema.TaggedStruct("HandshakeFailed", { code: Schema.String, detail: Schema.String })
/** Plaintext followed the 220 to STARTTLS (RFC 3207 §6): someone may be injecting replies. */
export const PlaintextInjected = Schema.TaggedStruct("PlaintextInjected", { bytes: Schema.String })

/** The server left the protocol. */
export const ProtocolViolation = Schema.TaggedStruct("ProtocolViolation", {
  step: Step,
  expected: Schema.String,
  received: Schema.String
})
/** The server greeted with a refusal. */
export const GreetingRefused = Schema.TaggedStruct("GreetingRefused", { reply: Reply })
/** 421: the server ends the session. */
export const ServiceClosing = Schema.TaggedStruct("ServiceClosing", { step: Step, reply: Reply })
/** A command was refused that has no reason of its own. */
export const CommandRefused = Schema.TaggedStruct("CommandRefused", { step: Step, reply: Reply })
/** A 4yz reply: refused for now. */
export const TemporaryFailure = Schema.TaggedStruct("TemporaryFailure", {
  step: Step,
  reply: Reply,
  recipients: Recipients
})

/** One AUTH command: the mechanism, and what came of it. */
export const Attempt = Schema.Struct({
  mechanism: Schema.String,
  outcome: Schema.Literals(["refused", "cancelled", "unverified"]),
  reply: Schema.UndefinedOr(Reply),
  detail: Schema.String
})
export interface Attempt extends Schema.Schema.Type<typeof Attempt> {}

/** The server refused the credentials, or no mechanism tried led to an end. */
export const AuthenticationFailed = Schema.TaggedStruct("AuthenticationFailed", {
  why: Schema.Literals([
    "bad credentials",
    "response refused",
    "temporary",
    "encryption required",
    "no mechanism worked",
    "exchange broken"
  ]),
  attempts: Schema.Array(Attempt)
})

/** A mechanism that was not tried, and why. */
export const Unusable = Schema.Struct({ mechanism: Schema.String, why: Schema.String })
export interface Unusable extends Schema.Schema.Type<typeof Unusable> {}

/** Credentials were given and no mechanism can carry them on this connection. */
export const NoUsableMechanism = Schema.TaggedStruct("NoUsableMechanism", {
  offered: Schema.Array(Schema.String),
  unusable: Schema.Array(Unusable),
  /** AUTH may be offered once TLS is on. */
  startTlsOffered: Schema.Boolean
})
/** The server said 235 without having proved that it knows the secret. */
export const ServerNotVerified = Schema.TaggedStruct("ServerNotVerified", {
  mechanism: Schema.String,
  attempts: Schema.Array(Attempt)
})
/** 530: the server wants authentication, or TLS, before this step. */
export const AuthenticationRequired = Schema.TaggedStruct("AuthenticationRequired", { step: Step, reply: Reply })

/**
 * The server does not relay for this session. `why` is what the session knows:
 * credentials were not given though AUTH is offered; AUTH is offered only after TLS;
 * the session is authenticated and this sender or recipient is still not allowed; or
 * the server offers no AUTH at all.
 */
export const RelayDenied = Schema.TaggedStruct("RelayDenied", {
  why: Schema.Literals(["not authenticated", "auth needs tls", "not allowed", "no auth offered"]),
  step: Step,
  recipients: Recipients,
  identity: Schema.UndefinedOr(Schema.String),
  reply: Reply
})
/** MAIL was refused: the server does not take this reverse-path. */
export const SenderRefused = Schema.TaggedStruct("SenderRefused", { reversePath: Schema.String, reply: Reply })
/** Every recipient was refused; `replies` stand in the order of `recipients`. */
export const RecipientsRefused = Schema.TaggedStruct("RecipientsRefused", {
  recipients: Recipients,
  replies: Schema.Array(Reply)
})
/** The content was refused after it was sent, or DATA was. */
export const ContentRefused = Schema.TaggedStruct("ContentRefused", { reply: Reply })
/** Larger than the server takes: found before sending (`reply` is undefined) or said by the server. */
export const TooLarge = Schema.TaggedStruct("TooLarge", {
  size: Schema.UndefinedOr(Schema.Int),
  limit: Schema.UndefinedOr(Schema.Int),
  reply: Schema.UndefinedOr(Reply)
})
/** More than the server takes in one session (RFC 9422): another session takes the rest. */
export const LimitReached = Schema.TaggedStruct("LimitReached", {
  limit: Schema.Literals(["MAILMAX", "RCPTDOMAINMAX"]),
  most: Schema.Int
})
/** Nothing new is taken: who sends is being shut down. */
export const Draining = Schema.TaggedStruct("Draining", { detail: Schema.String })
/** The content could not be had: the stream, file or conversion it comes from failed. */
export const ContentUnavailable = Schema.TaggedStruct("ContentUnavailable", { detail: Schema.String })
/** The content was handed over and the connection ended before the reply: it may have been delivered. */
export const InDoubt = Schema.TaggedStruct("InDoubt", { recipients: Recipients, detail: Schema.String })

/** Every kind, as a schema. */
export const Reason = Schema.Union([
  InvalidInput,
  OutOfSequence,
  ExtensionMissing,
  ConnectionFailed,
  ConnectionLost,
  TimedOut,
  TlsModeMismatch,
  TlsUnavailable,
  CertificateRefused,
  HandshakeFailed,
  PlaintextInjected,
  ProtocolViolation,
  GreetingRefused,
  ServiceClosing,
  CommandRefused,
  TemporaryFailure,
  AuthenticationFailed,
  NoUsableMechanism,
  ServerNotVerified,
  AuthenticationRequired,
  RelayDenied,
  SenderRefused,
  RecipientsRefused,
  ContentRefused,
  TooLarge,
  ContentUnavailable,
  LimitReached,
  Draining,
  InDoubt
])
/** Why something went wrong. */
export type Reason = typeof Reason.Type
/** The kinds of reasons. */
export type Tag = Reason["_tag"]
/** The reason of one kind. */
export type Of<T extends Tag> = Extract<Reason, { readonly _tag: T }>

/** Makes a reason of a kind. */
export const make = <T extends Tag>(tag: T, fields: Omit<Of<T>, "_tag">): Of<T> => ({ _tag: tag, ...fields }) as Of<T>

/** True for every value that is a reason. */
export const isReason: (value: unknown) => value is Reason = Schema.is(Reason)
