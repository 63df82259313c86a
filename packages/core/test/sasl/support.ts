/**
 * What the tests of mechanisms share.
 */
import { Mechanism } from "@postern/core"
import { Effect, Result } from "effect"

/** A message of a vector: of the client or the server, in base64, or as it stands where that is none. */
export interface Message {
  readonly from: string
  readonly base64?: string | undefined
  readonly raw?: string | undefined
}

/** The octets of a vector; none where it has none. */
export const octets = (base64: string | null | undefined): Uint8Array =>
  Uint8Array.from(Buffer.from(base64 ?? "", "base64"))

/** What comes of a duel that waits for nothing. */
export const duel = (
  mechanism: Mechanism.Mechanism,
  credentials: Mechanism.Password,
  server: Mechanism.ServerContext,
  alter?: Mechanism.Alter
): Result.Result<Mechanism.Duel, Mechanism.SaslError> =>
  Effect.runSync(Effect.result(Mechanism.duel(mechanism, credentials, server, alter)))

export const accepted = (result: Result.Result<Mechanism.Duel, Mechanism.SaslError>): boolean =>
  Result.isSuccess(result) && result.success.accepted
