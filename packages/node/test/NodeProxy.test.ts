import { assert, describe, it } from "@effect/vitest"
import { Transport } from "@postern/core"
import { Certificates } from "@postern/testing"
import { Effect, Fiber, Redacted, References, Result } from "effect"
import * as fc from "fast-check"
import { afterEach } from "vitest"
import { NodeProxy, NodeTransport } from "../src/index.ts"
import * as proxies from "./proxies.ts"
import { bytes, eventually, handles, readAll, reasonOf, secure, serve, text, turns } from "./support.ts"

afterEach(() => Effect.runPromise(eventually(() => handles() === 0)))

const mx = { host: "mx.test", port: 25 }
const secret = "hunter2"

const open = (proxy: NodeProxy.Proxy, peer: Transport.Peer = mx) =>
  Effect.flatMap(Transport.Transport, (transport) => transport.open(peer)).pipe(
    Effect.provide(NodeTransport.layerOptions({ proxy }))
  )
const socks5 = (port: number, more: Partial<NodeProxy.Socks5> = {}): NodeProxy.Proxy => ({
  kind: "socks5",
  host: "127.0.0.1",
  port,
  ...more
})
const http = (port: number, more: Partial<NodeProxy.HttpConnect> = {}): NodeProxy.Proxy => ({
  kind: "httpConnect",
  host: "127.0.0.1",
  port,
  ...more
})
const credentials = { user: "ann", password: Redacted.make(secret) }

const greeting = serve((socket) => {
  socket.write("220 hi\r\n")
  socket.pipe(socket)
})

const authority = Certificates.authority("Test CA")
const certificateFor = Effect.fnUntraced(function*(ca: Certificates.Authority, name: string) {
  const issued = yield* ca.issue({ name, dns: [name] })
  return { cert: issued.certificate, key: Redacted.value(issued.key) }
})

/** Opening through the proxy fails so, and nothing stays open. */
const fails = Effect.fnUntraced(function*(
  proxy: proxies.Proxy,
  through: (port: number, more: typeof credentials) => NodeProxy.Proxy,
  code: string,
  detail: string
) {
  assert.deepStrictEqual(yield* reasonOf(open(through(proxy.port, credentials))), {
    _tag: "ConnectFailed",
    ...mx,
    code,
    detail: `the proxy 127.0.0.1:${proxy.port} ${detail}`
  })
  yield* eventually(() => proxy.open() === 0)
})

/** Reads the greeting, which came with the proxy's answer, and has a line echoed. */
const speak = Effect.fnUntraced(function*(wire: Transport.Wire) {
  assert.strictEqual(text(yield* readAll(wire, 8)), "220 hi\r\n")
  yield* wire.write(bytes("EHLO there\r\n"))
  assert.strictEqual(text(yield* readAll(wire, 12)), "EHLO there\r\n")
})

