/**
 * Makes events of one connection's octets, without what gives something away. The recorder
 * writes them down; a replay makes them of what its client says and compares.
 *
 * It follows the session line by line in both directions: which reply answers which command,
 * what is a response within AUTH, where content begins and ends. It keeps a line that is not
 * complete, up to 64 KiB, and nothing of content but its hash unless that is to be kept whole.
 *
 * Where a server may say again what it was told in AUTH, what it says is looked through: its
 * replies to AUTH, those that nothing was asked for, and from then on all that is no reply.
 * What cannot be looked through, since it was cut, is hidden. All other octets are kept exactly.
 */
import { Command, CommandLine, Secrets } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Crypto from "node:crypto"
import * as DataContent from "../server/DataContent.ts"
import { AddressNumbers } from "./AddressNumbers.ts"
import type { Key } from "./Key.ts"
import { LineCutter, type Piece } from "./LineCutter.ts"
import type { Event, Hidden, Policy } from "./Recording.ts"

type Bare<E> = E extends unknown ? Omit<E, "at" | "connection"> : never

/** What was said, without when and on which connection. */
export type Said = Bare<
  Extract<Event, { readonly _tag: "Received" | "ReceivedHidden" | "Sent" | "SentHidden" | "ContentSent" }>
>

/** How much is left out. */
export interface Options {
  readonly policy: Policy
  readonly key: Key | undefined
}

/** Octets of an unfinished line that are kept, and of content that is kept whole. */
const [longestLine, largestContent] = [65_536, 10_485_760]

/** Mechanisms of whose challenges nothing can be guessed. In the others the server proves that it knows the secret. */
const openChallenges = new Set(["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER", "NTLM", "MSN", "EXTERNAL"])

/** What a reply is waited for. */
type Awaited = "greeting" | "auth" | "data" | "rcpt" | "other"

/** Content on its way. */
interface Content {
  /** Octets that are left of a chunk; undefined within DATA, which ends by itself. */
  left: number | undefined
  place: DataContent.Place
  octets: number
  readonly hash: Crypto.Hash
  readonly whole: Array<Uint8Array> | undefined
}

// A code as core's decoder takes it, what separates it, the text, and the end of the line.
const replyLine = /^([2-5]\d\d)(?!\d)([ \t-]?)([^]*?)(\r?\n|)$/
const authLine = /^[ \t]*AUTH[ \t]+(\S+)(?:[ \t]+([^ \t][^]*)|[ \t]*)$/i

// Who has the token behind the mechanism of a URLAUTH may read the message (RFC 4467 §9).
const urlAuthLine = /^([ \t]*BURL[ \t][^]*;urlauth=[^:;]*:[^:;]*:)([^]+)$/i

// One character an octet: lines are cut and put together again without loss.
const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
const octetsOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))
const withoutEnd = (text: string): string => text.replace(/\r?\n$/, "")

/** One connection. */
export class Redactor {
  readonly #options: Options
  readonly #numbers = new AddressNumbers()
  readonly #secrets = new Secrets.Secrets()
  readonly #fromClient = new LineCutter(longestLine)
  readonly #fromServer = new LineCutter(longestLine)
  /** The pieces of a long line that follow its first are hidden with it. */
  readonly #hiding = { client: false, server: false }
  #awaited: Array<Awaited> = ["greeting"]
  #mechanism = ""
  /** The client has given something away. */
  #told = false
  /** The client's next line is a response. */
  #challenged = false
  #content: Content | undefined = undefined
  #lmtp = false
  #accepted = 0

  constructor(options: Options) {
    this.#options = options
  }

  /** The client wrote these octets. */
  sent(bytes: Uint8Array): ReadonlyArray<Said> {
    const said = new Lines("Sent")
    for (let at = 0; at < bytes.length;) {
      if (this.#content !== undefined) {
        at = this.#takeContent(this.#content, bytes, at, said)
        continue
      }
      const { next, piece } = this.#fromClient.take(bytes, at)
      at = next
      if (piece !== undefined) this.#clientPiece(piece, said)
    }
    return said.done()
  }

  /** The client read these octets. */
  received(bytes: Uint8Array): ReadonlyArray<Said> {
    const said = new Lines("Received")
    for (let at = 0; at < bytes.length;) {
      const { next, piece } = this.#fromServer.take(bytes, at)
      at = next
      if (piece !== undefined) this.#serverPiece(piece, said)
    }
    return said.done()
  }

