/**
 * Octets as a recording writes them: so that a person can read and compare them where they
 * are text, and exactly in any case.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

const Written = Schema.Union([
  /** Whole lines, each without the CRLF that ended it. */
  Schema.Struct({ lines: Schema.Array(Schema.String) }),
  /** UTF-8 that does not end with CRLF, or holds a CR or LF by itself. */
  Schema.Struct({ text: Schema.String }),
  /** Anything else. */
  Schema.Struct({ base64: Schema.String })
])

/** How octets are written down. Each array of octets has one way. */
export type Written = typeof Written.Type

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** The one way to write octets down. */
export const write = (bytes: Uint8Array): Written => {
  const text = textOf(bytes)
  if (text === undefined) return { base64: Base64.encode(bytes) }
  const lines = text.split("\r\n")
  return lines.pop() === "" && lines.every((line) => !/[\r\n]/.test(line)) ? { lines } : { text }
}

/** The octets of what was written down. Fails where that is no base64. */
export const read = (written: Written): Result.Result<Uint8Array, string> =>
  "lines" in written
    ? Result.succeed(encoder.encode(written.lines.map((line) => `${line}\r\n`).join("")))
    : "text" in written
    ? Result.succeed(encoder.encode(written.text))
    : Result.mapError(Base64.decode(written.base64), ({ message }) => message)

/** Octets in memory, {@link Written} in JSON. */
export const Octets = Written.pipe(Schema.decodeTo(
  Schema.Uint8Array,
  SchemaTransformation.transformEffect({
    decode: (written, options) =>
      Effect.mapError(
        Effect.fromResult(read(written)),
        (message) => new SchemaIssue.InvalidValue({ message }, written, options)
      ),
    encode: (bytes) => Effect.succeed(write(bytes))
  })
))