describe("SOCKS5", () => {
  it.live("leads to the server by its name, and what it said first is not lost", () =>
    Effect.gen(function*() {
      const server = yield* greeting
      const proxy = yield* proxies.socks({ port: server.port })
      yield* speak(yield* open(socks5(proxy.port)))
      assert.deepStrictEqual(proxy.asked, ["methods 0", "mx.test 25"])
    }))

  it.live("says user name and password when asked", () =>
    Effect.gen(function*() {
      const server = yield* greeting
      const proxy = yield* proxies.socks({ port: server.port })
      yield* speak(yield* open(socks5(proxy.port, credentials)))
      assert.deepStrictEqual(proxy.asked, ["methods 0,2", "ann:hunter2", "mx.test 25"])
    }))

  it.live.each([
    ["192.0.2.1", "192.0.2.1 2525"],
    ["2001:db8::1", "32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1 2525"],
    ["::ffff:192.0.2.1", "0.0.0.0.0.0.0.0.0.0.255.255.192.0.2.1 2525"],
    ["fe80::1%lo", "254.128.0.0.0.0.0.0.0.0.0.0.0.0.0.1 2525"],
    ["bücher.test", "xn--bcher-kva.test 2525"]
  ])("says %s as it should be", ([host, asked]) =>
    Effect.gen(function*() {
      const server = yield* greeting
      const proxy = yield* proxies.socks({ port: server.port })
      yield* speak(yield* open(socks5(proxy.port), { host: host!, port: 2525 }))
      assert.deepStrictEqual(proxy.asked, ["methods 0", asked])
    }))

  const failures: ReadonlyArray<readonly [proxies.SocksOptions, code: string, detail: string]> = [
    [{ reply: proxies.reply(1) }, "EPROXY", "answered: general failure"],
    [{ reply: proxies.reply(2) }, "EACCES", "answered: connection not allowed by ruleset"],
    [{ reply: proxies.reply(3) }, "ENETUNREACH", "answered: network unreachable"],
    [{ reply: proxies.reply(4) }, "EHOSTUNREACH", "answered: host unreachable"],
    [{ reply: proxies.reply(5) }, "ECONNREFUSED", "answered: connection refused"],
    [{ reply: proxies.reply(6) }, "ETIMEDOUT", "answered: TTL expired"],
    [{ reply: proxies.reply(7) }, "EOPNOTSUPP", "answered: command not supported"],
    [{ reply: proxies.reply(8) }, "EAFNOSUPPORT", "answered: address type not supported"],
    [{ reply: proxies.reply(9) }, "EPROTO", "answered with a reply that SOCKS5 does not have"],
    [{ reply: Uint8Array.of(4, 0, 0, 1, 0) }, "EPROTO", "answered with a reply that SOCKS5 does not have"],
    [{ reply: Uint8Array.of(5, 0, 0, 9, 0) }, "EPROTO", "answered with a reply that SOCKS5 does not have"],
    [
      { method: Uint8Array.of(5, 255) },
      "EPROXYAUTH",
      "wants an authentication that was not offered; a user name and password may be missing"
    ],
    [
      { method: Uint8Array.of(5, 2), status: Uint8Array.of(1, 1) },
      "EPROXYAUTH",
      "refused the user name or the password"
    ],
    [{ method: Uint8Array.of(5, 1) }, "EPROTO", "does not speak SOCKS5"],
    [{ method: Uint8Array.of(5, 2, 1, 0, 5, 0) }, "EPROTO", "answered before it was asked"],
    [{ method: bytes("HTTP/1.1 400 Bad Request\r\n\r\n") }, "EPROTO", "does not speak SOCKS5"]
  ]
  it.live.each(failures)("%o is %s: %s", ([options, code, detail]) =>
    Effect.gen(function*() {
      const proxy = yield* proxies.socks(options)
      yield* fails(proxy, socks5, code, detail)
    }))

  it.live("keeps in order what comes with its answer and after it", () =>
    Effect.gen(function*() {
      const sent = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 2654435761) >>> 24)
      const server = yield* serve((socket) => {
        socket.write(sent.subarray(0, 100))
        setImmediate(() => socket.write(sent.subarray(100)))
      })
      const proxy = yield* proxies.socks({ port: server.port })
      const wire = yield* open(socks5(proxy.port))
      assert.deepStrictEqual(Buffer.from(yield* readAll(wire, sent.length)), Buffer.from(sent))
    }))
})

