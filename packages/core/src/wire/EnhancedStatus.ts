/**
 * Enhanced status codes: `class.subject.detail` at the head of a reply's text
 * (RFC 2034, RFC 3463, registry kept by RFC 5248).
 */
import * as Schema from "effect/Schema"

/**
 * An enhanced status code such as `5.7.1`. `class` is 2 (success), 4 (persistent
 * transient failure) or 5 (permanent failure); `subject` and `detail` are 0 to 999.
 */
export interface EnhancedStatus extends Schema.Schema.Type<typeof EnhancedStatus> {}

/** The schema of {@link EnhancedStatus}. */
export const EnhancedStatus = Schema.Struct({
  class: Schema.Literals([2, 4, 5]),
  subject: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 })),
  detail: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 }))
})

const pattern = /^([245])\.(\d{1,3})\.(\d{1,3})(?=$|[ \t])/

/**
 * Reads the enhanced status code that `text` begins with. It counts only where it
 * stands alone (end of text or a blank follows) and its class is the first digit
 * of `code`, as RFC 2034 §4 requires; otherwise the text is only text. Leading zeros, which
 * RFC 3463 §2 forbids, are passed over.
 */
export const fromText = (code: number, text: string): EnhancedStatus | undefined => {
  const match = pattern.exec(text)
  if (match === null) return undefined
  const cls = Number(match[1])
  if (cls !== Math.floor(code / 100)) return undefined
  return { class: cls as 2 | 4 | 5, subject: Number(match[2]), detail: Number(match[3]) }
}

/** `text` without the enhanced status code it begins with, whatever its class. */
export const strip = (text: string): string => text.replace(/^[245]\.\d{1,3}\.\d{1,3}(?:[ \t]+|$)/, "")

/** `5.7.1` */
export const format = (status: EnhancedStatus): string => `${status.class}.${status.subject}.${status.detail}`

/** True when the subject and detail are these: `is(status, 7, 1)` matches X.7.1. */
export const is = (status: EnhancedStatus | undefined, subject: number, detail: number): boolean =>
  status !== undefined && status.subject === subject && status.detail === detail
