/**
 * Ways through a proxy: SOCKS5 (RFC 1928, with the user name and password of RFC 1929) and
 * the CONNECT method of HTTP (RFC 9110 §9.3.6). The proxy resolves the name of the server.
 */
import { Endpoint, Reason, Transport } from "@postern/core"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Http from "node:http"
import * as Net from "node:net"
import { domainToASCII } from "node:url"
import { SocksClient } from "socks"
import * as NodeTls from "./NodeTls.ts"
import * as TlsProblem from "./TlsProblem.ts"

interface At {
  readonly host: string
  readonly port: number
  /** Said only when the proxy asks for it (SOCKS5), or with the request (HTTP, Basic). */
  readonly user?: string | undefined
  readonly password?: Redacted.Redacted<string> | undefined
}

/** A SOCKS5 proxy. User name and password have at most 255 octets each. */
export interface Socks5 extends At {
  readonly kind: "socks5"
}

/** An HTTP proxy that has CONNECT. A user name has no colon (RFC 7617 §2). */
export interface HttpConnect extends At {
  readonly kind: "httpConnect"
  /** Speaks TLS with the proxy itself, which is verified as ever: by the name `host` unless said otherwise. */
  readonly tls?: boolean | Partial<Transport.TlsOptions> | undefined
}

export type Proxy = Socks5 | HttpConnect

const schemes: Readonly<Record<string, { readonly kind: Proxy["kind"]; readonly port: number; readonly tls?: true }>> =
  {
    "socks5:": { kind: "socks5", port: 1080 },
    "socks5h:": { kind: "socks5", port: 1080 },
    "http:": { kind: "httpConnect", port: 80 },
    "https:": { kind: "httpConnect", port: 443, tls: true }
  }

/**
 * Reads a proxy from a URL: `socks5://` (or `socks5h://`, which means the same here; port
 * 1080 unless named), `http://` (80) or `https://` (443). User name and password are
 * percent-encoded. Fails with `InvalidInput`, which never shows the password.
 *
 * @example
 * ```ts
 * import { NodeProxy, NodeTransport } from "@postern/node"
 * import { Result } from "effect"
 *
 * export const ThroughProxy = Result.map(
 *   NodeProxy.parse("socks5://ann:secret@proxy.example:1080"),
 *   (proxy) => NodeTransport.layerOptions({ proxy })
 * )
 * ```
 */
export const parse = (text: string): Result.Result<Proxy, Reason.Of<"InvalidInput">> => {
  if (!URL.canParse(text)) {
    return Result.fail(invalidUrl("it is not scheme://user:password@host:port with special characters percent-encoded"))
  }
  const url = new URL(text)
  const scheme = Object.hasOwn(schemes, url.protocol) ? schemes[url.protocol] : undefined
  if (scheme === undefined) {
    return Result.fail(invalidUrl(`its scheme is socks5, http or https, not ${url.protocol.slice(0, -1)}`))
  }
  if (url.search !== "" || url.hash !== "" || (url.pathname !== "" && url.pathname !== "/")) {
    return Result.fail(invalidUrl("it ends after the port: a path, query or fragment has no meaning here"))
  }
  return Result.gen(function*() {
    const decoded = yield* Result.mapError(
      Result.try(() => [url.hostname, url.username, url.password].map(decodeURIComponent)),
      () => invalidUrl("it is not percent-encoded UTF-8")
    )
    const [name = "", user, secret] = decoded.map((part) => part === "" ? undefined : part)
    const { host, password, port } = yield* Endpoint.make(name, url.port || scheme.port, "plain", user, secret)
    const { kind, tls } = scheme
    const proxy: Proxy = kind === "socks5"
      ? { kind, host, port, user, password }
      : { kind, host, port, user, password, tls }
    const problem = credentialsProblem(proxy)
    return problem === undefined ? proxy : yield* Result.fail(invalidUrl(problem))
  })
}

const invalidUrl = (problem: string) => Reason.make("InvalidInput", { what: "the proxy's URL", problem })

/** What the protocol cannot carry. */
const credentialsProblem = ({ kind, password, user }: Proxy): string | undefined => {
  const secret = password === undefined ? "" : Redacted.value(password)
  if (user === undefined) {
    return password === undefined ? undefined : "a password goes with a user name"
  }
  if (kind === "socks5") {
    return Math.max(Buffer.byteLength(user), Buffer.byteLength(secret)) > 255
      ? "user name and password have at most 255 octets each in SOCKS5"
      : undefined
  }
  // oxlint-disable-next-line no-control-regex
  return user.includes(":") || /[\u0000-\u001f\u007f]/.test(user + secret)
    ? "a user name has no colon and neither it nor the password control characters in HTTP"
    : undefined
}