describe("CONNECT", () => {
  it.live("leads to the server by its name, and what it said first is not lost", () =>
    Effect.gen(function*() {
      const server = yield* greeting
      const proxy = yield* proxies.connect({ port: server.port })
      yield* speak(yield* open(http(proxy.port)))
      assert.strictEqual(proxy.asked[0], "CONNECT mx.test:25 HTTP/1.1")
      assert.include(proxy.asked.map((line) => line.toLowerCase()), "host: mx.test:25")
      assert.notInclude(proxy.asked.join(), "roxy-")
    }))

  it.live("says user name and password with the request", () =>
    Effect.gen(function*() {
      const server = yield* greeting
      const proxy = yield* proxies.connect({ port: server.port })
      yield* speak(yield* open(http(proxy.port, { user: "änn", password: Redacted.make("a:b") })))
      assert.include(proxy.asked, `proxy-authorization: Basic ${Buffer.from("änn:a:b").toString("base64")}`)
    }))

  it.live("puts brackets around an IPv6 address", () =>
    Effect.gen(function*() {
      const server = yield* greeting
      const proxy = yield* proxies.connect({ port: server.port })
      yield* speak(yield* open(http(proxy.port), { host: "2001:db8::1", port: 25 }))
      assert.strictEqual(proxy.asked[0], "CONNECT [2001:db8::1]:25 HTTP/1.1")
    }))

  const failures: ReadonlyArray<readonly [answer: string, code: string, detail: string]> = [
    [
      "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
      "EPROXYAUTH",
      "answered 407 \"Proxy Authentication Required\""
    ],
    ["HTTP/1.1 403 Forbidden\r\n\r\n", "EACCES", "answered 403 \"Forbidden\""],
    ["HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno\n", "EPROXY", "answered 502 \"Bad Gateway\""],
    ["HTTP/1.0 504\r\n\r\n", "ETIMEDOUT", "answered 504 \"\""],
    ["HTTP/1.1 302 Found\r\nLocation: http://elsewhere.test/\r\n\r\n", "EPROXY", "answered 302 \"Found\""],
    [`HTTP/1.1 500 ${"x".repeat(2000)}\r\n\r\n`, "EPROXY", `answered 500 "${"x".repeat(100)}"`],
    ["220 mx.test ESMTP\r\n", "EPROTO", "does not answer in HTTP (HPE_INVALID_CONSTANT)"],
    [`HTTP/1.1 200 OK\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, "EPROTO", "does not answer in HTTP (HPE_HEADER_OVERFLOW)"]
  ]
  it.live.each(failures)("%j is %s", ([answer, code, detail]) =>
    Effect.gen(function*() {
      const proxy = yield* proxies.connect({ answer })
      yield* fails(proxy, http, code, detail)
    }))

  it.live("over TLS, and STARTTLS within it", () =>
    Effect.gen(function*() {
      const ca = yield* authority
      const inner = yield* certificateFor(ca, "mx.test")
      const server = yield* serve((socket) => {
        socket.write("220 hi\r\n")
        socket.once("data", () => {
          socket.pause()
          socket.write("220 go ahead\r\n")
          secure(inner, (secured) => secured.pipe(secured))(socket)
        })
      })
      const outer = yield* certificateFor(ca, "proxy.test")
      const proxy = yield* proxies.connect({ port: server.port }, (onSocket) => secure(outer, onSocket))
      const trust = { serverName: "proxy.test", ca: [ca.certificate] }
      const wire = yield* open(http(proxy.port, { tls: trust, ...credentials }))
      assert.strictEqual(text(yield* wire.read), "220 hi\r\n")
      yield* wire.write(bytes("STARTTLS\r\n"))
      assert.strictEqual(text(yield* wire.read), "220 go ahead\r\n")
      const facts = yield* wire.upgradeTls({ serverName: "mx.test", ca: [ca.certificate] })
      assert.strictEqual(facts.verifiedBy, "chain")
      const sent = new Uint8Array(300_000).fill(120)
      const writer = yield* Effect.forkChild(wire.write(sent))
      assert.deepStrictEqual(Buffer.from(yield* readAll(wire, sent.length)), Buffer.from(sent))
      yield* Fiber.join(writer)
    }))

  it.live("over TLS is refused to a proxy that is not trusted, or speaks none", () =>
    Effect.gen(function*() {
      const outer = yield* certificateFor(yield* authority, "proxy.test")
      const unknown = yield* proxies.connect({ answer: "" }, (onSocket) => secure(outer, onSocket))
      const untrusted = yield* reasonOf(open(http(unknown.port, { tls: true, ...credentials })))
      assert.deepInclude(untrusted, { _tag: "ConnectFailed", ...mx, code: "EPROTO" })
      assert.match(JSON.stringify(untrusted), /proxy 127.0.0.1:\d+ gives no TLS: .*certificate is not acceptable/)
      const plain = yield* proxies.connect({ answer: "HTTP/1.1 400 Bad Request\r\n\r\n" })
      const none = yield* reasonOf(open(http(plain.port, { tls: true })))
      assert.match(JSON.stringify(none), /gives no TLS: the other side does not speak TLS/)
      yield* eventually(() => unknown.open() + plain.open() === 0)
    }))
})

const kinds = [["SOCKS5", socks5], ["CONNECT", http]] as const

describe("either kind", () => {
  it.live.each(kinds)("%s: STARTTLS works through it", ([kind, make]) =>
    Effect.gen(function*() {
      const ca = yield* authority
      const inner = yield* certificateFor(ca, "mx.test")
      const server = yield* serve((socket) => {
        socket.write("220 hi\r\n")
        socket.once("data", () => {
          socket.pause()
          socket.write("220 go ahead\r\n")
          secure(inner, (secured) => secured.pipe(secured))(socket)
        })
      })
      const { port } = server
      const proxy = yield* kind === "SOCKS5" ? proxies.socks({ port }) : proxies.connect({ port })
      const wire = yield* open(make(proxy.port))
      assert.strictEqual(text(yield* wire.read), "220 hi\r\n")
      yield* wire.write(bytes("STARTTLS\r\n"))
      assert.strictEqual(text(yield* wire.read), "220 go ahead\r\n")
      yield* wire.upgradeTls({ serverName: "mx.test", ca: [ca.certificate] })
      yield* wire.write(bytes("EHLO\r\n"))
      assert.strictEqual(text(yield* wire.read), "EHLO\r\n")
    }))

  it.live.each(kinds)("%s: TLS from the first octet works through it", ([kind, make]) =>
    Effect.gen(function*() {
      const ca = yield* authority
      const inner = yield* certificateFor(ca, "mx.test")
      const { port } = yield* serve(secure(inner, (secured) => secured.write("220 hi\r\n")))
      const onward = { port, waits: true }
      const proxy = yield* kind === "SOCKS5" ? proxies.socks(onward) : proxies.connect(onward)
      const wire = yield* open(make(proxy.port))
      yield* wire.upgradeTls({ serverName: "mx.test", ca: [ca.certificate] })
      assert.strictEqual(text(yield* wire.read), "220 hi\r\n")
    }))

  it.live.each(kinds)(
    "%s: a fibre that yields the event loop misses nothing",
    ([kind, make]) =>
      Effect.gen(function*() {
        const { port } = yield* greeting
        const proxy = yield* kind === "SOCKS5" ? proxies.socks({ port }) : proxies.connect({ port })
        for (const steps of [3, 4, 5, 7]) {
          const wire = yield* open(make(proxy.port)).pipe(Effect.provideService(References.MaxOpsBeforeYield, steps))
          yield* turns(3)
          yield* speak(wire)
        }
      })
  )

  it.live.each(kinds)("%s: that cannot be reached", ([, make]) =>
    Effect.gen(function*() {
      const port = yield* Effect.scoped(Effect.map(serve(), (server) => server.port))
      assert.deepStrictEqual(yield* reasonOf(open(make(port))), {
        _tag: "ConnectFailed",
        ...mx,
        code: "ECONNREFUSED",
        detail: `the proxy 127.0.0.1:${port} cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}`
      })
    }))

  it.live.each(kinds)("%s: that closes or breaks off before it answers", ([, make]) =>
    Effect.gen(function*() {
      for (const end of ["end", "resetAndDestroy"] as const) {
        const proxy = yield* serve((socket) => void socket.once("data", () => socket[end]()))
        const reason = yield* reasonOf(open(make(proxy.port, credentials)))
        assert.deepInclude(reason, { _tag: "ConnectFailed", ...mx, code: "ECONNRESET" })
        assert.match(JSON.stringify(reason), /the proxy 127.0.0.1:\d+ (closed the connection|broke off)/)
        yield* eventually(() => proxy.open() === 0)
      }
    }))

  it.live.each(kinds)(
    "%s: that says nothing is waited for until interrupted, and left",
    ([, make]) =>
      Effect.gen(function*() {
        const proxy = yield* serve((socket) => socket.resume())
        const fiber = yield* Effect.forkChild(open(make(proxy.port)), { startImmediately: true })
        yield* proxy.accept
        yield* turns(20)
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
        yield* eventually(() => proxy.open() === 0)
      })
  )

  it.live("a proxy over TLS that says nothing is left when interrupted, in the handshake and after it", () =>
    Effect.gen(function*() {
      const ca = yield* authority
      const outer = yield* certificateFor(ca, "proxy.test")
      const mute = yield* serve((socket) => socket.resume())
      const slow = yield* serve(secure(outer, (socket) => socket.resume()))
      for (const proxy of [mute, slow]) {
        const tls = { serverName: "proxy.test", ca: [ca.certificate] }
        const fiber = yield* Effect.forkChild(open(http(proxy.port, { tls })), { startImmediately: true })
        yield* proxy.accept
        yield* turns(50)
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
        yield* eventually(() => proxy.open() === 0)
      }
    }))

  it.live.each(kinds)("%s: is not asked for what cannot be", ([, make]) =>
    Effect.gen(function*() {
      const proxy = yield* serve((socket) => socket.resume())
      for (const port of [-1, 65_536, 0.5, Number.NaN]) {
        const reason = yield* reasonOf(open(make(proxy.port), { host: "mx.test", port }))
        assert.strictEqual(reason._tag === "ConnectFailed" && reason.code, "ERR_SOCKET_BAD_PORT")
      }
      for (const host of ["", "mx.test\r\nX: y", "mx test", "mx.test:25", "a".repeat(300)]) {
        const reason = yield* reasonOf(open(make(proxy.port), { host, port: 25 }))
        assert.strictEqual(reason._tag === "ConnectFailed" && reason.code, "EINVAL")
      }
      for (const user of ["a\u0000:".repeat(200), undefined]) {
        const reason = yield* reasonOf(open(make(proxy.port, { user, password: Redacted.make(secret) })))
        assert.strictEqual(reason._tag === "ConnectFailed" && reason.code, "EINVAL")
        assert.notInclude(JSON.stringify(reason), secret)
      }
    }))

  it("whatever it answers, a byte at a time or at once, ends typed and without the secret", () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...kinds),
        fc.oneof(
          fc.uint8Array({ maxLength: 64 }),
          fc.tuple(
            fc.constantFrom([], [5, 0], [5, 2, 1, 0], [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 25]),
            fc.array(fc.constantFrom(0, 1, 2, 3, 4, 5, 255), { maxLength: 40 })
          ).map((codes) => Uint8Array.from(codes.flat())),
          fc.string({ maxLength: 40 }).map((rest) => bytes(`HTTP/1.1 ${rest}\r\n\r\n`)),
          fc.string({ maxLength: 40 }).map((rest) => bytes(`HTTP/1.1 4${rest}\r\n\r\n`))
        ),
        fc.boolean(),
        ([, make], answer, atOnce) =>
          Effect.gen(function*() {
            const proxy = yield* serve((socket) => {
              socket.resume().once("data", () => {
                const pieces = atOnce ? [answer] : Array.from(answer, (byte) => Uint8Array.of(byte))
                pieces.forEach((piece) => socket.write(piece))
                socket.end()
              })
            })
            const exit = yield* Effect.result(open(make(proxy.port, credentials)))
            if (Result.isFailure(exit)) {
              assert.strictEqual(exit.failure.reason._tag, "ConnectFailed")
              assert.notInclude(JSON.stringify(exit.failure.reason), secret)
            }
          }).pipe(Effect.scoped, Effect.runPromise)
      ),
      { numRuns: 200 }
    ))
})

describe("parse", () => {
  const shown = (url: string) =>
    Result.match(NodeProxy.parse(url), {
      onFailure: ({ problem }) => problem,
      onSuccess: ({ password, ...proxy }) => ({ ...proxy, password: password && Redacted.value(password) })
    })
  const none = { user: undefined, password: undefined }

  it.each([
    ["socks5://user:pw@host:1081", { kind: "socks5", host: "host", port: 1081, user: "user", password: "pw" }],
    ["socks5h://proxy.example", { kind: "socks5", host: "proxy.example", port: 1080, ...none }],
    ["socks5://[2001:db8::1]", { kind: "socks5", host: "2001:db8::1", port: 1080, ...none }],
    ["http://proxy.example:3128/", { kind: "httpConnect", host: "proxy.example", port: 3128, tls: undefined, ...none }],
    ["http://h", { kind: "httpConnect", host: "h", port: 80, tls: undefined, ...none }],
    ["https://a%40b:p%3A%20w@h", {
      kind: "httpConnect",
      host: "h",
      port: 443,
      tls: true,
      user: "a@b",
      password: "p: w"
    }]
  ])("%s", (url, proxy) => assert.deepStrictEqual(shown(url), proxy as never))

  it.each([
    ["", "it is not scheme://user:password@host:port with special characters percent-encoded"],
    ["proxy.example:1080", "its scheme is socks5, http or https, not proxy.example"],
    ["socks4://h", "its scheme is socks5, http or https, not socks4"],
    ["toString://h", "its scheme is socks5, http or https, not tostring"],
    ["http://h/path", "it ends after the port: a path, query or fragment has no meaning here"],
    ["http://h?x", "it ends after the port: a path, query or fragment has no meaning here"],
    ["socks5://a%ff:hunter2@h", "it is not percent-encoded UTF-8"],
    ["socks5://:hunter2@h", "a password goes with a user name"],
    ["http://a%3Ab:hunter2@h", "a user name has no colon and neither it nor the password control characters in HTTP"],
    ["http://a:hunter2%0a@h", "a user name has no colon and neither it nor the password control characters in HTTP"],
    [
      `socks5://a:${"hunter2".repeat(40)}@h`,
      "user name and password have at most 255 octets each in SOCKS5"
    ],
    ["socks5://h:0", "it is a number from 1 to 65535, not \"0\""]
  ])("%s is none", (url, problem) => assert.strictEqual(shown(url), problem))

  it("never throws, and never shows the password", () =>
    fc.assert(
      fc.property(
        fc.constantFrom("socks5", "http", "https", "ftp", ""),
        fc.webAuthority({ withIPv6: true, withPort: true }),
        fc.webPath(),
        (scheme, authority, path) => {
          const url = `${scheme}://ann:${secret}@${authority}${path}`
          const parsed = NodeProxy.parse(url)
          assert.notInclude(JSON.stringify(parsed), secret)
        }
      )
    ))
})
