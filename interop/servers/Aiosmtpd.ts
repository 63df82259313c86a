/**
 * Python's aiosmtpd: SMTP and LMTP.
 */
import { Effect } from "effect"
import * as Debian from "../machine/Debian.ts"
import * as Library from "./Library.ts"
import type { Kind } from "./Server.ts"

const packages = ["python3-aiosmtpd"]

/** With a mailbox for all that comes. */
export const aiosmtpd: Kind = Library.kind({
  name: "aiosmtpd",
  has: {
    ports: ["tls", "plain", "submission", "lmtp"],
    mechanisms: ["PLAIN", "LOGIN"],
    extensions: ["SIZE", "8BITMIME", "SMTPUTF8", "HELP"],
    knowsRecipients: true,
    size: 1_000_000,
    idles: true,
    relays: "says why"
  },
  // Debian's own, whatever else is called python3: it has Debian's packages.
  command: "/usr/bin/python3",
  program: "aiosmtpd_server.py",
  installed: Effect.gen(function*() {
    yield* Debian.installed(packages)
    return Debian.upstream((yield* Debian.version("python3-aiosmtpd")) ?? "")
  })
})
