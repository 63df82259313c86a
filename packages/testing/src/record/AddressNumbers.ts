/**
 * Addresses replaced by numbers in the order in which they first appear: a replay that goes
 * the same way numbers them the same.
 */
import { Command } from "@postern/core"

// A path in angle brackets, or what a client sends in place of one.
const envelope =
  /^(?:MAIL[ \t]+FROM|RCPT[ \t]+TO)[ \t]*:[ \t]*(?:<(?:@[^:>]*:)?((?:"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^"<>[])*)>|([^\s<>]+))/i
const query = /^(?:VRFY|EXPN)[ \t]+(?:[^<]*<([^<>]*)>|(.*))/i
/** Parameters that name an address, in xtext (RFC 3461 §4.2, RFC 4954 §5). */
const parameter = /[ \t](?:AUTH=|ORCPT=[^;\s]*;)([^\s<>]+)/gi

const unfit = /[\w.+@-]/
/** What most addresses consist of, and what can stand around them does not. */
const word = /[\w.+@-]+/g

/** The numbers of one connection. Letters of ASCII in either case are the same: servers fold them. */
export class AddressNumbers {
  /** By address, folded. Those of one word are looked up word by word; the others are searched for. */
  readonly #words = new Map<string, string>()
  readonly #others = new Map<string, string>()
  #count = 0

  /** The line of a client with its addresses numbered. */
  ofClient(line: string): string {
    const path = envelope.exec(line)
    if (path !== null) {
      this.#learn(path[1] ?? path[2] ?? "")
      for (const [, value = ""] of line.slice(path[0].length).matchAll(parameter)) {
        this.#learn(Command.fromXtext(value) ?? value, value)
      }
    }
    const asked = query.exec(line)
    if (asked !== null) this.#learn(asked[1] ?? (asked[2] ?? "").trim().replace(/[ \t]SMTPUTF8$/i, "").trim())
    // The verb is no address, whatever somebody asked about.
    const from = /^\S*/.exec(line)?.[0].length ?? 0
    return line.slice(0, from) + this.#replace(line.slice(from))
  }

  /** The text of a server with those addresses numbered that a client has named. */
  ofServer(text: string): string {
    return this.#replace(text)
  }

  #replace(text: string): string {
    let shown = this.#words.size === 0 ? text : text.replaceAll(word, (found) => {
      // A dot behind it may end a sentence.
      const bare = found.replace(/\.+$/, "")
      const number = this.#words.get(folded(bare))
      return number === undefined ? found : number + found.slice(bare.length)
    })
    if (this.#others.size === 0) return shown
    let low = folded(shown)
    for (const [address, number] of this.#others) {
      let from = 0
      for (let at = low.indexOf(address); at !== -1; at = low.indexOf(address, from)) {
        const end = at + address.length
        if (stands(low, at, end)) {
          shown = shown.slice(0, at) + number + shown.slice(end)
          low = low.slice(0, at) + number + low.slice(end)
          from = at + number.length
        } else {
          from = at + 1
        }
      }
    }
    return shown
  }

  #numberOf(way: string): string | undefined {
    return this.#words.get(way) ?? this.#others.get(way)
  }

  /** An address and another way to write it. */
  #learn(address: string, written = address): void {
    if (address === "" || folded(address) === "postmaster") return
    const number = this.#numberOf(folded(address)) ?? `address-${++this.#count}`
    for (const way of [folded(address), folded(written)]) {
      if (this.#numberOf(way) !== undefined) continue
      const numbers = way.replace(word, "") === "" && !way.endsWith(".") ? this.#words : this.#others
      numbers.set(way, number)
    }
  }
}

// Not toLowerCase, which changes the length of some texts.
const folded = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

/** Whether it stands for itself, and is no part of another address or of a word; a dot may end a sentence. */
const stands = (text: string, at: number, end: number): boolean =>
  !unfit.test(text[at - 1] ?? "") && !unfit.test(text[end] === "." ? text[end + 1] ?? "" : text[end] ?? "")
