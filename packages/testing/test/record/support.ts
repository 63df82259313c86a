import { Choose, Login, Mechanism, Plain, SmtpClient } from "@postern/core"
import * as CramMd5 from "@postern/core/CramMd5"
import * as DigestMd5 from "@postern/core/DigestMd5"
import * as Ntlm from "@postern/core/Ntlm"
import * as OAuthBearer from "@postern/core/OAuthBearer"
import * as Scram from "@postern/core/Scram"
import * as XOAuth2 from "@postern/core/XOAuth2"
import { InMemory, type ServerMachine } from "@postern/testing"
import { Effect, Layer, Redacted } from "effect"

/** Every mechanism with a password that the simulated server takes. */
export const withPassword: ReadonlyArray<Mechanism.Mechanism> = [
  Plain.plain,
  Login.login,
  CramMd5.cramMd5,
  DigestMd5.digestMd5,
  Ntlm.ntlm,
  Scram.scramSha1,
  Scram.scramSha256,
  Scram.scramSha256Plus,
  Scram.scramSha512
]

export const withToken: ReadonlyArray<Mechanism.Mechanism> = [XOAuth2.xoauth2, OAuthBearer.oauthBearer]

export const key = Redacted.make("a key of thirty-two characters..")

export const password = "tanstaaftanstaaf"

export const credentials = Mechanism.password("tim", Redacted.make(password))

export const server: ServerMachine.Config = {
  hostname: "mx.example",
  mechanisms: withPassword,
  accounts: { tim: Redacted.make(password) },
  unknownUsers: ["nobody@b.example"]
}

/** A client of a server in memory, over whatever stands between them. */
export const client = (options: Partial<SmtpClient.Options> = {}) =>
  SmtpClient.layer({ endpoint: "mx.example:587", security: "startTls", domain: "client.example", ...options })

export const using = (
  mechanism: Mechanism.Mechanism,
  as: Mechanism.Credentials = credentials,
  options: Partial<SmtpClient.Options> = {}
) => client({ credentials: as, authenticator: Choose.inOrder(mechanism), ...options })

export const message = {
  from: "ann@a.example",
  to: ["ben@b.example", "nobody@b.example"],
  content: "Subject: hello\n\nHello.\n.dots\n"
}

export const send = (altered: Partial<SmtpClient.Message> = {}) =>
  Effect.flatMap(SmtpClient.SmtpClient, (client) => client.send({ ...message, ...altered }))

export const inMemory = (config: ServerMachine.Config = server, options: InMemory.Options = {}) =>
  Layer.unwrap(Effect.map(InMemory.make(config, options), ({ layer }) => layer))
