import { assert, describe, it } from "@effect/vitest"
import { Address, Command, CommandLine } from "@postern/core"
import { Redacted, Result } from "effect"
import vectors from "../vectors/SMTP-AUTH.json" with { type: "json" }

const utf8 = new TextEncoder()
const get = <A>(result: Result.Result<A, unknown>): A => Result.getOrThrow(result as Result.Result<A>)
const mailbox = (text: string) => get(Address.parse(text))
const domain = (text: string) => get(Address.parseDomain(text))
const secret = (text: string) => Redacted.make(utf8.encode(text))
const parameter = (keyword: string, value?: string) => get(Command.parameter(keyword, value))

/** The lines of the RFCs' examples, and the commands they are. */
const examples: ReadonlyArray<readonly [string, string, Command.Command]> = [
  ["RFC 5321 D.1", "EHLO bar.com", Command.ehlo(domain("bar.com"))],
  ["RFC 5321 D.1", "MAIL FROM:<Smith@bar.com>", Command.mail(mailbox("Smith@bar.com"))],
  ["RFC 5321 D.1", "RCPT TO:<Jones@foo.com>", Command.rcpt(mailbox("Jones@foo.com"))],
  ["RFC 5321 D.1", "DATA", Command.data],
  ["RFC 5321 D.2", "RSET", Command.rset],
  ["RFC 5321 D.4", "VRFY Crispin", get(Command.vrfy("Crispin"))],
  ["RFC 5321 D.4", "QUIT", Command.quit],
  ["RFC 5321 §3.5", "EXPN Example-People", get(Command.expn("Example-People"))],
  ["RFC 6531 §3.7.4.2", "VRFY René SMTPUTF8", get(Command.vrfy("René", true))],
  ["RFC 6531 §3.7.4.2", "EXPN friends SMTPUTF8", get(Command.expn("friends", true))],
  ["a name like the parameter", "VRFY SMTPUTF8", get(Command.vrfy("SMTPUTF8"))],
  ["RFC 5321 §4.1.1.1", "HELO bar.com", Command.helo(domain("bar.com"))],
  ["RFC 5321 §4.1.3", "EHLO [192.0.2.1]", Command.ehlo(domain("[192.0.2.1]"))],
  ["RFC 5321 §4.1.1.8", "HELP", Command.help],
  ["RFC 5321 §4.1.1.8", "HELP MAIL", get(Command.helpOn("MAIL"))],
  ["RFC 5321 §4.1.1.9", "NOOP", Command.noop],
  ["RFC 5321 §4.5.5", "MAIL FROM:<>", Command.mail(null)],
  ["RFC 5321 §4.5.1", "RCPT TO:<Postmaster>", Command.rcpt("postmaster")],
  [
    "RFC 1870 §6",
    "MAIL FROM:<ned@thor.innosoft.com> SIZE=500000",
    Command.mail(mailbox("ned@thor.innosoft.com"), [parameter("SIZE", "500000")])
  ],
  ["RFC 3207 §5", "STARTTLS", Command.startTls],
  ["RFC 4954 §4.1", "AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=", get(Command.auth("PLAIN", secret("test\0test\x001234")))],
  ["RFC 4954 §4.1", "AUTH DIGEST-MD5", get(Command.auth("DIGEST-MD5"))],
  ["RFC 4954 §4.1", "AUTH EXTERNAL =", get(Command.auth("EXTERNAL", secret("")))],
  [
    "RFC 4954 §5.1",
    "MAIL FROM:<e=mc2@example.com> AUTH=e+3Dmc2@example.com",
    Command.mail(mailbox("e=mc2@example.com"), [parameter("AUTH", "e+3Dmc2@example.com")])
  ],
  ["RFC 3030 §4.1", "BDAT 86 LAST", get(Command.bdat(86, true))],
  ["RFC 3030 §4.2", "BDAT 100000", get(Command.bdat(100_000, false))],
  [
    "RFC 3030 §4.2",
    "MAIL FROM:<ned@ymir.claremont.edu> BODY=BINARYMIME",
    Command.mail(mailbox("ned@ymir.claremont.edu"), [parameter("BODY", "BINARYMIME")])
  ],
  [
    "RFC 4468 §3.2",
    "BURL imap://ann@imap.example/out;uidvalidity=1/;uid=25;urlauth=submit+ann:internal:91354a47 LAST",
    get(Command.burl("imap://ann@imap.example/out;uidvalidity=1/;uid=25;urlauth=submit+ann:internal:91354a47", true))
  ],
  ["RFC 1985 §6", "ETRN @foo.com", get(Command.etrn("@foo.com"))],
  ["RFC 1985 §6", "ETRN #uucp", get(Command.etrn("#uucp"))],
  ["RFC 2033 §4.2", "LHLO foo.edu", Command.lhlo(domain("foo.edu"))],
  [
    "RFC 3461 §10.1",
    "RCPT TO:<Bob@Example.COM> NOTIFY=SUCCESS ORCPT=rfc822;Bob@Example.COM",
    Command.rcpt(mailbox("Bob@example.com"), [
      parameter("NOTIFY", "SUCCESS"),
      parameter("ORCPT", "rfc822;Bob@Example.COM")
    ])
  ],
  [
    "RFC 6531 §3.4",
    "MAIL FROM:<用户@example.com> SMTPUTF8",
    Command.mail(mailbox("用户@example.com"), [parameter("SMTPUTF8")])
  ],
  [
    "Postfix XCLIENT",
    "XCLIENT NAME=spike.porcupine.org ADDR=168.100.189.2",
    get(Command.xclient({ NAME: "spike.porcupine.org", ADDR: "168.100.189.2" }))
  ],
  [
    "Postfix XCLIENT",
    "XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 LOGIN=a+20b",
    get(Command.xclient({ NAME: "[UNAVAILABLE]", ADDR: "IPV6:2001:db8::1", LOGIN: "a b" }))
  ]
]

