/**
 * Generators of credentials, and of the messages of the mechanisms that send text: PLAIN,
 * LOGIN, CRAM-MD5, XOAUTH2, OAUTHBEARER, GSSAPI's last step. SCRAM, DIGEST-MD5 and NTLM have
 * files of their own.
 */
import { Mechanism } from "@postern/core"
import * as Redacted from "effect/Redacted"
import * as fc from "fast-check"
import { domain } from "./AddressArbitraries.ts"
import { from, letters, octets, printable, visible } from "./Characters.ts"
import { messages } from "./Messages.ts"

// ---------------------------------------------------------------------------
// Credentials
// ---------------------------------------------------------------------------

const clean = (text: string): string => text.toWellFormed().replace(/[\u0000-\u001f\u007f]/g, "_")

const name = fc.oneof(
  { withCrossShrink: true },
  from(printable, { minLength: 1, maxLength: 24 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).map(clean),
  fc.constantFrom("tim", "ann@example.org", "first last", " ", "DOMAIN\\user", "a,b=c", "\ufffd")
)

const secret = fc.oneof(
  { withCrossShrink: true },
  from(`${printable}\t\r\n`, { minLength: 1, maxLength: 80 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).map((text) => text.toWellFormed().replaceAll("\0", "_")),
  fc.constantFrom("tanstaaf", " ", "pä ss", "\ufffd", "🔑", "k".repeat(65))
)

/** User names and passwords that PLAIN, LOGIN and CRAM-MD5 can carry, ASCII and not, without an authorization identity. */
export const credentials: fc.Arbitrary<Mechanism.Password> = fc.tuple(name, secret)
  .map(([user, password]) => Mechanism.password(user, Redacted.make(password)))

// ---------------------------------------------------------------------------
// PLAIN and LOGIN
// ---------------------------------------------------------------------------

const text = (arbitrary: fc.Arbitrary<string>): fc.Arbitrary<Uint8Array> => arbitrary.map(octets)
const spelt = (...all: ReadonlyArray<string>): fc.Arbitrary<Uint8Array> => fc.constantFrom(...all).map(octets)

const identity = from(visible, { minLength: 1, maxLength: 12 })
const noUtf8 = Uint8Array.of(0xc3)

/** PLAIN's message (RFC 4616 §2), which the client sends. */
export const plainResponse = messages(
  text(fc.tuple(fc.oneof(fc.constant(""), name), name, secret).map((parts) => parts.join("\0"))),
  {
    "no NUL": text(identity),
    "one NUL": text(fc.tuple(identity, identity).map((parts) => parts.join("\0"))),
    "three NULs": text(fc.tuple(identity, identity, identity, identity).map((parts) => parts.join("\0"))),
    "NUL behind the password": text(fc.tuple(identity, identity).map(([user, secret]) => `\0${user}\0${secret}\0`)),
    "no user name": text(identity.map((secret) => `\0\0${secret}`)),
    "no password": text(identity.map((user) => `\0${user}\0`)),
    "password that is no UTF-8": identity.map((user) => Uint8Array.from([0, ...octets(user), 0, ...noUtf8]))
  }
)

/** What servers say before they are given the user name in LOGIN, and what would have a client send the password. */
export const loginUserPrompt = messages(
  spelt(
    "Username:",
    "User Name",
    "User Name\0",
    "username:",
    "USERNAME:",
    "Username",
    " user: ",
    "User:",
    "Login:",
    "login",
    "Please enter your user name:",
    "Benutzername:",
    "ユーザー名:",
    ""
  ),
  { "asks for the password": spelt("Password:", "Password", "password:", "PASSWORD:", "Password\0", "  pass") }
)

/** What servers say before they are given the password in LOGIN, and what would have a client send it as a name. */
export const loginPasswordPrompt = messages(
  spelt(
    "Password:",
    "Password",
    "Password\0",
    "password:",
    "PASSWORD:",
    " pass: ",
    "Pass:",
    "Please enter your password:",
    "Passwort:",
    "パスワード:",
    ""
  ),
  { "asks for the user name": spelt("Username:", "User Name\0", "username:", "USER", "  user") }
)

// ---------------------------------------------------------------------------
// CRAM-MD5
// ---------------------------------------------------------------------------

const stamp = fc.tuple(fc.nat(), fc.nat(), domain)

/** CRAM-MD5's challenge (RFC 2195 §2): a message-id of RFC 822. */
export const cramChallenge = messages(text(stamp.map(([a, b, host]) => `<${a}.${b}@${host}>`)), {
  "empty": fc.constant(new Uint8Array(0)),
  "no angle brackets": text(stamp.map(([a, b, host]) => `${a}.${b}@${host}`)),
  "no at sign": text(stamp.map(([a, b]) => `<${a}.${b}>`)),
  "line end behind it": text(stamp.map(([a, b, host]) => `<${a}.${b}@${host}>\r\n`)),
  "NUL behind it": text(stamp.map(([a, b, host]) => `<${a}.${b}@${host}>\0`)),
  "text that is no UTF-8": stamp.map(([a, b, host]) =>
    Uint8Array.from([...octets(`<${a}.${b}@${host}`), ...noUtf8, 62])
  )
})

const digest = from("0123456789abcdef", { minLength: 32, maxLength: 32 })

/** CRAM-MD5's response: a user name, a blank, and 32 hexadecimal digits (which prove nothing here). */
export const cramResponse = messages(text(fc.tuple(name, digest).map((parts) => parts.join(" "))), {
  "no user name": text(digest.map((digest) => ` ${digest}`)),
  "no blank": text(fc.tuple(identity, digest).map((parts) => parts.join(""))),
  "digest in capitals": text(fc.tuple(identity, digest).map(([user, digest]) => `${user} ${digest.toUpperCase()}`)),
  "digest too short": text(fc.tuple(identity, digest).map(([user, digest]) => `${user} ${digest.slice(1)}`)),
  "digest too long": text(fc.tuple(identity, digest).map(([user, digest]) => `${user} ${digest}0`)),
  "no digest": text(identity.map((user) => `${user} `))
})

// ---------------------------------------------------------------------------
// OAuth
// ---------------------------------------------------------------------------

const status = fc.constantFrom("invalid_token", "insufficient_scope", "400", "401")
const scope = fc.constantFrom("https://mail.example/", "mail", "")
const refusal = fc.record({ status, schemes: fc.constantFrom("bearer", "Bearer"), scope })
const json = (value: unknown): Uint8Array => octets(JSON.stringify(value))

/** How XOAUTH2 and OAUTHBEARER say no (RFC 7628 §3.2.2): JSON, as a challenge. */
export const oauthRefusal = messages(refusal.map(json), {
  "empty": fc.constant(new Uint8Array(0)),
  "no JSON": text(from(letters, { minLength: 1, maxLength: 20 })),
  "JSON that is cut": refusal.map((it) => json(it).slice(0, -1)),
  "JSON of no object": fc.oneof(fc.constantFrom(null, true, 1), fc.string(), fc.array(status)).map(json),
  "no status": refusal.map(({ schemes, scope }) => json({ schemes, scope })),
  "status of another type": refusal.map((it) => json({ ...it, status: 401 })),
  "status with a line end": refusal.map((it) => json({ ...it, status: `${it.status}\r\n250 ok` })),
  "status with a prototype": refusal.map((it) => octets(`{"__proto__":${JSON.stringify(it)}}`)),
  "too long": refusal.map((it) => json({ ...it, scope: "x".repeat(5000) })),
  "too deep": fc.integer({ min: 1, max: 3000 }).map((depth) => octets("[".repeat(depth)))
})

const token = from(`${letters}0123456789-._~+/`, { minLength: 1, maxLength: 40 })
const user = from(visible.replaceAll(/[,=]/g, ""), { minLength: 1, maxLength: 12 })

/** XOAUTH2's message, which the client sends. */
export const xoauth2Response = messages(
  text(fc.tuple(user, token).map(([user, token]) => `user=${user}\u0001auth=Bearer ${token}\u0001\u0001`)),
  {
    "no user": text(token.map((token) => `auth=Bearer ${token}\u0001\u0001`)),
    "no token": text(user.map((user) => `user=${user}\u0001\u0001`)),
    "other scheme": text(
      fc.tuple(user, token).map(([user, token]) => `user=${user}\u0001auth=Basic ${token}\u0001\u0001`)
    ),
    "one ^A at the end": text(
      fc.tuple(user, token).map(([user, token]) => `user=${user}\u0001auth=Bearer ${token}\u0001`)
    ),
    "blanks in place of ^A": text(fc.tuple(user, token).map(([user, token]) => `user=${user} auth=Bearer ${token}  `))
  }
)

/** OAUTHBEARER's message (RFC 7628 §3.1), which the client sends. */
export const oauthBearerResponse = messages(
  text(
    fc.tuple(user, domain, token).map(([user, host, token]) =>
      `n,a=${user},\u0001host=${host}\u0001auth=Bearer ${token}\u0001\u0001`
    )
  ),
  {
    "no GS2 header": text(token.map((token) => `auth=Bearer ${token}\u0001\u0001`)),
    "binding to a channel": text(token.map((token) => `p=tls-exporter,,\u0001auth=Bearer ${token}\u0001\u0001`)),
    "comma in the identity": text(token.map((token) => `n,a=a,b,\u0001auth=Bearer ${token}\u0001\u0001`)),
    "no token": text(user.map((user) => `n,a=${user},\u0001\u0001`))
  }
)

// ---------------------------------------------------------------------------
// GSSAPI
// ---------------------------------------------------------------------------

/** The server's offer of security layers (RFC 4752 §3.1), unwrapped. */
export const gssapiOffer = messages(
  fc.oneof(
    fc.constant(Uint8Array.of(1, 0, 0, 0)),
    fc.tuple(fc.constantFrom(3, 5, 7), fc.nat(255), fc.nat(255), fc.nat(255)).map((all) => Uint8Array.from(all))
  ),
  {
    "empty": fc.constant(new Uint8Array(0)),
    "too short": fc.constant(Uint8Array.of(1, 0, 0)),
    "too long": fc.constant(Uint8Array.of(1, 0, 0, 0, 0)),
    "no layer but size": fc.integer({ min: 1, max: 255 }).map((size) => Uint8Array.of(1, 0, 0, size)),
    "only layers": fc.constantFrom(2, 4, 6).map((mask) => Uint8Array.of(mask, 0, 16, 0)),
    "nothing offered": fc.constant(Uint8Array.of(0, 0, 0, 0))
  }
)
