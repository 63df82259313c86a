/** What each shape of log has in common. */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import type * as Recording from "../Recording.ts"
import type { Session } from "./LogSession.ts"

/** Reads the logs of one program. */
export interface Shape {
  /** Stands in the header. */
  readonly by: string
  /** Found in a line of its logs, and of no other's. */
  readonly sign: RegExp
  /** A reader of the lines of one log, each without its end; what it makes of them goes to the session. */
  readonly reader: (session: Session) => (line: string) => void
}

type Refusal = Extract<
  Extract<Recording.Event, { readonly _tag: "Failed" }>["problem"],
  { readonly _tag: "CertificateRefused" }
>["problem"]

const refusals: ReadonlyArray<readonly [RegExp, Refusal]> = [
  [/self[- ]signed/i, "self-signed"],
  [/not yet valid/i, "not-yet-valid"],
  [/expired/i, "expired"],
  [/revoked/i, "revoked"],
  [/does not match|altnames|alternative certificate subject name/i, "wrong-name"],
  [/issuer|unable to verify|unknown ca/i, "unknown-ca"]
]

/** What a text about a failed handshake means. */
export const handshakeProblem = (
  detail: string
): Extract<Recording.Event, { readonly _tag: "Failed" }>["problem"] => {
  const refusal = refusals.find(([pattern]) => pattern.test(detail))?.[1]
  if (refusal !== undefined) return { _tag: "CertificateRefused", problem: refusal, detail }
  return /certificate/i.test(detail)
    ? { _tag: "CertificateRefused", problem: "other", detail }
    : { _tag: "HandshakeFailed", code: "unknown", detail }
}

/** The code of a system for what a text says of a failed connection. */
export const codeOf = (detail: string): string =>
  /\bE[A-Z]{4,}\b/.exec(detail)?.[0]
    ?? (/refused/i.test(detail)
      ? "ECONNREFUSED"
      : /timed? ?out/i.test(detail)
      ? "ETIMEDOUT"
      : /resolve|not known|no such host/i.test(detail)
      ? "ENOTFOUND"
      : "unknown")

/** The text that base64 stands for; undefined where it is none. */
export const decoded = (base64: string): string | undefined =>
  Result.getOrUndefined(Result.map(Base64.decode(base64), (bytes) => new TextDecoder().decode(bytes)))

/** Whether a line, or a word of it when decoded, holds what a program writes in place of a secret. */
export const holds = (line: string, mask: string): boolean =>
  line.includes(mask) || line.split(" ").some((word) => decoded(word)?.includes(mask) === true)
