/**
 * LOGIN (draft-murchison-sasl-login-00, never a standard, offered everywhere): the
 * server prompts twice, the client answers with user name and password.
 *
 * The prompts' text means nothing, except that a password must never answer a prompt
 * for a name: names are logged.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Mechanism from "./Mechanism.ts"

const asksForPassword = /^\s*pass/i
const asksForUser = /^\s*user/i

/** The mechanism in its usual form: the user name answers the first prompt. */
export const login: Mechanism.Mechanism = {
  name: "LOGIN",
  traits: { kind: "plaintext", withoutTls: false, anyChallenge: true },
  // It names nobody but the user: who asked to act for somebody else would act as oneself.
  accepts: (credentials) => credentials._tag === "Password" && credentials.authorizationId === undefined,
  client: (credentials) =>
    Effect.map(Mechanism.checkPassword(credentials), (checked) => ({
      response: undefined,
      next: (prompt) =>
        asksForPassword.test(Mechanism.textOf(prompt))
          ? mismatch("the first prompt asks for a password")
          : Effect.succeed(sendUser(checked, false)),
      verified: false
    })),
  server: (context, initialResponse) => {
    const withUser = (user: Uint8Array): Mechanism.ServerStep => ({
      _tag: "Challenge",
      challenge: prompts.password,
      next: (password) => judge(context, Mechanism.strictTextOf(user), Mechanism.strictTextOf(password))
    })
    return initialResponse === undefined
      ? { _tag: "Challenge", challenge: prompts.user, next: withUser }
      : withUser(initialResponse)
  }
}

/**
 * The form that sends the user name as initial response and so saves a round trip.
 * Servers that ignore it ask again and get the name again.
 */
export const loginWithInitialResponse: Mechanism.Mechanism = {
  ...login,
  client: (credentials) => Effect.map(Mechanism.checkPassword(credentials), (checked) => sendUser(checked, true))
}

const sendUser = (credentials: Mechanism.Password, mayRepeat: boolean): Mechanism.ClientStep => ({
  response: Mechanism.secret(credentials.user),
  next: (prompt) => {
    if (!asksForUser.test(Mechanism.textOf(prompt))) return Effect.succeed(sendPassword(credentials))
    return mayRepeat
      ? Effect.succeed(sendUser(credentials, false))
      : mismatch("the prompt after the user name asks for a user name again")
  },
  verified: false
})

const sendPassword = (credentials: Mechanism.Password): Mechanism.ClientStep => ({
  response: Mechanism.secret(Redacted.value(credentials.password)),
  next: undefined,
  verified: true
})

const mismatch = (detail: string) => Effect.fail(Mechanism.saslError("login-prompt-mismatch", detail))

const utf8 = new TextEncoder()
const prompts = { user: utf8.encode("Username:"), password: utf8.encode("Password:") }

const judge = (
  context: Mechanism.ServerContext,
  user: string | undefined,
  password: string | undefined
): Mechanism.ServerStep => {
  const known = user === undefined ? undefined : context.passwordOf(user)
  return user !== undefined && password !== undefined && known !== undefined
      && Mechanism.sameText(Redacted.value(known), password)
    ? { _tag: "Accepted", identity: user }
    : { _tag: "Refused", problem: "authentication credentials invalid" }
}