  /** Octets of the server that no reply was made of, for an error: as many stars where they can hold a secret. */
  unread(bytes: Uint8Array): Uint8Array {
    return this.#told ? new Uint8Array(bytes.length).fill(0x2a) : bytes
  }

  /** Octets from the client of which no event was made yet: of an unfinished line, or of content. */
  get pending(): number {
    return this.#content?.octets ?? this.#fromClient.length
  }

  /** TLS is on: of what was said before nothing is waited for. */
  tlsEstablished(): void {
    this.#awaited = this.#awaited[0] === "greeting" ? ["greeting"] : []
    this.#fromClient.clear()
    this.#fromServer.clear()
    this.#challenged = false
    this.#content = undefined
  }

  /** What was kept back, when no more will come. */
  flush(): ReadonlyArray<Said> {
    const sent = new Lines("Sent")
    const received = new Lines("Received")
    const fromClient = this.#fromClient.flush()
    const fromServer = this.#fromServer.flush()
    if (fromClient !== undefined) this.#clientPiece(fromClient, sent)
    if (this.#content !== undefined) this.#endContent(this.#content, sent)
    if (fromServer !== undefined) this.#serverPiece(fromServer, received)
    return [...sent.done(), ...received.done()]
  }

  #hide(text: string, sealed: boolean): Hidden {
    const { key } = this.#options
    const octets = octetsOf(text)
    return {
      octets: octets.length,
      ...key === undefined ? {} : { hash: key.hash(octets) },
      ...key === undefined || !sealed ? {} : { sealed: key.seal(octets) }
    }
  }

  #clientPiece({ first, octets }: Piece, said: Lines): void {
    const body = withoutEnd(latin1(octets))
    if (!first) return this.#hiding.client ? this.#tell("", body, said) : said.octets(octets)
    this.#hiding.client = false
    // A client may respond without waiting for the challenge.
    const responds = this.#challenged
      || (this.#awaited.includes("auth") && Result.isFailure(CommandLine.decode(body)))
    if (responds) {
      this.#challenged = false
      this.#awaited.push("auth")
      return body === "*" ? said.octets(octets) : this.#tell("", body, said)
    }
    const [, mechanism, initial] = authLine.exec(body) ?? []
    if (mechanism !== undefined) {
      this.#mechanism = mechanism.toUpperCase()
      this.#awaited.push("auth")
      return initial === undefined
        ? said.octets(octets)
        : this.#tell(body.slice(0, body.length - initial.length), initial, said)
    }
    this.#follow(body)
    const [, upTo = "", token] = urlAuthLine.exec(body) ?? []
    if (token !== undefined) return this.#tell(upTo, token, said)
    said.octets(this.#numbered(octets, 0, "client"))
  }

  // The client gives something away.
  #tell(line: string, secret: string, said: Lines): void {
    // What is no base64 may be the secret itself.
    for (const octets of [new Uint8Array(Buffer.from(secret, "base64")), octetsOf(secret)]) {
      this.#secrets.learn(Command.authResponse(Redacted.make(octets)))
    }
    this.#told = true
    this.#hiding.client = true
    said.hidden({ _tag: "SentHidden", line, hidden: this.#hide(secret, false) })
  }

  // What the command waits for, and whether content follows it at once.
  #follow(body: string): void {
    const verb = /^[A-Za-z]+/.exec(body)?.[0].toUpperCase()
    if (verb === "LHLO") this.#lmtp = true
    if (verb === "MAIL" || verb === "RSET") this.#accepted = 0
    this.#awaited.push(verb === "DATA" ? "data" : verb === "RCPT" ? "rcpt" : "other")
    const size = /^BDAT[ \t]+(\d{1,16})/i.exec(body)?.[1]
    if (size !== undefined && Number(size) > 0) this.#content = this.#begin(Number(size))
  }

  #begin(left: number | undefined): Content {
    return {
      left,
      place: "line start",
      octets: 0,
      hash: Crypto.createHash("sha256"),
      whole: this.#options.policy.content === "whole" ? [] : undefined
    }
  }

