/**
 * Generators of what goes over the wire: replies, commands, credentials, bytes that are
 * nearly replies, and ways to cut bytes into chunks. Valid values come whole, so that
 * laws can be stated about them; hostile bytes come as a network would bring them.
 */
import { Command, Mechanism, Reply } from "@postern/core"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Bytes from "effect/Bytes"
import * as fc from "fast-check"
import { domain, mailbox } from "./AddressArbitraries.ts"

const utf8 = new TextEncoder()

// ---------------------------------------------------------------------------
// Replies
// ---------------------------------------------------------------------------

const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i))

/** Text of one line of a reply: no control character but the tab. */
const replyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: fc.constantFrom(...ascii, "\t"), maxLength: 40 }) },
  { weight: 2, arbitrary: fc.string({ unit: "grapheme", maxLength: 20 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("", " ", "-", "250 ok", "5.1.1", "5.1.1 No such user", "2.0.0 ok", "\ufeff", "é", "…")
  }
)

const code = fc.oneof(
  fc.constantFrom(
    211,
    214,
    220,
    221,
    235,
    250,
    251,
    252,
    334,
    354,
    421,
    450,
    451,
    452,
    454,
    500,
    502,
    530,
    535,
    550,
    554
  ),
  fc.integer({ min: 200, max: 599 })
)

/** Valid replies: one line or several, with and without an enhanced status code, ASCII and UTF-8 text. */
export const reply: fc.Arbitrary<Reply.Reply> = fc.tuple(
  code,
  fc.array(replyText, { minLength: 1, maxLength: 6 }),
  fc.option(fc.tuple(fc.nat(999), fc.nat(999)), { nil: undefined })
).map(([code, texts, status]) =>
  // There is no class 3 (RFC 3463 §2).
  status === undefined || (code >= 300 && code < 400)
    ? Reply.make(code, texts)
    : Reply.make(code, texts, `${Math.floor(code / 100)}.${status.join(".")}`)
)

const word = fc.string({
  unit: fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"),
  minLength: 1,
  maxLength: 12
})

const extension = fc.oneof(
  fc.constantFrom(
    "PIPELINING",
    "8BITMIME",
    "SMTPUTF8",
    "CHUNKING",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "STARTTLS",
    "starttls"
  ),
  fc.tuple(
    fc.constantFrom("SIZE", "size"),
    fc.oneof(fc.constant(""), fc.nat().map((size) => ` ${size}`), fc.constant(" x"))
  )
    .map((parts) => parts.join("")),
  fc.tuple(
    fc.constantFrom("AUTH ", "AUTH=", "auth ", "AUTH= "),
    fc.array(fc.constantFrom("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256-PLUS", "plain", "NO GOOD,", ""), {
      maxLength: 5
    })
  ).map(([keyword, names]) => keyword + names.join(" ")),
  fc.array(fc.tuple(fc.constantFrom("MAILMAX", "RCPTMAX", "RCPTDOMAINMAX", "X"), fc.nat(2_000_000)), { maxLength: 4 })
    .map((limits) => `LIMITS ${limits.map((limit) => limit.join("=")).join(" ")}`),
  fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(" ")),
  replyText
)

/** Answers to EHLO: extensions known and unknown in every spelling, and lines that are none. */
export const ehloReply: fc.Arbitrary<Reply.Reply> = fc.tuple(
  domain,
  fc.constantFrom("", " at your service", " Hello [192.0.2.1]"),
  fc.array(extension, { maxLength: 10 })
).map(([domain, greeting, lines]) => Reply.make(250, [domain + greeting, ...lines]))

// ---------------------------------------------------------------------------
// Hostile bytes
// ---------------------------------------------------------------------------

const bytesOf = (text: string): Uint8Array => utf8.encode(text)

const replies = fc.array(reply, { minLength: 1, maxLength: 4 }).map((all) => Bytes.concat(all.map(Reply.encode)))