/**
 * The way to `peer` through the proxy: `dial` connects to the proxy and gives the socket, or
 * fails. What the server has already said is unread in the socket that comes of it.
 *
 * Fails with `ConnectFailed` for `peer`. The detail names the proxy and what it answered; the
 * code is that of the platform where the answer means the same (`ECONNREFUSED`,
 * `EHOSTUNREACH`, `ENETUNREACH`, `ETIMEDOUT`, `EACCES`, …), otherwise `EPROXYAUTH` when it
 * wants other credentials, `EPROTO` when it speaks another protocol, `EPROXY` when it refuses
 * without a reason. When this fails or is interrupted the caller destroys what was dialled.
 */
export const through = Effect.fnUntraced(function*(
  proxy: Proxy,
  peer: Transport.Peer,
  dial: Effect.Effect<Net.Socket, Transport.TransportError>
): Effect.fn.Return<Net.Socket, Transport.TransportError> {
  const problem = credentialsProblem(proxy)
  if (problem !== undefined) {
    return yield* refused(proxy, peer, "EINVAL", `cannot be used: ${problem}`)
  }
  if (!Number.isInteger(peer.port) || peer.port < 0 || peer.port > 65_535) {
    return yield* refused(proxy, peer, "ERR_SOCKET_BAD_PORT", "cannot be asked: the port is a number from 0 to 65535")
  }
  const host = Net.isIP(peer.host) === 0 ? domainToASCII(peer.host) : peer.host
  if (host === "" || host.length > 255) {
    return yield* refused(proxy, peer, "EINVAL", "cannot be asked: the host is neither a name nor an address")
  }
  const blame = (what: string) => ({ reason }: Transport.TransportError) =>
    refused(proxy, peer, codeOf(reason), `${what}: ${detailOf(reason)}`)
  const socket = yield* Effect.catch(dial, blame("cannot be reached"))
  if (proxy.kind === "socks5") {
    return yield* socks5(socket, proxy, peer, host)
  }
  const { tls = false } = proxy
  if (tls === false) {
    return yield* httpConnect(socket, proxy, peer, host)
  }
  const options = { serverName: proxy.host, ...(tls === true ? {} : tls) }
  const secured = yield* Effect.catch(NodeTls.handshake(socket, options), blame("gives no TLS"))
  return yield* httpConnect(secured.socket, proxy, peer, host)
})

const codeOf = (reason: Transport.TransportProblem): string => "code" in reason ? reason.code : "EPROTO"

const detailOf = (reason: Transport.TransportProblem): string =>
  reason._tag === "ConnectFailed" ? reason.detail : new Transport.TransportError({ reason }).message

const refused = (proxy: Proxy, { host, port }: Transport.Peer, code: string, what: string) =>
  Effect.fail(
    new Transport.TransportError({
      reason: { _tag: "ConnectFailed", host, port, code, detail: `the proxy ${proxy.host}:${proxy.port} ${what}` }
    })
  )

const socks5 = (
  socket: Net.Socket,
  proxy: Socks5,
  peer: Transport.Peer,
  host: string
): Effect.Effect<Net.Socket, Transport.TransportError> =>
  Effect.callback((resume) => {
    const fail = (code: string, what: string) => resume(refused(proxy, peer, code, what))
    const client = new SocksClient({
      command: "connect",
      destination: { host, port: peer.port },
      proxy: {
        type: 5,
        host: proxy.host,
        port: proxy.port,
        ...(proxy.user === undefined ? {} : { userId: proxy.user }),
        ...(proxy.password === undefined ? {} : { password: Redacted.value(proxy.password) })
      },
      // Its own limit, never met: how long all this may take is the caller's to say.
      timeout: 600_000
    })
    // Its timer lasts to the end and would hold what it knows as long. It may be in the middle of a step.
    const release = () => Object.assign(client, { options: undefined, receiveBuffer: undefined, socket: undefined })
    client.once("error", ({ message }) => {
      setImmediate(release)
      fail(...socksProblem(message))
    })
    client.once("established", ({ remoteHost }) => {
      // What the server said in the same segment comes as a `data` event in the next turn, with
      // the order to flow: a socket that is read by `readable` does not, and takes the bytes back.
      const takeBack = (early: Uint8Array) => socket.unshift(early)
      socket.on("readable", () => {}).on("data", takeBack)
      setImmediate(() => {
        socket.off("data", takeBack)
        release()
        // An address of unknown type is passed over as if it had no octets.
        if (remoteHost === undefined) {
          return fail(...unknownReply)
        }
        resume(Effect.succeed(socket))
      })
    })
    client.connect(socket)
  })

