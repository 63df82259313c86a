/**
 * What went over the wire, as data: a header, then events in the order of their time. It is
 * kept as newline-delimited JSON that a person can read and compare.
 *
 * A recording differs from the transcript that errors carry: that one tells people what was
 * said, this one has what it takes to play the same again.
 */
import { Reason } from "@postern/core"
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Octets } from "./Octets.ts"

/** The version of the format that is written. Every earlier one is read. */
export const version = 1

/** What a recorder left out, and how much of it can be compared. */
export const Policy = Schema.Struct({
  /** Addresses in commands and replies are replaced by numbers, on each connection from 1, the same for the same address. */
  addresses: Schema.Literals(["kept", "numbered"]),
  /** Content as its length and SHA-256, or as it was. */
  content: Schema.Literals(["hashed", "whole"]),
  /**
   * HMAC-SHA-256 of `postern` with the key of the recorder, 16 hex digits: tells whether a
   * key is the right one. Absent where there was none.
   */
  key: Schema.optionalKey(Schema.String)
})
/** What a recorder left out, and how much of it can be compared. */
export type Policy = typeof Policy.Type

/** The first line of a recording. */
export const Header = Schema.Struct({
  format: Schema.Literal("postern-recording"),
  version: Schema.Int,
  /** What made it: `@postern/testing 0.1.0`, or the program whose log it was imported from. */
  by: Schema.String,
  /** When it began: RFC 3339, UTC. Absent where an imported log does not tell. */
  startedAt: Schema.optionalKey(Schema.String),
  /** Where the first connection went. */
  endpoint: Schema.optionalKey(Schema.Struct({ host: Schema.String, port: Schema.Int })),
  /** How that was protected, as it came about. */
  mode: Schema.optionalKey(Schema.Literals(["plain", "startTls", "tls"])),
  policy: Policy,
  /** What whoever recorded wants to say. */
  note: Schema.optionalKey(Schema.String)
})
/** The first line of a recording. */
export type Header = typeof Header.Type

const transportProblem = Schema.Union([
  Schema.TaggedStruct("ConnectFailed", {
    host: Schema.String,
    port: Schema.Int,
    code: Schema.String,
    detail: Schema.String
  }),
  Schema.TaggedStruct("Closed", {}),
  Schema.TaggedStruct("Broken", { code: Schema.String, detail: Schema.String }),
  Schema.TaggedStruct("NotTls", { firstBytes: Schema.optional(Octets) }),
  Schema.TaggedStruct("CertificateRefused", {
    problem: Reason.CertificateRefused.fields.problem,
    detail: Schema.String
  }),
  Schema.TaggedStruct("HandshakeFailed", { code: Schema.String, detail: Schema.String }),
  Schema.TaggedStruct("PlaintextBuffered", { bytes: Octets })
])

const common = {
  /** Milliseconds since the recording began. */
  at: Schema.Finite,
  /** Which connection, counted from 0 in the order in which they were asked for. */
  connection: Schema.Int
}

/** What is not written down. */
export const Hidden = Schema.Struct({
  /** How many octets it has; absent where an imported log does not tell. */
  octets: Schema.optionalKey(Schema.Int),
  /** HMAC-SHA-256 with the key of the recorder, hex; absent where there was none. */
  hash: Schema.optionalKey(Schema.String),
  /**
   * It can be read with the key (AES-256-GCM: nonce, ciphertext and tag, base64). What the server says is kept so,
   * channel bindings, and random octets; never what the client says.
   */
  sealed: Schema.optionalKey(Schema.String)
})
/** What is not written down. */
export type Hidden = typeof Hidden.Type

