/**
 * The messages that a simulated server took, parsed when they are looked at, and ways to
 * wait for one and to assert what came that say what did come.
 */
import { Address } from "@postern/core"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import PostalMime, { type Address as MimeAddress, type Email } from "postal-mime"
import type { Message } from "./ServerMachine.ts"
import type { Observed } from "./Site.ts"

/** An address of the header. */
export interface Mailbox {
  /** The display name, decoded; empty where there is none. */
  readonly name: string
  readonly address: string
}

/** A part of the message that is not its text. */
export interface Attachment {
  readonly filename: string | undefined
  /** The media type, lowercase. */
  readonly type: string
  readonly disposition: string | undefined
  /** With its angle brackets. */
  readonly contentId: string | undefined
  readonly content: Uint8Array
}

/** A message, parsed. What the header says and what the envelope said need not agree. */
export interface Mail {
  /** Addresses of MAIL (`null` for `<>`) and RCPT. */
  readonly envelope: { readonly from: string | null; readonly to: ReadonlyArray<string> }
  readonly subject: string | undefined
  readonly from: Mailbox | undefined
  /** Groups are taken apart. */
  readonly to: ReadonlyArray<Mailbox>
  readonly cc: ReadonlyArray<Mailbox>
  readonly replyTo: ReadonlyArray<Mailbox>
  readonly messageId: string | undefined
  readonly text: string | undefined
  readonly html: string | undefined
  readonly attachments: ReadonlyArray<Attachment>
  /** In order; names are lowercase, values unfolded and not decoded. */
  readonly headers: ReadonlyArray<{ readonly name: string; readonly value: string }>
  /** The message as it was received. */
  readonly received: Message
}

/** The content is beyond what can be parsed: parts nested too deep, headers too large. */
export class MimeError extends Data.TaggedError("MimeError")<{ readonly received: Message; readonly cause: unknown }> {
  override get message() {
    return `the message ${envelopeOf(this.received)} cannot be parsed: ${String(this.cause)}`
  }
}

/** The inbox is not as was wanted. The message lists what did arrive. */
export class InboxError extends Data.TaggedError("InboxError")<{
  readonly problem: string
  /** A line for each message that is there. */
  readonly arrived: ReadonlyArray<string>
}> {
  override get message() {
    const { arrived, problem } = this
    if (arrived.length === 0) return `${problem}; nothing has arrived`
    return `${problem}; what has arrived:${arrived.map((line, index) => `\n  ${index + 1}. ${line}`).join("")}`
  }
}

/**
 * Which message: as a function says, or one that has all of these. `from` and `to` are
 * addresses of the envelope; a string is the whole subject, and part of the text.
 */
export type Criterion = ((mail: Mail) => boolean) | {
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly subject?: string | RegExp | undefined
  readonly text?: string | RegExp | undefined
}

/** How long to wait. */
export interface WaitOptions {
  /** By the `Clock`; 4 seconds unless given, which is less than test runners wait. */
  readonly within?: Duration.Input | undefined
}

/** The messages of a server. A message that cannot be parsed meets no {@link Criterion}. */
export interface Inbox {
  /** The messages as they were received, in order. */
  readonly received: Effect.Effect<ReadonlyArray<Message>>
  /** The messages, parsed. Fails with `MimeError` for the first one that cannot be. */
  readonly messages: Effect.Effect<ReadonlyArray<Mail>, MimeError>
  /** Those for this recipient of the envelope. Fails with `MimeError`. */
  readonly to: (recipient: string) => Effect.Effect<ReadonlyArray<Mail>, MimeError>
  /** The first that meets the criterion, now or within the time. Fails with `InboxError` when it does not come. */
  readonly waitFor: (criterion?: Criterion, options?: WaitOptions) => Effect.Effect<Mail, InboxError>
  /** The one message that meets the criterion. Fails with `InboxError` when there is none, or another one. */
  readonly only: (criterion?: Criterion) => Effect.Effect<Mail, InboxError>
  /** Fails with `InboxError` when a message meets the criterion. */
  readonly none: (criterion?: Criterion) => Effect.Effect<void, InboxError>
  /** Empties it, which gives mailboxes that were full room again. */
  readonly clear: Effect.Effect<void>
}

/**
 * Parses a message; once, however often it is asked for. Fails with `MimeError` where it is
 * nested or long beyond reason; anything else is some message.
 */
export const parse = (received: Message): Effect.Effect<Mail, MimeError> =>
  Effect.suspend(() => {
    const before = parsed.get(received)
    if (before !== undefined) return before
    return Effect.tryPromise({
      try: () => PostalMime.parse(received.content),
      catch: (cause) => new MimeError({ received, cause })
    }).pipe(
      Effect.map((email) => toMail(received, email)),
      Effect.onExit((exit) => Effect.sync(() => parsed.set(received, exit)))
    )
  })

const parsed = new WeakMap<Message, Effect.Effect<Mail, MimeError>>()