const open = (command: Command.Command): unknown =>
  Object.fromEntries(
    Object.entries(command).map(([key, value]) => [key, Redacted.isRedacted(value) ? Redacted.value(value) : value])
  )

describe("CommandLine", () => {
  for (const [source, line, command] of examples) {
    it(`${source}: ${line}`, () => {
      assert.deepStrictEqual(open(get(CommandLine.decode(line))), open(command))
      // A domain is sent in lower case.
      assert.deepStrictEqual(
        CommandLine.encode(command),
        utf8.encode(`${line.replace("<Bob@Example.COM>", "<Bob@example.com>")}\r\n`)
      )
    })
  }

  const spelled: ReadonlyArray<readonly [string, string]> = [
    ["ehlo Bar.COM", "EHLO bar.com"],
    ["EHLO \t bar.com  ", "EHLO bar.com"],
    ["ehlo bücher.example", "EHLO xn--bcher-kva.example"],
    ["mail from:<a@b>", "MAIL FROM:<a@b>"],
    ["Mail From: <a@b>  size=10\tbody=8bitmime ", "MAIL FROM:<a@b> SIZE=10 BODY=8bitmime"],
    ["MAIL FROM:<\"a\\\"> b\"@c> X=>", "MAIL FROM:<\"a\\\"> b\"@c> X=>"],
    ["MAIL FROM:<\"a\"@b>", "MAIL FROM:<a@b>"],
    ["MAIL FROM:<a@[X:\">]>", "MAIL FROM:<a@[X:\">]>"],
    ["RCPT TO:<@relay.example,@b.example:ann@c.example>", "RCPT TO:<ann@c.example>"],
    ["rcpt to:<POSTMASTER>", "RCPT TO:<Postmaster>"],
    ["rcpt to:<postmaster@a.example>", "RCPT TO:<postmaster@a.example>"],
    ["bdat  10   last", "BDAT 10 LAST"],
    ["BDAT 0", "BDAT 0"],
    ["BDAT 007", "BDAT 7"],
    ["burl \t imap://A.example/;uid=1  last ", "BURL imap://A.example/;uid=1 LAST"],
    ["quit ", "QUIT"],
    ["starttls", "STARTTLS"],
    ["auth plain", "AUTH PLAIN"],
    ["noop  ", "NOOP"],
    ["xclient name=a+20b", "XCLIENT NAME=a+20b"],
    ["vrfy <ann@example.org>", "VRFY <ann@example.org>"],
    ["vrfy  Ann \t smtputf8 ", "VRFY Ann SMTPUTF8"]
  ]
  for (const [line, canonical] of spelled) {
    it(`reads ${JSON.stringify(line)}`, () =>
      assert.strictEqual(CommandLine.render(get(CommandLine.decode(line))), canonical))
  }

  const wrong: ReadonlyArray<readonly [500 | 501, string]> = [
    [500, ""],
    [500, " "],
    [500, " NOOP"],
    [500, "FOO"],
    [500, "MAIL\0"],
    [500, "NOOP\r\nQUIT"],
    [500, "NOOP \ud800"],
    [500, "constructor"],
    [500, "DATA: x"],
    [500, "GET / HTTP/1.1"],
    [500, "POST / HTTP/1.1"],
    [501, "EHLO"],
    [501, "EHLO a b"],
    [501, "EHLO under_score"],
    [501, "DATA now"],
    [501, "QUIT x"],
    [501, "RSET x"],
    [501, "STARTTLS x"],
    [501, "MAIL"],
    [501, "MAIL <a@b>"],
    [501, "MAIL FROM:"],
    [501, "MAIL FROM:a@b"],
    [501, "MAIL FROM:<a@b"],
    [501, "MAIL FROM:<a@b>SIZE=1"],
    [501, "MAIL FROM:<a@b> SIZE="],
    [501, "MAIL FROM:<a@b> =1"],
    [501, "MAIL FROM:<a@b> X=1=2"],
    [501, "MAIL TO:<a@b>"],
    [501, "MAIL FORM:<a@b>"],
    [501, "RCPT OT:<a@b>"],
    [501, "MAIL FROM:<a b@c>"],
    [501, "MAIL FROM:<Postmaster>"],
    [501, "RCPT TO:<>"],
    [501, "RCPT TO:<a@b> <c@d>"],
    [501, "BDAT"],
    [501, "BDAT x"],
    [501, "BDAT -1"],
    [501, "BDAT 1 FIRST"],
    [501, "BDAT 1 LAST LAST"],
    [501, "BDAT 9999999999999999"],
    [501, "BDAT 99999999999999999999"],
    [501, "BURL"],
    [501, "BURL LAST"],
    [501, "BURL imap://a.example/ FIRST"],
    [501, "BURL imap://a.example/ LAST LAST"],
    [501, "BURL /a/b LAST"],
    [501, "BURL imap: LAST"],
    [501, "BURL imap://a.example/é"],
    [501, "VRFY"],
    [501, "EXPN"],
    [501, "ETRN"],
    [501, "ETRN a b"],
    [501, "AUTH"],
    [501, "AUTH PL*IN"],
    [501, "AUTH PLAIN !"],
    [501, "AUTH PLAIN AAA"],
    [501, "AUTH PLAIN AAAA AAAA"],
    [501, "XCLIENT"],
    [501, "XCLIENT NAME"],
    [501, "XCLIENT NAME=a=b"],
    [501, "XCLIENT NAME=a name=b"],
    [501, "XCLIENT NAME=a NAME=b"],
    [501, "XCLIENT __proto__=x"]
  ]
  for (const [code, line] of wrong) {
    it(`answers ${code} to ${JSON.stringify(line)}`, () => {
      const result = CommandLine.decode(line)
      assert.isTrue(Result.isFailure(result))
      if (Result.isFailure(result)) assert.strictEqual(result.failure.code, code, result.failure.problem)
    })
  }

  it("reads long lines in no time", () => {
    for (const unit of [" ", "a ", "<", ">", "\"", "\\", "\"\"", "[", "[]", "X=1 ", "\"\\", "\u2028"]) {
      for (const head of ["", "NOOP ", "BURL x:", "MAIL FROM:<", "MAIL FROM:<a@b> ", "AUTH PLAIN ", "XCLIENT "]) {
        for (const tail of ["", "\u2028", "x"]) CommandLine.decode(head + unit.repeat(100_000) + tail)
      }
    }
  })
})