/** What happened on a connection, or became of asking for one. */
export const Event = Schema.Union([
  Schema.TaggedStruct("Connecting", { ...common, host: Schema.String, port: Schema.Int }),
  Schema.TaggedStruct("Connected", common),
  /** Came from the server. */
  Schema.TaggedStruct("Received", { ...common, data: Octets }),
  /** A line of the server within AUTH: `line`, then what is hidden, then CRLF. */
  Schema.TaggedStruct("ReceivedHidden", { ...common, line: Schema.String, hidden: Hidden }),
  /** Came from the client. */
  Schema.TaggedStruct("Sent", { ...common, data: Octets }),
  /** A line of the client that gives something away: `line`, then what is hidden, then CRLF. */
  Schema.TaggedStruct("SentHidden", { ...common, line: Schema.String, hidden: Hidden }),
  /** Content as it went over the wire: that of DATA with its dots and its end, or the chunk of a BDAT. */
  Schema.TaggedStruct("ContentSent", {
    ...common,
    /** How many; absent where an imported log does not tell. */
    octets: Schema.optionalKey(Schema.Int),
    /** SHA-256, hex; absent where an imported log does not have it. A replay then takes any content. */
    sha256: Schema.optionalKey(Schema.String),
    /** As it was. */
    whole: Schema.optionalKey(Octets)
  }),
  /** Random octets that the program was given, as for the nonce of a mechanism. */
  Schema.TaggedStruct("Random", { ...common, hidden: Hidden }),
  /** The client began a TLS handshake for a server of this name. */
  Schema.TaggedStruct("HandshakeStarted", { ...common, serverName: Schema.String }),
  Schema.TaggedStruct("TlsEstablished", {
    ...common,
    version: Schema.Literals(["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
    cipher: Schema.String,
    serverName: Schema.String,
    verifiedBy: Schema.Literals(["chain", "fingerprint"]),
    certificate: Schema.optionalKey(Schema.Struct({
      subject: Schema.String,
      issuer: Schema.String,
      validFrom: Schema.String,
      validTo: Schema.String,
      fingerprint: Schema.String
    })),
    channelBindings: Schema.Array(Schema.Struct({
      type: Schema.Literals(["tls-exporter", "tls-server-end-point", "tls-unique"]),
      hidden: Hidden
    }))
  }),
  /** What the client asked for failed. A server that closes in good order is a `read` that failed with `Closed`. */
  Schema.TaggedStruct("Failed", {
    ...common,
    operation: Schema.Literals(["connect", "read", "write", "handshake"]),
    problem: transportProblem
  }),
  /** The client closed. */
  Schema.TaggedStruct("Closed", common),
  /** The recorder kept no more: a bound of its own was reached. */
  Schema.TaggedStruct("Truncated", { ...common, events: Schema.Int })
])
/** What happened on a connection, or became of asking for one. */
export type Event = typeof Event.Type

/** A header and its events. */
export interface Recording {
  readonly header: Header
  readonly events: ReadonlyArray<Event>
}

/** A text is no recording. */
export class RecordingError extends Data.TaggedError("RecordingError")<{
  /** Counted from 1. */
  readonly line: number
  readonly problem: string
}> {
  override get message() {
    return `line ${this.line} of the recording: ${this.problem}`
  }
}

const encodeHeader = Schema.encodeSync(Header)
const encodeEvent = Schema.encodeSync(Event)
const decodeHeader = Schema.decodeUnknownResult(Header)
const decodeEvent = Schema.decodeUnknownResult(Event)

/** The recording as newline-delimited JSON: the header, then an event each line. */
export const encode = ({ events, header }: Recording): string =>
  [encodeHeader(header), ...events.map((event) => encodeEvent(event))].map((line) => `${JSON.stringify(line)}\n`).join(
    ""
  )

/**
 * Reads what {@link encode} wrote, in this version or an earlier one; empty lines are passed
 * over. Fails with the first line that is no JSON, of another format, of a later version, or
 * no event.
 */
export const decode = (text: string): Result.Result<Recording, RecordingError> => {
  let header: Header | undefined
  const events: Array<Event> = []
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue
    const failure = (problem: string) => Result.fail(new RecordingError({ line: index + 1, problem }))
    const json = parse(line)
    if (Result.isFailure(json)) return failure(json.failure)
    if (header === undefined) {
      const found = decodeHeader(json.success)
      if (Result.isFailure(found)) return failure(`it should be the header; ${found.failure.message}`)
      if (found.success.version > version) {
        return failure(`version ${found.success.version} of the format; this library reads up to ${version}`)
      }
      header = found.success
    } else {
      const found = decodeEvent(json.success)
      if (Result.isFailure(found)) return failure(found.failure.message)
      events.push(found.success)
    }
  }
  return header === undefined
    ? Result.fail(new RecordingError({ line: 1, problem: "it is empty" }))
    : Result.succeed({ header, events })
}

const parse = (line: string): Result.Result<unknown, string> => {
  try {
    return Result.succeed(JSON.parse(line))
  } catch (error) {
    return Result.fail(`no JSON: ${(error as Error).message}`)
  }
}