const piece: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.constantFrom(
    "",
    "\r",
    "\n",
    "\r\n",
    "\r\r\n",
    "\n\r",
    "\0",
    "\t",
    " ",
    "-",
    "2",
    "25",
    "250",
    "250 ",
    "250-",
    "250 ok\r\n",
    "250-a\r\n",
    "251-a\r\n",
    "550 no\n",
    "2500 x\r\n",
    "150 x\r\n",
    "650 x\r\n",
    "2a0 x\r\n",
    "250_x\r\n",
    "220smtp\r\n",
    "HTTP/1.1 400 Bad Request\r\n",
    "* OK IMAP4rev1\r\n",
    "+OK\r\n",
    "SSH-2.0-x\r\n",
    "\u00e9",
    "\u2028",
    "\ufeff250 x\r\n"
  ).map(bytesOf),
  // A TLS alert, half a character, Latin-1, and a record's head.
  fc.constantFrom([21, 3, 1, 0, 2, 2, 70], [0xe2, 0x82], [0x32, 0x35, 0x30, 0x20, 0xe9, 13, 10], [22, 3, 3], [0xff], [
    0x7f
  ])
    .map((bytes) => Uint8Array.from(bytes)),
  fc.tuple(fc.constantFrom("x", "250-x\r\n", "250-\n", "\0", "é", "2", " ", "\r"), fc.integer({ min: 1, max: 600 }))
    .map(([unit, times]) => bytesOf(unit.repeat(times))),
  fc.uint8Array({ maxLength: 20 })
)

const damaged = fc.tuple(replies, fc.nat(), piece, fc.nat(3)).map(([bytes, seed, inserted, dropped]) => {
  const at = seed % (bytes.length + 1)
  return Bytes.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + dropped)])
})

/** Bytes that are nearly replies, other protocols, endless lines and replies, and noise. Some happen to be valid. */
export const hostileReplyBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  damaged,
  fc.array(piece, { maxLength: 8 }).map(Bytes.concat),
  fc.tuple(replies, fc.array(piece, { maxLength: 3 }).map(Bytes.concat)).map(Bytes.concat),
  replies.map((bytes) => bytes.filter((byte) => byte !== 13)),
  fc.uint8Array({ maxLength: 60 })
)

// ---------------------------------------------------------------------------
// Chunks
// ---------------------------------------------------------------------------

/** A way to cut bytes into chunks: nothing lost, nothing moved; some chunks may be empty. */
export type Chunking = (bytes: Uint8Array) => ReadonlyArray<Uint8Array>

const cut = (sizes: ReadonlyArray<number>): Chunking => (bytes) => {
  const chunks: Array<Uint8Array> = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    chunks.push(bytes.slice(at, at + size))
    at += size
  }
  return chunks
}

/** Every way to cut: all at once, byte by byte, and in between; the sizes repeat until the bytes are used up. */
export const chunking: fc.Arbitrary<Chunking> = fc.oneof(
  fc.constant([1]),
  fc.constant([Number.MAX_SAFE_INTEGER]),
  fc.array(fc.oneof(fc.nat(4), fc.nat(100)), { minLength: 1, maxLength: 12 }).filter((sizes) =>
    sizes.some((size) => size > 0)
  )
).map((sizes) => Object.assign(cut(sizes), { [fc.toStringMethod]: () => `chunks of ${sizes.join(", ")}` }))

// ---------------------------------------------------------------------------
// Credentials
// ---------------------------------------------------------------------------

const clean = (text: string): string => text.toWellFormed().replace(/[\u0000-\u001f\u007f]/g, "_")

