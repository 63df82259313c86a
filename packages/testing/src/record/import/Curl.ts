/**
 * What `curl -v` prints: `> ` and `< ` before what is said, `* ` before what it does, and
 * `{ ` and `} ` for octets that it does not show, content among them. Its progress meter may
 * stand before any of them, and with `--trace-time` the time of the day.
 */
import { codeOf, handshakeProblem, type Shape } from "./LogShape.ts"

/** Logs of curl. */
export const curl: Shape = {
  by: "curl",
  sign:
    /^(\d\d:\d\d:\d\d\.\d+ )?(\r.*?--:--:--\s+\S*)?(\*   ?Trying |\* Connected to |\* Established connection to |[<>] )/,
  reader: (session) => {
    let isTls = false
    let isHandshaking = false
    let reason = ""
    let midnight = 0
    let last = 0
    return (whole) => {
      const [, hours, minutes, seconds] = /^(\d\d):(\d\d):(\d\d\.\d+) /.exec(whole) ?? []
      if (hours !== undefined) {
        const now = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000
        if (now < last) midnight += 86_400_000
        if (last > 0 || midnight > 0) session.passed(Math.max(0, now - last + (now < last ? 86_400_000 : 0)))
        last = now
      }
      const line = whole.replace(/^\d\d:\d\d:\d\d\.\d+ /, "").replace(/^\r.*?--:--:--\s+[^\s*<>{}]*(?=[*<>{}] )/, "")
      const text = line.slice(2)
      switch (line.slice(0, 2)) {
        case "> ":
          return session.sent(text)
        case "< ":
          return session.received(text)
        case "} ": {
          // Within TLS it counts the octets of records.
          const octets = /^\[(\d+) bytes data\]/.exec(text)?.[1]
          if (session.contentLines !== undefined) session.contentEnds(isTls ? undefined : Number(octets ?? 0))
          return
        }
        case "* ":
          break
        default:
          return
      }
      const connected = /^(?:Connected to|Established connection to) (\S+) \(\S+\)? port (\d{1,5})(?!\d)/.exec(text)
      if (connected !== null) {
        isTls = false
        isHandshaking = false
        session.connecting(connected[1] ?? "", Number(connected[2]))
        return session.connected()
      }
      reason = /^connect to .* failed: (.+)/.exec(text)?.[1] ?? reason
      const unreached = /^(Failed to connect to (\S+) port (\d{1,5})(?!\d).*|Could not resolve host: (\S+).*)/.exec(
        text
      )
      if (unreached !== null) {
        const [, detail = "", name, port = "25", unresolved] = unreached
        const host = name ?? unresolved ?? ""
        session.connecting(host, Number(port))
        const code = codeOf(reason === "" ? detail : reason)
        return session.failed("connect", { _tag: "ConnectFailed", host, port: Number(port), code, detail })
      }
      if (/TLS handshake, Client hello/.test(text) && !isHandshaking && !isTls) {
        isHandshaking = true
        return session.handshake()
      }
      const tls = /^SSL connection using (\S+) \/ ([\w-]+)/.exec(text)
      if (tls !== null) {
        if (!isHandshaking) session.handshake()
        isHandshaking = false
        isTls = true
        return session.secured({ version: tls[1], cipher: tls[2] })
      }
      if (isHandshaking && /^(SSL certificate problem|SSL: |OpenSSL SSL_connect|.*SSL routines)/.test(text)) {
        isHandshaking = false
        return session.failed("handshake", handshakeProblem(text))
      }
      if (/^Closing connection/i.test(text)) return session.closed()
    }
  }
}
