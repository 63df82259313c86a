/**
 * A server that runs for the tests of a block, and clients for it.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { layer as blockOf, type Vitest } from "@effect/vitest"
import { Choose, Mechanism, Ntlm, SmtpClient } from "@postern/core"
import { NodeGss, NodeSmtp } from "@postern/node"
import { Context, Effect, Layer, Redacted } from "effect"
import * as Ground from "../machine/Ground.ts"
import { account, type Features, type Kind, type Options, type Server } from "../servers/Server.ts"

/** The server under test, running, and the certificates around it. */
export class Running extends Context.Service<Running, {
  readonly server: Server
  readonly identities: Ground.Identities
}>()("@postern/interop/Running") {}

/** Sets a server up, and runs it until the scope ends. */
export const running = Effect.fnUntraced(function*(kind: Kind, options: Options) {
  const server = yield* kind.setUp(options)
  yield* server.run
  return { server, identities: options.identities }
})

/** Sets a server up, for tests that run it themselves. */
export const setUp = (kind: Kind, options: Options) =>
  Effect.map(kind.setUp(options), (server) => ({ server, identities: options.identities }))

/** A row of a table: a server, and its tests, each named by its column. It runs unless it is only set up. */
export const row = (
  kind: Kind,
  tests: (it: Vitest.MethodsNonLive<Running | NodeServices.NodeServices>) => void,
  begin: typeof setUp = running
): void => {
  const server = Layer.effect(Running, Effect.flatMap(Ground.identities, (identities) => begin(kind, { identities })))
  blockOf(Layer.provideMerge(server, NodeServices.layer), { excludeTestServices: true, timeout: "10 minutes" })(
    kind.name,
    (it) => {
      it.effect("is there", ({ task }) =>
        Effect.map(Running, ({ server }) => {
          task.meta.version = server.version
        }))
      tests(it)
    }
  )
}

declare module "vitest" {
  interface TaskMeta {
    /** Of the server of the row. */
    version?: string
    /** What stands in the cell, where it is more than that it works. */
    cell?: string
  }
}

/** How a client of a port is set up that trusts the authority of the tests. */
export const options = (
  { identities }: Running["Service"],
  port: number | undefined,
  more: Partial<SmtpClient.Options> = {}
): SmtpClient.Options => ({
  endpoint: `127.0.0.1:${port}`,
  domain: "client.example.test",
  ...more,
  tls: { ca: [identities.ca], serverName: Ground.hostname, ...more.tls }
})

/** The same for the server's best protected port, and the account. */
export const accountOptions = (
  running: Running["Service"],
  more: Partial<SmtpClient.Options> = {}
): SmtpClient.Options => {
  const { ports } = running.server
  return options(running, ports.tls ?? ports.startTls, {
    security: ports.tls === undefined ? "startTls" : "tls",
    credentials: Mechanism.password(account.user, Redacted.make(account.password)),
    ...more
  })
}

/** A client of a port. */
export const client = (...how: Parameters<typeof options>): Layer.Layer<SmtpClient.SmtpClient> =>
  Layer.orDie(NodeSmtp.layer(options(...how)))

/** A client that logs in. */
export const loggedIn = (...how: Parameters<typeof accountOptions>): Layer.Layer<SmtpClient.SmtpClient> =>
  Layer.orDie(NodeSmtp.layer(accountOptions(...how)))

/** Opens a session and closes it. */
export const opens = Effect.scoped(Effect.flatMap(SmtpClient.SmtpClient, ({ open }) => open))

/** Sends a message. */
export const sends = (message: SmtpClient.Message) => Effect.flatMap(SmtpClient.SmtpClient, ({ send }) => send(message))

/** What proves that we are the account by this mechanism, or fails to. */
export const credentialsFor = (
  mechanism: string,
  { identities, server }: Running["Service"],
  right: boolean
): Pick<SmtpClient.Options, "credentials" | "tls"> => {
  const password = Redacted.make(right ? account.password : account.wrong)
  switch (mechanism) {
    case "ANONYMOUS":
      return { credentials: { _tag: "Anonymous", trace: "ann" } }
    case "EXTERNAL": {
      const { certificate, key } = identities.client
      return {
        credentials: { _tag: "Certificate", authorizationId: undefined },
        ...(right ? { tls: { client: { certificate, key: Redacted.make(key) } } } : {})
      }
    }
    case "GSSAPI":
    case "GSS-SPNEGO":
      return { credentials: { _tag: "Kerberos", authorizationId: undefined } }
    case "XOAUTH2":
    case "OAUTHBEARER": {
      const token = Redacted.make(right ? server.token ?? account.password : "false.token.here")
      return { credentials: { _tag: "Token", user: account.user, token: Effect.succeed(token), renew: undefined } }
    }
    default:
      return { credentials: Mechanism.password(account.user, password) }
  }
}

/** The mechanism by its name, and nothing else. */
export const only = (mechanism: string, { ntlmVersion = 2 }: Features): Choose.Authenticator => {
  switch (mechanism) {
    case "NTLM":
    case "MSN":
      return Choose.inOrder(Ntlm.make({ name: mechanism, version: ntlmVersion }))
    case "GSSAPI":
      return Choose.inOrder(NodeGss.gssapi)
    case "GSS-SPNEGO":
      return Choose.inOrder(NodeGss.gssSpnego)
    default:
      return Choose.only(Choose.standard, mechanism)
  }
}
