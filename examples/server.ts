/**
 * The servers that the examples talk to: embedded, on loopback, each with a certificate
 * of an authority that only the example's client trusts.
 */
import { CramMd5, Login, Plain } from "@postern/core"
import { Certificates, type ServerMachine, TcpServer } from "@postern/testing"
import { Effect, Redacted, type Scope } from "effect"

/** A server that relays for its users and takes mail for example.org from everybody. */
export interface Running {
  readonly server: TcpServer.TcpServer
  /** PEM of the authority to trust. */
  readonly ca: ReadonlyArray<string>
}

export const user = "ann"
export const password = Redacted.make("correct horse battery staple")

const config: ServerMachine.Config = {
  localDomains: ["example.org"],
  mechanisms: [Plain.plain, Login.login, CramMd5.cramMd5],
  accounts: { [user]: password }
}

/** Starts one; it stops with the scope. */
export const start = Effect.fn("start")(function*(
  overrides: ServerMachine.Config = {}
): Effect.fn.Return<Running, Certificates.CertificateError | TcpServer.TcpServerError, Scope.Scope> {
  const authority = yield* Certificates.authority("postern example authority")
  const tls = yield* authority.issue({ name: "localhost", dns: ["localhost"], ip: ["127.0.0.1"] })
  const server = yield* TcpServer.make({ ...config, ...overrides }, { tls })
  return { server, ca: [authority.certificate] }
})
