import { assert } from "@effect/vitest"
import type { Collection } from "./exchange.ts"

export const curl: Collection = {
  project: "curl",
  version: "tbd",
  url: "https://github.com/curl/curl",
  exchanges: [{
    name: "is told that the recipient is unknown",
    from: "tests/data/testNNN",
    script: `
      S: 220 mail.example ESMTP
      C: EHLO client.example
      S: 250-mail.example
      S: 250 SIZE
      C: MAIL FROM:<ann@example.org> SIZE=26
      S: 250 ok
      C: RCPT TO:<ben@example.net>
      S: 550 no such user
      C: RSET
      S: 250 ok
      C: QUIT
      S: 221 bye
      -- close
    `,
    asks: (client) =>
      client.send({ from: "ann@example.org", to: "ben@example.net", content: "Subject: hello\n\nHello.\n" }),
    then: (outcome) => {
      assert.strictEqual(outcome._tag === "Fails" ? outcome.error.reason._tag : "", "RecipientsRefused")
    }
  }],
  differences: [],
  leftOut: []
}
