/**
 * npm's smtp-server, in a process of its own.
 */
import { Effect, FileSystem } from "effect"
import { fileURLToPath } from "node:url"
import { Unavailable } from "../machine/Debian.ts"
import * as Library from "./Library.ts"
import type { Kind } from "./Server.ts"

const manifest = fileURLToPath(new URL("../node_modules/smtp-server/package.json", import.meta.url))

const missing = () => new Unavailable({ packages: ["smtp-server"], detail: "install it: npm ci --prefix interop" })

const installed = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const { version }: { readonly version: string } = JSON.parse(
    yield* Effect.mapError(fs.readFileString(manifest), missing)
  )
  return version
})

/** With a mailbox for all that comes. */
export const smtpServer: Kind = Library.kind({
  name: "smtp-server",
  has: {
    ports: ["tls", "plain", "submission", "lmtp"],
    mechanisms: ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"],
    extensions: ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "REQUIRETLS", "SIZE"],
    knowsRecipients: true,
    size: 1_000_000,
    idles: true,
    relays: "says why"
  },
  command: process.execPath,
  program: "smtp-server.mjs",
  installed
})
