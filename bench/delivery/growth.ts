/**
 * How cost grows with recipients, messages and octets: one of them grows, all else stays.
 */
import * as Measure from "./measure.ts"
import { KiB, make, type Work } from "./work.ts"

export interface Step {
  readonly grows: "recipients" | "messages" | "octets"
  readonly amount: number
  /** Sent in a round: several where one would be over too soon. */
  readonly messages: number
  readonly work: Work
}

const few = (amount: number) => Math.ceil(1000 / amount)

export const steps: ReadonlyArray<Step> = [
  ...[1, 10, 100, 1000, 10_000].map((recipients): Step => ({
    grows: "recipients",
    amount: recipients,
    messages: few(recipients),
    work: make(`${recipients} recipients`, { recipients, way: "send" })
  })),
  ...[10, 100, 1000, 10_000, 100_000].map((messages): Step => ({
    grows: "messages",
    amount: messages,
    messages,
    work: make(`${messages} messages`)
  })),
  ...[1, 8, 64, 512, 4096, 32_768, 65_536].map((size): Step => ({
    grows: "octets",
    amount: size * KiB,
    messages: few(size),
    work: make(`${size} KiB`, { size: size * KiB, way: "send" })
  }))
]

/** What the amount costs one client: a message with so many recipients or octets, or so many messages. */
export interface Point {
  readonly grows: Step["grows"]
  readonly amount: number
  readonly client: string
  readonly seconds: number
}

export const measure = async (
  { amount, grows, messages, work }: Step,
  options: Omit<Measure.Options, "ask" | "clients">
): Promise<ReadonlyArray<Point>> => {
  const timings = await Measure.time(work, { ...options, ask: { messages }, clients: ["nodemailer", "postern"] })
  const times = grows === "messages" ? 1 : messages
  return [...timings].map(([client, timed]) => {
    const seconds = Measure.median(timed.map(({ seconds }) => seconds)) / times
    return { grows, amount, client, seconds }
  })
}
