/**
 * Makes events of one connection's octets, without what gives something away. The recorder
 * writes them down; a replay makes them of what its client says and compares.
 *
 * It follows the session line by line in both directions: which reply answers which command,
 * what is a response within AUTH, where content begins and ends. It keeps a line that is not
 * complete, up to 64 KiB, and nothing of content but its hash unless that is to be kept whole.
 */
import { CommandLine, Reply, Secrets } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Result from "effect/Result"
import * as Crypto from "node:crypto"
import * as DataContent from "../server/DataContent.ts"
import type { AddressNumbers } from "./AddressNumbers.ts"
import type { Key } from "./Key.ts"
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
  /** Those of the whole recording; used where the policy has addresses numbered. */
  readonly numbers: AddressNumbers
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

const LF = 10
const empty = new Uint8Array(0)
const utf8 = new TextEncoder()
// One character an octet: lines are cut and put together again without loss.
const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
const octetsOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))

/** One connection. */
export class Redactor {
  readonly #options: Options
  readonly #secrets = new Secrets.Secrets()
  #fromClient: Uint8Array = empty
  #fromServer: Uint8Array = empty
  #awaited: Array<Awaited> = ["greeting"]
  #mechanism = ""
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
    let at = 0
    while (at < bytes.length) {
      if (this.#content !== undefined) {
        at = this.#takeContent(this.#content, bytes, at, said)
        continue
      }
      const end = bytes.indexOf(LF, at)
      const line = Bytes.concat([this.#fromClient, bytes.subarray(at, end === -1 ? bytes.length : end + 1)])
      at = end === -1 ? bytes.length : end + 1
      this.#fromClient = end === -1 && line.length <= longestLine ? line : empty
      if (this.#fromClient.length === 0) this.#clientLine(line, said)
    }
    return said.done()
  }

  /** The client read these octets. */
  received(bytes: Uint8Array): ReadonlyArray<Said> {
    const said = new Lines("Received")
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(LF, at)
      const line = Bytes.concat([this.#fromServer, bytes.subarray(at, end === -1 ? bytes.length : end + 1)])
      at = end === -1 ? bytes.length : end + 1
      this.#fromServer = end === -1 && line.length <= longestLine ? line : empty
      if (this.#fromServer.length === 0) this.#serverLine(line, said)
    }
    return said.done()
  }

  /** Octets from the client of which no event was made yet: of an unfinished line, or of content. */
  get pending(): number {
    return this.#content?.octets ?? this.#fromClient.length
  }

  /** TLS is on: of what was said before nothing is waited for. */
  tlsEstablished(): void {
    const greeted = this.#awaited[0] !== "greeting"
    this.#awaited = greeted ? [] : ["greeting"]
    this.#fromClient = empty
    this.#fromServer = empty
    this.#challenged = false
    this.#content = undefined
  }

  /** What was kept back, when no more will come. */
  flush(): ReadonlyArray<Said> {
    const [fromClient, fromServer] = [this.#fromClient, this.#fromServer]
    const sent = new Lines("Sent")
    const received = new Lines("Received")
    this.#fromClient = empty
    this.#fromServer = empty
    if (fromClient.length > 0) this.#clientLine(fromClient, sent)
    if (this.#content !== undefined) this.#endContent(this.#content, sent)
    if (fromServer.length > 0) this.#serverLine(fromServer, received)
    return [...sent.done(), ...received.done()]
  }

  #hide(octets: Uint8Array, sealed: boolean): Hidden {
    const { key } = this.#options
    return {
      octets: octets.length,
      ...key === undefined ? {} : { hash: key.hash(octets) },
      ...key === undefined || !sealed ? {} : { sealed: key.seal(octets) }
    }
  }

  #clientLine(line: Uint8Array, said: Lines): void {
    const text = latin1(line)
    const body = text.replace(/\r?\n$/, "")
    if (this.#challenged) {
      this.#challenged = false
      this.#awaited.push("auth")
      if (body === "*") return said.octets(line)
      const decoded = CommandLine.decodeAuth(body)
      if (Result.isSuccess(decoded)) this.#secrets.learn(decoded.success)
      return said.hidden({ _tag: "SentHidden", line: "", hidden: this.#hide(octetsOf(body), false) })
    }
    const auth = /^AUTH[ \t]+(\S+)(?:[ \t]+(.+))?$/is.exec(body)
    if (auth !== null) {
      this.#mechanism = (auth[1] ?? "").toUpperCase()
      this.#awaited.push("auth")
      const initial = auth[2]
      if (initial === undefined) return said.octets(line)
      const decoded = CommandLine.decode(body)
      if (Result.isSuccess(decoded)) this.#secrets.learn(decoded.success)
      const hidden = this.#hide(octetsOf(initial), false)
      return said.hidden({ _tag: "SentHidden", line: body.slice(0, body.length - initial.length), hidden })
    }
    this.#follow(body)
    said.octets(this.#options.policy.addresses === "kept" ? line : this.#numbered(line, "client"))
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

  #serverLine(line: Uint8Array, said: Lines): void {
    const text = latin1(line)
    const [, digits = "", separator = "", rest = "", end = ""] = /^(\d{3})([ \t-]?)([^]*?)(\r?\n|)$/.exec(text) ?? []
    const awaited = this.#awaited[0]
    if (digits === "") {
      // No reply. Within AUTH it can be part of an echo.
      if (awaited !== "auth") return said.octets(this.#numbered(line, "server"))
      return said.hidden({
        _tag: "ReceivedHidden",
        line: "",
        hidden: this.#hide(octetsOf(text.replace(/\r?\n$/, "")), true)
      })
    }
    const code = Number(digits)
    if (separator !== "-") this.#answered(code)
    if (awaited !== "auth") return said.octets(this.#numbered(line, "server"))
    if (code === 334 && rest !== "" && end === "\r\n" && !openChallenges.has(this.#mechanism)) {
      return said.hidden({
        _tag: "ReceivedHidden",
        line: `${digits}${separator}`,
        hidden: this.#hide(octetsOf(rest), true)
      })
    }
    if (code === 334) return said.octets(line)
    const shown = this.#secrets.hide("Auth", Reply.make(code, new TextDecoder().decode(octetsOf(rest)))).lines[0]
    said.octets(this.#numbered(utf8.encode(`${digits}${separator}${shown}${end}`), "server"))
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

  #numbered(line: Uint8Array, from: "client" | "server"): Uint8Array {
    const { numbers, policy } = this.#options
    if (policy.addresses === "kept") return line
    const text = new TextDecoder().decode(line)
    const end = /\r?\n$/.exec(text)?.[0] ?? ""
    const body = text.slice(0, text.length - end.length)
    return utf8.encode(`${from === "client" ? numbers.ofClient(body) : numbers.ofServer(body)}${end}`)
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
