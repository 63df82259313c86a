import { assert, describe, it } from "@effect/vitest"
import { Page, type Recording } from "@postern/testing"

const utf8 = new TextEncoder()

type Said = Recording.Event extends infer E ? E extends Recording.Event ? Omit<E, "at" | "connection"> : never : never

const sent = (text: string): Said => ({ _tag: "Sent", data: utf8.encode(`${text}\r\n`) })
const received = (text: string): Said => ({ _tag: "Received", data: utf8.encode(`${text}\r\n`) })
const hidden = (line: string): Said => ({ _tag: "SentHidden", line, hidden: { octets: 8 } })
const content: Said = { _tag: "ContentSent", octets: 10, sha256: "ab" }
const closed: Said = { _tag: "Failed", operation: "read", problem: { _tag: "Closed" } }

const html = (...said: ReadonlyArray<Said>): string =>
  Page.html({
    header: { format: "postern-recording", version: 1, by: "a test", policy: { addresses: "kept", content: "hashed" } },
    events: said.map((event, at) => ({ ...event, at, connection: 0 }))
  })

/** The page without its markup. */
const seen = (...said: ReadonlyArray<Said>): string =>
  html(...said).replace(/<(style|script)>[^]*?<\/\1>/g, "").replace(/<[^>]*>/g, " ").replace(/\s+/g, " ")

const envelope = [
  received("220 mx.example"),
  sent("EHLO x"),
  received("250 mx.example"),
  sent("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>"),
  received("250 ok\r\n250 ok")
]
const data = [sent("DATA"), received("354 go")]

describe("the outcome", () => {
  it.each<[string, ReadonlyArray<Said>, string]>([
    ["lost after the content", [...envelope, ...data, content, closed], "1 message in doubt, 1 failure."],
    ["given up after the content", [...envelope, ...data, content, { _tag: "Closed" }], "1 message in doubt."],
    [
      "lost after the last chunk",
      [...envelope, sent("BDAT 9 LAST"), content, closed],
      "1 message in doubt, 1 failure."
    ],
    [
      "lost after an empty last chunk",
      [...envelope, sent("BDAT 9"), content, received("250 ok"), sent("BDAT 0 LAST"), closed],
      "1 message in doubt, 1 failure."
    ],
    [
      "lost before the content of the last chunk",
      [...envelope, sent("BDAT 9"), content, received("250 ok"), sent("BDAT 5 LAST"), closed],
      "No message was accepted, 1 failure."
    ],
    ["lost before the content", [...envelope, ...data, closed], "No message was accepted, 1 failure."],
    [
      "lost before the content of the second message",
      [...envelope, ...data, content, received("250 ok"), ...envelope.slice(3), ...data, closed],
      "1 message accepted, 1 failure."
    ],
    [
      "refused after the content",
      [...envelope, ...data, content, received("554 5.7.1 no")],
      "No message was accepted, 1 refusal."
    ],
    [
      "lost after the content of the second message",
      [...envelope, ...data, content, received("250 ok"), ...envelope.slice(3), ...data, content, closed],
      "1 message accepted, 1 message in doubt, 1 failure."
    ],
    [
      "accepted, and left without an answer to QUIT",
      [...envelope, ...data, content, received("250 ok"), sent("QUIT"), closed],
      "1 message accepted."
    ]
  ])("%s", (_, events, expected) => {
    assert.include(seen(...events), expected)
  })

  it("is no failure where it is in doubt", () => {
    assert.include(html(...envelope, ...data, content, closed), "class=\"outcome warn\"")
    assert.include(html(...envelope, ...data, closed), "class=\"outcome bad\"")
  })

  it("is doubtful first, however many refusals there were", () => {
    const refused = Array.from({ length: 40 }, () => [sent("RCPT TO:<e@f>"), received("550 5.1.1 no")]).flat()
    assert.match(seen(...envelope, ...refused, ...data, content, closed), /in doubt[^#]*#88 the content was sent/)
  })
})

describe("LOGIN", () => {
  const greeted = [received("220 mx.example"), sent("EHLO x"), received("250 AUTH LOGIN")]
  const [user, password] = [received("334 VXNlcm5hbWU6"), received("334 UGFzc3dvcmQ6")]
  it("asks for the password alone where AUTH brought the user name", () => {
    const text = seen(...greeted, hidden("AUTH LOGIN "), password, hidden(""), received("235 ok"))
    assert.match(text, /asks for the password:? Password:/)
    assert.notInclude(text, "asks for the user name")
  })
  it("asks for both where it did not", () => {
    const text = seen(...greeted, sent("AUTH LOGIN"), user, hidden(""), password, hidden(""), received("235 ok"))
    assert.match(text, /asks for the user name:? Username:[^]*asks for the password:? Password:/)
  })
})

it("keeps quotation marks and the like", () => {
  assert.include(html(received("250 \"a\" 'b' `c` <d> &e;")), "&quot;a&quot; &#39;b&#39; &#96;c&#96; &lt;d&gt; &amp;e;")
})
