/**
 * A certificate for loopback, made when it is wanted.
 */
import * as Certificates from "@postern/testing/Certificates"
import { Effect, Redacted } from "effect"

/** What the server shows, and what its clients trust; PEM. */
export interface Issued {
  readonly cert: string
  readonly key: string
  readonly ca: string
}

export const issue = (): Promise<Issued> =>
  Effect.runPromise(Effect.gen(function*() {
    const authority = yield* Certificates.authority("Bench CA")
    const { certificate, key } = yield* authority.issue({ name: "sink", dns: ["localhost"], ip: ["127.0.0.1"] })
    return { cert: certificate, key: Redacted.value(key), ca: authority.certificate }
  }))
