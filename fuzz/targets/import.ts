/** Logs that somebody sent: read or refused, and what is read is a recording. */
import { Import, Recording } from "@postern/testing"
import { Result } from "effect"
import * as Assert from "node:assert"

export const fuzz = (input: Uint8Array): void => {
  const text = new TextDecoder().decode(input)
  const imported = Import.fromText(text)
  if (Result.isFailure(imported)) return
  const written = Recording.encode(imported.success)
  const again = Recording.decode(written)
  Assert.ok(Result.isSuccess(again))
  Assert.strictEqual(Recording.encode(again.success), written)
}