/** What the package's messages mean, as code and detail. */
const socksProblem = (message: string): readonly [code: string, detail: string] => {
  const reply = /rejected connection - (\w+)/.exec(message)?.[1]
  if (reply !== undefined) {
    return socksReplies.get(reply) ?? unknownReply
  }
  switch (message) {
    case "Socket closed":
      return ["ECONNRESET", "closed the connection before it answered"]
    case "Socks5 Authentication failed":
      return ["EPROXYAUTH", "refused the user name or the password"]
    case "Received invalid Socks5 initial handshake (no accepted authentication type)":
      return ["EPROXYAUTH", "wants an authentication that was not offered; a user name and password may be missing"]
    case "SocksClient internal error (this should not happen)":
      return ["EPROTO", "answered before it was asked"]
    case "Received invalid Socks5 initial handshake (invalid socks version)":
    case "Received invalid Socks5 initial handshake (unknown authentication type)":
      return ["EPROTO", "does not speak SOCKS5"]
  }
  return [/\bE[A-Z]{3,}\b/.exec(message)?.[0] ?? "EPROTO", `broke off: ${message}`]
}

const unknownReply = ["EPROTO", "answered with a reply that SOCKS5 does not have"] as const

/** The replies of RFC 1928 §6 by the package's names. */
const socksReplies: ReadonlyMap<string, readonly [code: string, detail: string]> = new Map([
  ["Failure", ["EPROXY", "answered: general failure"]],
  ["NotAllowed", ["EACCES", "answered: connection not allowed by ruleset"]],
  ["NetworkUnreachable", ["ENETUNREACH", "answered: network unreachable"]],
  ["HostUnreachable", ["EHOSTUNREACH", "answered: host unreachable"]],
  ["ConnectionRefused", ["ECONNREFUSED", "answered: connection refused"]],
  ["TTLExpired", ["ETIMEDOUT", "answered: TTL expired"]],
  ["CommandNotSupported", ["EOPNOTSUPP", "answered: command not supported"]],
  ["AddressNotSupported", ["EAFNOSUPPORT", "answered: address type not supported"]]
])

const httpConnect = (
  socket: Net.Socket,
  proxy: HttpConnect,
  peer: Transport.Peer,
  host: string
): Effect.Effect<Net.Socket, Transport.TransportError> =>
  Effect.callback((resume) => {
    const fail = (code: string, what: string) => resume(refused(proxy, peer, code, what))
    const authority = `${Net.isIPv6(host) ? `[${host}]` : host}:${peer.port}`
    const request = Http.request({
      method: "CONNECT",
      path: authority,
      headers: { host: authority, ...credentials(proxy) },
      createConnection: () => socket
    })
    request.once("connect", (response: Http.IncomingMessage, _socket: Net.Socket, head: Uint8Array) => {
      const { statusCode: status = 0, statusMessage = "" } = response
      if (status < 200 || status > 299) {
        // The words are the proxy's: shown as one short line, whatever is in them.
        const answer = `answered ${status} ${JSON.stringify(statusMessage.slice(0, 100))}`
        return fail(httpCodes.get(status) ?? "EPROXY", answer)
      }
      if (head.length > 0) {
        socket.unshift(head)
      }
      resume(Effect.succeed(socket))
    })
    request.on("error", (error: TlsProblem.NodeError) => {
      const code = TlsProblem.code(error)
      return code.startsWith("HPE_")
        ? fail("EPROTO", `does not answer in HTTP (${code})`)
        : code === "ECONNRESET"
        ? fail(code, "closed the connection before it answered")
        : fail(code, `broke off: ${TlsProblem.detail(error)}`)
    })
    request.end()
    return Effect.sync(() => request.destroy())
  })

const credentials = ({ password, user }: HttpConnect) => {
  if (user === undefined) {
    return {}
  }
  const basic = `${user}:${password === undefined ? "" : Redacted.value(password)}`
  return { "proxy-authorization": `Basic ${Buffer.from(basic, "utf8").toString("base64")}` }
}

/** Statuses that say what the code says; RFC 9110 §15. */
const httpCodes: ReadonlyMap<number, string> = new Map([[403, "EACCES"], [407, "EPROXYAUTH"], [504, "ETIMEDOUT"]])
