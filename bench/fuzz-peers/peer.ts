/**
 * A client under test: a module in `peers` exports this.
 */
export interface Peer {
  readonly name: string
  readonly version: string
  /** Sends a message to one recipient through the server at this port; settles when the client has come to an end. */
  readonly send: (port: number) => Promise<unknown>
  readonly close?: () => void
}
