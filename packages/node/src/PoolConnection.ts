/**
 * A client's connection as the pool needs it: one that sends message after message and
 * tells whether it can still be used.
 *
 * TODO: delete this file for core's own `Opened.send` and `Opened.usable`.
 */
import { Command, Envelope, Program, Reason, type SmtpClient, SmtpError, Transaction } from "@postern/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"

/** A connection with a session that is ready for mail. */
export interface Opened extends SmtpClient.Opened {
  readonly send: (message: SmtpClient.Message) => Effect.Effect<SmtpClient.Receipt, SmtpError.SmtpError>
  /** Whether another dialogue may run on it. */
  readonly usable: Effect.Effect<boolean>
}

const encoder = new TextEncoder()

/** Opens a connection of the client. */
export const open = (
  client: SmtpClient.SmtpClient["Service"]
): Effect.Effect<Opened, SmtpError.SmtpError, Scope.Scope> =>
  Effect.map(client.open, ({ connection, session }) => {
    const send = Effect.fnUntraced(function*(message: SmtpClient.Message) {
      const envelope = yield* Effect.mapError(
        Effect.fromResult(Envelope.make(message)),
        ({ field, problem }) => {
          const reason = Reason.make("InvalidInput", { what: `"${field}" of the envelope`, problem })
          return new SmtpError.SmtpError({ reason, phase: "input", transcript: [] })
        }
      )
      const content = typeof message.content === "string" ? encoder.encode(message.content) : message.content
      const { outcomes, reply } = yield* connection.run(Transaction.deliver(session, envelope, content))
      return { reply, outcomes, transcript: yield* connection.transcript }
    })
    const usable = Effect.map(Effect.exit(connection.run(Program.send(Command.noop))), Exit.isSuccess)
    return { session, connection, send, usable }
  })