const toMail = (received: Message, email: Email): Mail => ({
  envelope: {
    from: received.reversePath === null ? null : Address.format(received.reversePath),
    to: received.forwardPaths.map(recipientOf)
  },
  subject: email.subject,
  from: flat(email.from && [email.from])[0],
  to: flat(email.to),
  cc: flat(email.cc),
  replyTo: flat(email.replyTo),
  messageId: email.messageId,
  text: email.text,
  html: email.html,
  attachments: email.attachments.map(({ content, contentId, disposition, filename, mimeType }) => ({
    filename: filename ?? undefined,
    type: mimeType,
    disposition: disposition ?? undefined,
    contentId,
    content: typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content)
  })),
  headers: email.headers.map(({ key, value }) => ({ name: key, value })),
  received
})

const recipientOf = (path: Address.ForwardPath): string => path === "postmaster" ? "postmaster" : Address.format(path)

const flat = (addresses: ReadonlyArray<MimeAddress> = []): ReadonlyArray<Mailbox> =>
  addresses.flatMap((address) => address.group ?? [{ name: address.name, address: address.address }])

const envelopeOf = ({ forwardPaths, reversePath }: Message): string =>
  `from ${Address.formatReversePath(reversePath)} to ${forwardPaths.map(Address.formatForwardPath).join(", ")}`

/** A message that has arrived; `mail` where it could be parsed. */
interface Arrived {
  readonly received: Message
  readonly mail: Mail | undefined
  readonly line: string
}

const look = (received: Message): Effect.Effect<Arrived> =>
  parse(received).pipe(
    Effect.map((mail): Arrived => ({
      received,
      mail,
      line: `${envelopeOf(received)}: ${mail.subject === undefined ? "no subject" : JSON.stringify(mail.subject)}`
    })),
    Effect.catch(({ message }) => Effect.succeed<Arrived>({ received, mail: undefined, line: message }))
  )

const meets = (criterion: Criterion) => ({ mail }: Arrived): boolean => {
  if (mail === undefined) return false
  if (typeof criterion === "function") return criterion(mail)
  const { from, subject, text, to } = criterion
  const { envelope } = mail
  return (from === undefined || same(from, envelope.from ?? ""))
    && (to === undefined || envelope.to.some((recipient) => same(to, recipient)))
    && (subject === undefined
      || (subject instanceof RegExp ? matches(subject, mail.subject) : subject === mail.subject))
    && (text === undefined || (text instanceof RegExp ? matches(text, mail.text) : mail.text?.includes(text) === true))
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

// Not `test`, which begins where it left off when the expression is a global one.
const matches = (pattern: RegExp, text: string | undefined): boolean =>
  text !== undefined && text.search(pattern) !== -1

const describe = (criterion: Criterion): string => {
  if (typeof criterion === "function") return "message that meets the predicate"
  const parts = Object.entries(criterion).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name} ${value instanceof RegExp ? String(value) : JSON.stringify(value)}`]
  )
  return parts.length === 0 ? "message" : `message with ${parts.join(" and ")}`
}

const failure = (problem: string, arrived: ReadonlyArray<Arrived>): InboxError =>
  new InboxError({ problem, arrived: arrived.map(({ line }) => line) })

/** The inbox of a server. */
export const make = (server: Pick<Observed, "arrival" | "clear" | "inbox">): Inbox => {
  const looked = Effect.flatMap(server.inbox, Effect.forEach(look))
  const messages = Effect.flatMap(server.inbox, Effect.forEach(parse))

  const waitFor = Effect.fnUntraced(function*(
    criterion: Criterion = {},
    { within = "4 seconds" }: WaitOptions = {}
  ): Effect.fn.Return<Mail, InboxError> {
    const deadline = (yield* Clock.currentTimeMillis) + Duration.toMillis(within)
    for (;;) {
      const arrived = yield* looked
      const mail = arrived.find(meets(criterion))?.mail
      if (mail !== undefined) return mail
      const more = yield* Effect.timeoutOption(
        server.arrival(arrived.map(({ received }) => received)),
        Math.max(0, deadline - (yield* Clock.currentTimeMillis))
      )
      if (more._tag === "None") {
        return yield* failure(
          `no ${describe(criterion)} came within ${Duration.format(Duration.fromInputUnsafe(within))}`,
          arrived
        )
      }
    }
  })

  return {
    received: server.inbox,
    messages,
    to: (recipient) =>
      Effect.map(messages, (mails) => mails.filter(({ envelope }) => envelope.to.some((to) => same(to, recipient)))),
    waitFor,
    only: Effect.fnUntraced(function*(criterion: Criterion = {}): Effect.fn.Return<Mail, InboxError> {
      const arrived = yield* looked
      const [first, ...more] = arrived.filter(meets(criterion))
      if (first?.mail === undefined) return yield* failure(`there is no ${describe(criterion)}`, arrived)
      if (more.length > 0) {
        return yield* failure(`there is not one ${describe(criterion)}, but ${more.length + 1}`, arrived)
      }
      return first.mail
    }),
    none: Effect.fnUntraced(function*(criterion: Criterion = {}): Effect.fn.Return<void, InboxError> {
      const arrived = yield* looked
      if (arrived.some(meets(criterion))) {
        return yield* failure(`there is a ${describe(criterion)}, where none was wanted`, arrived)
      }
    }),
    clear: server.clear
  }
}
