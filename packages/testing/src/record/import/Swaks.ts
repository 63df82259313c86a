/**
 * What swaks prints: ` -> ` and `<-  ` before what is said, `~` within TLS, `*` where it is an
 * error; `===` before what it does, `***` before what went wrong.
 */
import * as Base64 from "effect/encoding/Base64"
import { codeOf, decoded, handshakeProblem, holds, type Shape } from "./LogShape.ts"

const removed = "PROVIDED_BUT_REMOVED"

/** Logs of swaks. With `--auth-plaintext` it shows decoded what is encoded on the wire: that is encoded again. */
export const swaks: Shape = {
  by: "swaks",
  sign: /^(=== (Trying|Connected to) |( [-~]|[*][*~])> |<([-~] |[*][*]|~[*]) )/,
  reader: (session) => {
    let host = ""
    let refused: { readonly host: string; readonly port: number } | undefined
    return (line) => {
      const client = /^(?:(?: [-~]>|\*[*~]>) ?)(.*)$/.exec(line)?.[1]
      if (client !== undefined) {
        // `9 lines sent` in place of content has no end, and so is content that is not known.
        const said = session.contentLines === undefined ? asSent(client, session.isAuthenticating) : client
        return session.sent(said, holds(client, removed))
      }
      const server = /^<(?:[-~] |\*\*|~\*) ?(.*)$/.exec(line)?.[1]
      if (server !== undefined) {
        return session.received(server.startsWith("334 ") ? `334 ${encoded(server.slice(4))}` : server)
      }
      const [, name = "", port = ""] = /^=== Trying (\S+):(\d{1,5})\.\.\./.exec(line) ?? []
      if (name !== "") {
        host = name
        return session.connecting(host, Number(port))
      }
      if (line.startsWith("=== Connected to ")) return session.connected()
      const seconds = /^=== response in (\d+(?:\.\d+)?)s/.exec(line)?.[1]
      if (seconds !== undefined) return session.passed(Number(seconds) * 1000)
      const tls = /^=== TLS started w(?:ith|\/) cipher (?:(TLSv[\d.]+):)?([\w-]+)/.exec(line)
      if (tls !== null) {
        session.handshake()
        return session.secured({ version: tls[1], cipher: tls[2] })
      }
      const failure = /^\*\*\* TLS startup failed \((.*)\)/.exec(line)?.[1]
      if (failure !== undefined) {
        session.handshake()
        return session.failed("handshake", handshakeProblem(failure))
      }
      if (line.startsWith("*** Remote host closed connection unexpectedly")) {
        return session.failed("read", { _tag: "Closed" })
      }
      const to = /^\*\*\* Error connecting to (.+):(\d{1,5}):/.exec(line)
      if (to !== null) refused = { host: to[1] ?? host, port: Number(to[2]) }
      else if (refused !== undefined && line.startsWith("*** ")) {
        const detail = line.slice(4).trim()
        session.failed("connect", { _tag: "ConnectFailed", ...refused, code: codeOf(detail), detail })
        refused = undefined
      }
      if (line.startsWith("=== Connection closed")) session.closed()
    }
  }
}

/** Text as it was on the wire, where it stands there decoded. */
const encoded = (text: string): string =>
  text === "" || text === "*" || text === "=" || decoded(text) !== undefined
    ? text
    : Base64.encode(new TextEncoder().encode(text.replaceAll("\\0", "\0")))

const asSent = (line: string, isResponse: boolean): string => {
  if (isResponse) return encoded(line)
  const [, before = "", initial = ""] = /^(AUTH \S+ )(.+)$/i.exec(line) ?? []
  return initial === "" ? line : `${before}${encoded(initial)}`
}
