/**
 * Addresses replaced by numbers in the order in which they first appear: a replay that goes
 * the same way numbers them the same.
 */
import { Address, CommandLine } from "@postern/core"
import * as Result from "effect/Result"

/** The numbers of one recording. */
export class AddressNumbers {
  readonly #numbers = new Map<string, string>()

  /** The line of a client with its addresses numbered. */
  ofClient(line: string): string {
    const decoded = CommandLine.decode(line)
    if (Result.isFailure(decoded)) return this.ofServer(line)
    const command = decoded.success
    switch (command._tag) {
      case "Mail":
        if (command.reversePath !== null) this.#learn(Address.format(command.reversePath))
        break
      case "Rcpt":
        if (command.forwardPath !== "postmaster") this.#learn(Address.format(command.forwardPath))
        break
      case "Vrfy":
      case "Expn":
        this.#learn(command.argument)
    }
    return this.ofServer(line)
  }

  /** The line of a server with those addresses numbered that a client has named. */
  ofServer(line: string): string {
    let text = line
    for (const [address, number] of this.#numbers) text = text.replaceAll(address, number)
    return text
  }

  #learn(address: string): void {
    if (!this.#numbers.has(address)) this.#numbers.set(address, `address-${this.#numbers.size + 1}`)
  }
}