const name = fc.oneof(
  fc.string({ unit: fc.constantFrom(...ascii), minLength: 1, maxLength: 24 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).map(clean),
  fc.constantFrom("tim", "ann@example.org", "first last", " ", "DOMAIN\\user", "a,b=c", "\ufffd")
)

const secret = fc.oneof(
  fc.string({ unit: fc.constantFrom(...ascii, "\t", "\r", "\n"), minLength: 1, maxLength: 80 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).map((text) => text.toWellFormed().replaceAll("\0", "_")),
  fc.constantFrom("tanstaaf", " ", "pä ss", "\ufffd", "🔑", "k".repeat(65))
)

/** User names and passwords that every mechanism can carry, ASCII and not, without an authorization identity. */
export const credentials: fc.Arbitrary<Mechanism.Password> = fc.tuple(name, secret)
  .map(([user, password]) => Mechanism.password(user, Redacted.make(password)))

// ---------------------------------------------------------------------------
// Commands
// ---------------------------------------------------------------------------

const made = <A, E>(results: fc.Arbitrary<Result.Result<A, E>>): fc.Arbitrary<A> =>
  results.filter(Result.isSuccess).map(({ success }) => success)

/** Free text of NOOP, HELP, VRFY and EXPN. */
const argument = fc.oneof(
  fc.string({ unit: fc.constantFrom(...ascii, "\t"), minLength: 1, maxLength: 30 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 15 }),
  fc.constantFrom("x", "a\u2028b", "\"Joe Blow\"", "<ann@example.org>", "x\u00a0y")
)

const value = fc.oneof(
  fc.string({ unit: fc.constantFrom(...ascii), minLength: 1, maxLength: 20 }).map(Command.xtext),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 10 }),
  fc.constantFrom("1024", "8BITMIME", "<>", "\u00a0", "\u2029")
)

/** Parameters of MAIL and RCPT. */
export const parameter: fc.Arbitrary<Command.Parameter> = made(
  fc.tuple(word, fc.option(value, { nil: undefined })).map(([keyword, value]) => Command.parameter(keyword, value))
)

const octets = fc.uint8Array({ maxLength: 60 }).map((bytes) => Redacted.make(bytes))

const mechanism = fc.string({
  unit: fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
  minLength: 1,
  maxLength: 20
})

const attributes = fc.dictionary(
  word,
  fc.oneof(fc.constantFrom("[UNAVAILABLE]", "IPV6:2001:db8::1", ""), fc.string({ unit: "grapheme", maxLength: 10 })),
  { minKeys: 1, maxKeys: 4 }
)

const some = <A>(items: fc.Arbitrary<A>): fc.Arbitrary<ReadonlyArray<A>> => fc.array(items, { maxLength: 3 })

/** One generator for each kind of command. */
const commands: { readonly [T in Command.Tag]: fc.Arbitrary<Extract<Command.Command, { readonly _tag: T }>> } = {
  Ehlo: domain.map(Command.ehlo),
  Helo: domain.map(Command.helo),
  Lhlo: domain.map(Command.lhlo),
  StartTls: fc.constant(Command.startTls),
  Auth: made(
    fc.tuple(mechanism, fc.option(octets, { nil: undefined })).map(([name, initial]) => Command.auth(name, initial))
  ),
  AuthResponse: octets.map(Command.authResponse),
  AuthCancel: fc.constant(Command.authCancel),
  Mail: fc.tuple(fc.option(mailbox), some(parameter)).map(([path, parameters]) => Command.mail(path, parameters)),
  Rcpt: fc.tuple(fc.oneof(mailbox, fc.constant("postmaster" as const)), some(parameter))
    .map(([path, parameters]) => Command.rcpt(path, parameters)),
  Data: fc.constant(Command.data),
  Bdat: made(fc.tuple(fc.maxSafeNat(), fc.boolean()).map(([size, last]) => Command.bdat(size, last))),
  Rset: fc.constant(Command.rset),
  Noop: fc.oneof(fc.constant(Command.noop), made(argument.map(Command.noopWith))),
  Vrfy: made(argument.map(Command.vrfy)),
  Expn: made(argument.map(Command.expn)),
  Help: fc.oneof(fc.constant(Command.help), made(argument.map(Command.helpOn))),
  Quit: fc.constant(Command.quit),
  Etrn: fc.oneof(
    made(domain.map((domain) => Command.etrn(domain))),
    made(domain.map((domain) => Command.etrn(`@${domain}`))),
    made(word.map((queue) => Command.etrn(`#${queue}`)))
  ),
  Xclient: made(attributes.map(Command.xclient))
}

/** Every kind of command, valid. */
export const command: fc.Arbitrary<Command.Command> = fc.oneof(...Object.values(commands))
