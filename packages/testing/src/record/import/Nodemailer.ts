/**
 * What nodemailer logs with `logger: true, debug: true`: time, level, the id of a session in
 * brackets, then `C: ` or `S: ` and a line, or what it does. Content stands there as it is,
 * with nothing before it. In secrets' place it puts a comment that says so, encoded.
 */
import type { Session } from "./LogSession.ts"
import { codeOf, handshakeProblem, holds, type Shape } from "./LogShape.ts"

const mask = "/* secret */"

/** Logs of nodemailer. */
export const nodemailer: Shape = {
  by: "nodemailer",
  sign: /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (TRACE|DEBUG|INFO|WARN|ERROR|FATAL) /,
  reader: (session) => {
    let name: string | undefined
    return (whole) => {
      const [, day, hour, level, text = ""] =
        /^\[(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\] (\w+) +\[[^\]]+\](?: (.*))?$/.exec(whole) ?? []
      if (level === undefined) return
      session.time(Date.parse(`${day}T${hour}Z`))
      if (level === "DEBUG" && isContent(session, text)) return session.sent(text)
      if (level === "DEBUG" && text.startsWith("C: ")) return session.sent(text.slice(3), holds(text.slice(3), mask))
      if (level === "DEBUG" && text.startsWith("S: ")) return session.received(text.slice(3))
      const octets = /^<(\d+) bytes encoded mime message/.exec(text)?.[1]
      if (octets !== undefined) return session.contentEnds(Number(octets))
      name = /^Resolved (\S+) as /.exec(text)?.[1] ?? name
      const connected = /^(Secure )?[Cc]onnection established to (\S+):(\d{1,5})(?!\d)/.exec(text)
      if (connected !== null) {
        session.connecting(name ?? connected[2] ?? "", Number(connected[3]))
        name = undefined
        session.connected()
        if (connected[1] === undefined) return
        session.handshake()
        return session.secured()
      }
      if (text === "Connection upgraded with STARTTLS") {
        session.handshake()
        return session.secured()
      }
      if (level === "WARN" || level === "ERROR") return failure(session, text, name)
      if (/^(Closing connection to the server|Connection closed)/.test(text)) return session.closed()
    }
  }
}

// After 354 everything is content up to its dot, unless the log leaves content out: then the server's reply is next.
const isContent = (session: Session, text: string): boolean =>
  session.contentLines !== undefined && !(session.contentLines === 0 && /^(S: \d{3}|Closing connection )/.test(text))

const failure = (session: Session, detail: string, name: string | undefined): void => {
  const [, address = "", port] = /\bconnect E\w+ (\S+):(\d{1,5})(?!\d)/.exec(detail) ?? []
  if (port !== undefined) {
    const to = { host: name ?? address, port: Number(port) }
    session.connecting(to.host, to.port)
    return session.failed("connect", { _tag: "ConnectFailed", ...to, code: codeOf(detail), detail })
  }
  if (session.awaitsTls) {
    session.handshake()
    return session.failed("handshake", handshakeProblem(detail))
  }
  if (session.isOpen && /closed unexpectedly|ECONNRESET/i.test(detail)) session.failed("read", { _tag: "Closed" })
}
