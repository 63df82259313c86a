/** Recordings that somebody sent: read or refused, and what is read is written as it was. */
import { Recording } from "@postern/testing"
import { Result } from "effect"
import * as Assert from "node:assert"

export const fuzz = (input: Uint8Array): void => {
  const decoded = Recording.decode(new TextDecoder().decode(input))
  if (Result.isFailure(decoded)) return
  const written = Recording.encode(decoded.success)
  const again = Recording.decode(written)
  Assert.ok(Result.isSuccess(again))
  Assert.strictEqual(Recording.encode(again.success), written)
}
