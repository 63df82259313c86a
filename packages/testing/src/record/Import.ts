/**
 * Recordings of what other programs have logged, so that the log in someone's bug report becomes
 * a test: what swaks, `curl -v`, nodemailer (`logger: true, debug: true`) and MailKit's
 * ProtocolLogger print.
 *
 * Secrets come out hidden, whether the log shows them or not. What a log does not tell is
 * filled in as follows: the time of everything is 0; the endpoint is `unknown.invalid:25`; TLS
 * is TLSv1.3 with the cipher `unknown`, verified by its chain, without certificate and bindings;
 * a secret has no `octets`, and content no `sha256`: a replay takes any.
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import type { KeyError } from "./Key.ts"
import { curl } from "./import/Curl.ts"
import { mailKit } from "./import/MailKit.ts"
import { nodemailer } from "./import/Nodemailer.ts"
import { type Options, Session } from "./import/LogSession.ts"
import type { Shape as Reader } from "./import/LogShape.ts"
import { swaks } from "./import/Swaks.ts"
import type { Recording } from "./Recording.ts"

export type { Options } from "./import/LogSession.ts"

/** Whose logs can be read. */
export type Shape = "swaks" | "curl" | "nodemailer" | "mailkit"

/** A text cannot be imported. */
export class ImportError extends Data.TaggedError("ImportError")<{
  /** Counted from 1. */
  readonly line: number
  readonly problem: string
  /** What to do about it. */
  readonly advice: string
}> {
  override get message() {
    return `line ${this.line} of the log: ${this.problem}; ${this.advice}`
  }
}

// What has more before its lines comes first.
const readers: Readonly<Record<Shape, Reader>> = { nodemailer, mailkit: mailKit, swaks, curl }

const shapes: ReadonlyArray<Shape> = ["nodemailer", "mailkit", "swaks", "curl"]

/** Which program wrote a log: that of the first line that tells. Undefined where none does. */
export const detect = (text: string): Shape | undefined => {
  for (const line of linesOf(text)) {
    const found = shapes.find((shape) => readers[shape].sign.test(line))
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * The recording of a log, of whatever shape it is. Lines that are none of it are passed over.
 * Fails with `ImportError` where the text is of no known shape, where it holds no session, or
 * one of another protocol; with `KeyError` where the key is too short.
 *
 * @example
 * ```ts
 * import { Import, Recording } from "@postern/testing"
 * import { Result } from "effect"
 *
 * export const recorded = (log: string) => Result.map(Import.fromText(log), Recording.encode)
 * ```
 */
export const fromText = (text: string, options: Options = {}): Result.Result<Recording, ImportError | KeyError> => {
  const shape = detect(text)
  return shape === undefined
    ? Result.fail(
      new ImportError({
        line: 1,
        problem: "it is of no known shape",
        advice:
          "give what swaks, curl -v, nodemailer (logger and debug true) or MailKit's ProtocolLogger printed, as it is"
      })
    )
    : fromShape(shape, text, options)
}

/** As {@link fromText}, for a log of which it is known who wrote it. */
export const fromShape = (
  shape: Shape,
  text: string,
  options: Options = {}
): Result.Result<Recording, ImportError | KeyError> =>
  Result.flatMap(Session.make(options), (session) => {
    const { by, reader } = readers[shape]
    const read = reader(session)
    let number = 0
    for (const line of linesOf(text)) {
      number++
      read(line)
      if (session.foreign !== undefined) {
        return Result.fail(
          new ImportError({
            line: number,
            problem: "the server does not begin with an SMTP reply",
            advice: "only logs of SMTP, LMTP and submission can be imported"
          })
        )
      }
    }
    const recording = session.finish(by)
    return recording === undefined
      ? Result.fail(
        new ImportError({
          line: Math.max(1, number),
          problem: "nothing was said until here",
          advice: "have the program log what is sent and received: curl -v, logger and debug for nodemailer"
        })
      )
      : Result.succeed(recording)
  })

const linesOf = (text: string): ReadonlyArray<string> => text.replace(/^\uFEFF/, "").split(/\r*\n/)
