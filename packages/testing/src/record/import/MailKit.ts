/**
 * What MailKit's ProtocolLogger writes: `C: ` and `S: ` before each line, perhaps a time before
 * that, secrets as eight asterisks. Of TLS it says nothing: it is there once the server agreed
 * to STARTTLS and the client goes on, and from the beginning with `smtps:`.
 */
import type { Shape } from "./LogShape.ts"

/** Logs of MailKit. */
export const mailKit: Shape = {
  by: "MailKit",
  sign: /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* )?(Connected to (smtps?|imaps?|pops?):|[CS]: )/,
  reader: (session) => (whole) => {
    const [, time, line = ""] = /^(?:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*) )?(.*)$/.exec(whole) ?? []
    if (time !== undefined) session.time(Date.parse(time))
    if (line.startsWith("C: ")) {
      if (session.awaitsTls) {
        session.handshake()
        session.secured()
      }
      return session.sent(line.slice(3), line.endsWith("********") && session.contentLines === undefined)
    }
    if (line.startsWith("S: ")) return session.received(line.slice(3))
    const [, scheme, host = "", port] = /^Connected to (\w+):\/\/(\[[^\]]+\]|[^\s/:]+)(?::(\d{1,5})(?!\d))?/.exec(line)
      ?? []
    if (scheme === undefined) return
    session.connecting(host, Number(port ?? (scheme === "smtps" ? 465 : 25)))
    session.connected()
    if (scheme !== "smtps") return
    session.handshake()
    session.secured()
  }
}
