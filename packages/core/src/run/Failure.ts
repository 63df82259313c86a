/**
 * What a failure below SMTP comes to, as a reason.
 */
import * as Reason from "../outcome/Reason.ts"
import * as Reply from "../wire/Reply.ts"
import type { TransportError } from "./Transport.ts"

/**
 * What a transport's error comes to at a step. A handshake before the greeting was that of implicit TLS.
 * `unfinished` is what there was of a reply when the connection ended, as it may be shown.
 */
export const fromTransport = (
  { reason }: TransportError,
  step: string,
  greeted: boolean,
  unfinished = ""
): Reason.Reason => {
  const lost = (detail: string): Reason.Reason =>
    Reason.make("ConnectionLost", {
      step,
      detail: unfinished === "" ? detail : `${detail}, in the middle of a reply: "${unfinished}"`
    })
  const bytes = reason._tag === "NotTls"
    ? reason.firstBytes
    : reason._tag === "PlaintextBuffered"
    ? reason.bytes
    : undefined
  const escaped = bytes === undefined ? undefined : Reply.escape(bytes)
  switch (reason._tag) {
    case "ConnectFailed":
      return Reason.make("ConnectionFailed", {
        host: reason.host,
        port: reason.port,
        code: reason.code,
        detail: reason.detail
      })
    case "Closed":
      return lost("the server closed the connection")
    case "Broken":
      return lost(reason.detail)
    case "CertificateRefused":
      return Reason.make("CertificateRefused", { problem: reason.problem, detail: reason.detail })
    case "HandshakeFailed":
      return Reason.make("HandshakeFailed", { code: reason.code, detail: reason.detail })
    case "NotTls":
    case "PlaintextBuffered":
      return greeted
        ? Reason.make("PlaintextInjected", { bytes: escaped ?? "" })
        : Reason.make("TlsModeMismatch", { mode: "tls", use: "startTls", firstBytes: escaped })
  }
}