  #takeContent(content: Content, bytes: Uint8Array, at: number, said: Lines): number {
    let next: number
    let ended: boolean
    if (content.left === undefined) {
      const taken = DataContent.take(content.place, bytes, at)
      next = taken.next
      ended = taken.place === undefined
      content.place = taken.place ?? "line start"
    } else {
      next = Math.min(bytes.length, at + content.left)
      content.left -= next - at
      ended = content.left === 0
    }
    const part = bytes.subarray(at, next)
    content.octets += part.length
    content.hash.update(part)
    if (content.octets <= largestContent) content.whole?.push(part.slice())
    if (ended) {
      // LMTP answers DATA once for each recipient (RFC 2033 §4.2); the reply to a BDAT is awaited already.
      const replies = content.left !== undefined ? 0 : this.#lmtp ? this.#accepted : 1
      for (let i = 0; i < replies; i++) this.#awaited.push("other")
      this.#endContent(content, said)
    }
    return next
  }

  #endContent({ hash, octets, whole }: Content, said: Lines): void {
    this.#content = undefined
    const kept = whole === undefined || octets > largestContent ? {} : { whole: Bytes.concat(whole) }
    said.hidden({ _tag: "ContentSent", octets, sha256: hash.digest("hex"), ...kept })
  }

  #serverPiece({ first, last, octets }: Piece, said: Lines): void {
    const text = latin1(octets)
    if (!first) return this.#hiding.server ? this.#conceal("", withoutEnd(text), false, said) : said.octets(octets)
    const [, digits = "", separator = "", rest = "", end = ""] = replyLine.exec(text) ?? []
    if (digits === "") return this.#noReply(octets, last, said)
    const inAuth = (this.#awaited[0] ?? (this.#told ? "auth" : "other")) === "auth"
    this.#hiding.server = inAuth && !last
    if (separator !== "-") this.#answered(Number(digits))
    const line = `${digits}${separator}`
    if (!inAuth) return said.octets(this.#numbered(octets, line.length, "server"))
    const shown = this.#secrets.behind(line, rest)
    const challenge = digits === "334" && rest !== ""
    const proves = challenge && !openChallenges.has(this.#mechanism)
    // Cut off it may end within a secret. A challenge must not be altered.
    if (proves || (challenge && shown !== rest) || (!last && rest !== "")) {
      return this.#conceal(line, rest, proves, said)
    }
    said.octets(this.#numbered(shown === rest ? octets : octetsOf(`${line}${shown}${end}`), line.length, "server"))
  }

  #noReply(octets: Uint8Array, last: boolean, said: Lines): void {
    const inAuth = this.#told || this.#awaited[0] === "auth"
    this.#hiding.server = inAuth && !last
    if (!inAuth) return said.octets(this.#numbered(octets, 0, "server"))
    const line = withoutEnd(latin1(octets))
    this.#conceal("", line, last && this.#secrets.without(line) === line, said)
  }

  #conceal(line: string, rest: string, sealed: boolean, said: Lines): void {
    said.hidden({ _tag: "ReceivedHidden", line, hidden: this.#hide(rest, sealed) })
  }

  #answered(code: number): void {
    switch (this.#awaited.shift()) {
      case "auth":
        this.#challenged = code === 334
        break
      case "data":
        if (code === 354) this.#content = this.#begin(undefined)
        break
      case "rcpt":
        if (code < 300) this.#accepted++
    }
  }

  // The octets as they are, unless an address is named in the text that begins at `from`.
  #numbered(octets: Uint8Array, from: number, by: "client" | "server"): Uint8Array {
    if (this.#options.policy.addresses === "kept") return octets
    const text = latin1(octets)
    const [line, rest] = [text.slice(0, from), text.slice(from)]
    const shown = by === "client" ? this.#numbers.ofClient(rest) : this.#numbers.ofServer(rest)
    return shown === rest ? octets : octetsOf(line + shown)
  }
}

/** Collects what was said in one go: octets that follow one another are one event. */
class Lines {
  readonly #tag: "Sent" | "Received"
  readonly #said: Array<Said> = []
  #parts: Array<Uint8Array> = []

  constructor(tag: "Sent" | "Received") {
    this.#tag = tag
  }

  octets(bytes: Uint8Array): void {
    this.#parts.push(bytes)
  }

  hidden(said: Said): void {
    this.done()
    this.#said.push(said)
  }

  done(): ReadonlyArray<Said> {
    if (this.#parts.length > 0) this.#said.push({ _tag: this.#tag, data: Bytes.concat(this.#parts) })
    this.#parts = []
    return this.#said
  }
}
