/** The page docs/other-peoples-tests.md: the collections of packages/testing/test/others as tables. */
import { curl } from "../packages/testing/test/others/curl.ts"
import type { Collection, Exchange } from "../packages/testing/test/others/exchange.ts"
import { goSmtp } from "../packages/testing/test/others/goSmtp.ts"
import { mailkit } from "../packages/testing/test/others/mailkit.ts"
import { nodemailer } from "../packages/testing/test/others/nodemailer.ts"
import { smtplib } from "../packages/testing/test/others/smtplib.ts"
import { plain, table } from "./markdown.ts"

const collections = [curl, smtplib, goSmtp, mailkit, nodemailer]

const total = (of: (collection: Collection) => ReadonlyArray<unknown>): number =>
  collections.reduce((sum, collection) => sum + of(collection).length, 0)

/** Exchanges from the same place in one row. */
const bySource = (exchanges: ReadonlyArray<Exchange>): ReadonlyArray<ReadonlyArray<string>> =>
  Array.from(
    Map.groupBy(exchanges, ({ from }) => from),
    ([from, those]) => [those.map(({ name }) => plain(name)).join("<br>"), plain(from)]
  )

const section = ({ differences, exchanges, leftOut, project, url, version }: Collection): ReadonlyArray<string> => [
  "",
  `## ${project}`,
  "",
  `[${plain(version)}](${url}): ${exchanges.length} exchanges.`,
  "",
  ...table(["The client …", "From"], bySource(exchanges)),
  "",
  "Where it does something else than ours:",
  "",
  ...table(
    ["From", "Theirs", "Ours", "Why"],
    differences.map(({ from, ours, reason, theirs }) => [from, theirs, ours, reason].map(plain))
  ),
  "",
  "Left out:",
  "",
  ...leftOut.map((kind) => `- ${plain(kind)}`)
]

export const others: ReadonlyArray<string> = [
  "# Other people's tests",
  "",
  "Printed from the collections in [`packages/testing/test/others`](../packages/testing/test/others) by `npm run docs`.",
  "",
  `The tests of other clients know what servers really say, and what has gone wrong with it. What a server says in them, and what a right client says to that, are facts; here they are ${
    total(({ exchanges }) => exchanges)
  } exchanges of our own, in our words: none of their text is in them. A [scripted server](recording.md#a-server-of-your-own-words) replays each with our client, octet for octet, and the test says what must come of it.`,
  "",
  `Where another client does something else and we mean not to, there is a reason: ${
    total(({ differences }) => differences)
  } differences in all, and an exchange that is marked "a difference" holds what ours does. What is about something we do not have, or says nothing of the wire, was left out.`,
  ...collections.flatMap(section)
]
