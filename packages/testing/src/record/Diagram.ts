/**
 * A recording to look at: as plain text for a terminal or an issue, and as a Mermaid sequence
 * diagram. Both have one line for each event, and show of what is hidden that it is.
 */
import { Reply } from "@postern/core"
import type { Event, Hidden, Recording } from "./Recording.ts"

/**
 * The recording as plain text: when and how it was made, then each event with its time in
 * seconds, the number of its connection where there are several, and `C:` or `S:`. Lines of one
 * event are joined by ` | `. It holds no control characters but the ends of its lines.
 *
 * @example
 * ```ts
 * import { Diagram, Recording } from "@postern/testing"
 * import { Result } from "effect"
 *
 * export const show = (file: string) => Diagram.text(Result.getOrThrow(Recording.decode(file)))
 * ```
 */
export const text = ({ events, header }: Recording): string => {
  const many = events.some(({ connection }) => connection !== events[0]?.connection)
  const { by, endpoint, mode, note, startedAt } = header
  const to = endpoint && `${endpoint.host}:${endpoint.port}`
  const first = [by, startedAt, to, mode, note].filter((part) => part !== undefined).map(visible).join(", ")
  return [
    first,
    ...events.map((event) => {
      const { from, lines } = described(event)
      const time = (event.at / 1000).toFixed(3).padStart(10)
      const words = lines.map(visible).join(" | ")
      return `${time}  ${many ? `[${event.connection}] ` : ""}${from}${from === "--" ? "" : ":"} ${shorten(words, 400)}`
    })
  ].map((line) => `${line.trimEnd()}\n`).join("")
}

/**
 * The recording as a Mermaid `sequenceDiagram`, to paste where Markdown is shown: one server for
 * each connection, notes for TLS, what AUTH hides, and content. Long lines are shortened, of
 * long replies the first lines are shown.
 *
 * @example
 * ```ts
 * import { Diagram, Recording } from "@postern/testing"
 * import { Result } from "effect"
 *
 * export const show = (file: string) => Diagram.mermaid(Result.getOrThrow(Recording.decode(file)))
 * ```
 */
export const mermaid = ({ events }: Recording): string => {
  const names = new Map<number, string>()
  for (const event of events) {
    const name = event._tag === "Connecting" ? `${event.host}:${event.port}` : "server"
    if (event._tag === "Connecting" || !names.has(event.connection)) names.set(event.connection, name)
  }
  return [
    "sequenceDiagram",
    "  participant C as client",
    ...[...names].map(([connection, name]) =>
      `  participant S${connection} as ${entities(shorten(visible(name), 60))}`
    ),
    ...events.map((event) => `  ${step(event)}`)
  ].map((line) => `${line}\n`).join("")
}

/** What an event says, and who: `--` where it is neither of the two. */
interface Described {
  readonly from: "C" | "S" | "--"
  readonly lines: ReadonlyArray<string>
}

const about = (line: string): Described => ({ from: "--", lines: [line] })

const described = (event: Event): Described => {
  switch (event._tag) {
    case "Connecting":
      return about(`connects to ${event.host}:${event.port}`)
    case "Connected":
      return about("connected")
    case "Sent":
      return { from: "C", lines: linesOf(event.data) }
    case "Received":
      return { from: "S", lines: linesOf(event.data) }
    case "SentHidden":
      return { from: "C", lines: [`${event.line}${concealed(event.hidden)}`] }
    case "ReceivedHidden":
      return { from: "S", lines: [`${event.line}${concealed(event.hidden)}`] }
    case "ContentSent": {
      const { octets, sha256 } = event
      const size = octets === undefined ? "" : `, ${octets} octets`
      const hash = sha256 === undefined ? "not in the log" : `SHA-256 ${sha256.slice(0, 16)}`
      return { from: "C", lines: [`(content${size}, ${hash})`] }
    }
    case "Random":
      return about(`random octets ${concealed(event.hidden)}`)
    case "HandshakeStarted":
      return about(`TLS handshake with ${event.serverName}`)
    case "TlsEstablished": {
      const { certificate, cipher, serverName, verifiedBy, version } = event
      const issued = certificate === undefined
        ? ""
        : `, certificate ${certificate.subject} by ${certificate.issuer} until ${certificate.validTo}`
      return about(`${version} ${cipher}, ${serverName} verified by ${verifiedBy}${issued}`)
    }
    case "Failed":
      return about(`${event.operation} failed: ${failure(event.problem)}`)
    case "Closed":
      return about("closed by the client")
    case "Truncated":
      return about(`truncated after ${event.events} events`)
  }
}

const failure = (problem: Extract<Event, { readonly _tag: "Failed" }>["problem"]): string => {
  switch (problem._tag) {
    case "ConnectFailed":
    case "Broken":
    case "HandshakeFailed":
      return `${problem._tag} ${problem.code}, ${problem.detail}`
    case "CertificateRefused":
      return `${problem._tag} ${problem.problem}, ${problem.detail}`
    default:
      return problem._tag
  }
}

const concealed = ({ octets }: Hidden): string =>
  octets === undefined ? "(hidden)" : `(${octets} octet${octets === 1 ? "" : "s"} hidden)`

const step = (event: Event): string => {
  const server = `S${event.connection}`
  const { from, lines } = described(event)
  const words = shownLines(lines)
  switch (event._tag) {
    case "Connecting":
      return `C->>${server}: ${words}`
    case "Sent":
      return `C->>${server}: ${words}`
    case "Connected":
    case "Received":
      return `${server}-->>C: ${words}`
    case "Failed":
      return `${server}-xC: ${words}`
    case "Closed":
      return `C-x${server}: ${words}`
    default:
      return `Note over C,${server}: ${from === "--" ? "" : `${from}#58; `}${words}`
  }
}

const shownLines = (lines: ReadonlyArray<string>): string => {
  const shown = lines.slice(0, 12).map((line) => entities(shorten(visible(line), 72)))
  const more = lines.length - shown.length
  return [...shown, ...more > 0 ? [`and ${more} more`] : []].join("<br/>")
}

/** All but letters, digits and harmless marks as an entity: `;` ends a statement of Mermaid, `#` begins an entity, … */
const entities = (line: string): string =>
  line.replace(/[^\p{L}\p{N} .,/@+=()_-]/gu, (character) => `#${character.codePointAt(0)};`).trim() || "(empty)"

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const linesOf = (octets: Uint8Array): ReadonlyArray<string> => {
  const whole = asText(octets)
  return (whole.endsWith("\r\n") ? whole.slice(0, -2) : whole).split("\r\n")
}

const asText = (octets: Uint8Array): string => {
  try {
    return utf8.decode(octets)
  } catch {
    return Reply.escape(octets, 400)
  }
}

/** Control characters, those that change the direction of text, and line separators, written out. */
const visible = (text: string): string =>
  text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)

const shorten = (line: string, most: number): string => {
  const characters = [...line]
  return characters.length <= most ? line : `${characters.slice(0, most - 1).join("")}…`
}