describe("CommandLine within AUTH", () => {
  it("reads responses and the cancellation", () => {
    assert.deepStrictEqual(CommandLine.decodeAuth("*"), Result.succeed(Command.authCancel))
    assert.deepStrictEqual(open(get(CommandLine.decodeAuth("dGlt"))), open(Command.authResponse(secret("tim"))))
    assert.deepStrictEqual(open(get(CommandLine.decodeAuth(""))), open(Command.authResponse(secret(""))))
  })

  for (
    const line of [
      "=",
      "====",
      "**",
      "dGl",
      "dG=t",
      "dGlt====",
      "dG lt",
      " dGlt",
      "dGlt\r\n",
      "dGlt\n",
      "dG-_",
      "dGlté",
      "A==="
    ]
  ) {
    it(`refuses ${JSON.stringify(line)} and does not repeat it`, () => {
      const result = CommandLine.decodeAuth(line)
      assert.isTrue(Result.isFailure(result))
      if (Result.isFailure(result)) {
        assert.strictEqual(result.failure.code, 501)
        assert.isFalse(line.length > 2 && JSON.stringify(result.failure).includes(line))
      }
    })
  }

  // The other vectors of this file are about whole dialogues.
  it("smtp-auth/ir/equals-for-empty and smtp-auth/ir/empty-after-334-is-empty-line", () => {
    const [asInitial, asResponse] = ["equals-for-empty", "empty-after-334-is-empty-line"]
      .map((name) => vectors.vectors.find(({ id }) => id === `smtp-auth/ir/${name}`)?.outcome.line)
    assert.strictEqual(CommandLine.render(get(Command.auth("EXTERNAL", secret("")))), asInitial)
    assert.deepStrictEqual(CommandLine.encode(Command.authResponse(secret(""))), utf8.encode(`${asResponse}\r\n`))
  })

  it("smtp-auth/cancel/star", () => {
    const line = vectors.vectors.find(({ id }) => id === "smtp-auth/cancel/star")?.inputs.clientLine
    assert.deepStrictEqual(CommandLine.encode(Command.authCancel), utf8.encode(`${line}\r\n`))
  })

  it("smtp-auth/log-redaction", () => {
    const vector = vectors.vectors.find(({ id }) => id === "smtp-auth/log-redaction")
    const [auth = "", , user = "", password = ""] = vector?.inputs.lines ?? []
    const shown = [
      CommandLine.render(get(CommandLine.decode(auth))),
      ...[user, password].map((line) => CommandLine.render(get(CommandLine.decodeAuth(line))))
    ]
    assert.deepStrictEqual(shown, ["AUTH PLAIN <redacted, 4 bytes>", "<redacted, 1 bytes>", "<redacted, 1 bytes>"])
    for (const piece of vector?.outcome.mustNotContain ?? []) assert.notInclude(shown.join("\n"), piece)
  })

  it("the token of a BURL's URLAUTH goes out, and is not shown", () => {
    const url = "imap://ann@imap.example/out/;uid=25;URLAUTH=submit+ann:internal:91354a47"
    const command = get(Command.burl(url, true))
    assert.deepStrictEqual(CommandLine.encode(command), utf8.encode(`BURL ${url} LAST\r\n`))
    assert.strictEqual(
      CommandLine.render(command),
      "BURL imap://ann@imap.example/out/;uid=25;URLAUTH=submit+ann:internal:<redacted, 8 bytes> LAST"
    )
  })

  it("a response of 12,288 octets (RFC 4954 §4) goes out in one line", () => {
    const command = Command.authResponse(Redacted.make(new Uint8Array(9216)))
    assert.lengthOf(CommandLine.encode(command), 12_288 + 2)
  })
})
