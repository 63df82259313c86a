/** Lines of commands as a server reads them: one that is read is written, and read again as the same. */
import { CommandLine } from "@postern/core"
import { Result } from "effect"
import * as Assert from "node:assert"

export const fuzz = (input: Uint8Array): void => {
  const text = new TextDecoder().decode(input)
  const decoded = CommandLine.decode(text)
  CommandLine.decodeAuth(text)
  if (Result.isFailure(decoded)) return
  const line = new TextDecoder("utf-8", { ignoreBOM: true }).decode(CommandLine.encode(decoded.success))
  Assert.ok(line.indexOf("\r\n") === line.length - 2 && !line.includes("\0"))
  const again = CommandLine.decode(line.slice(0, -2))
  Assert.ok(Result.isSuccess(again), line)
  Assert.deepStrictEqual(CommandLine.encode(again.success), CommandLine.encode(decoded.success))
}
