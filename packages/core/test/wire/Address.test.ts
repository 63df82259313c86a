import { assert, describe, it } from "@effect/vitest"
import { Address } from "@postern/core"
import { Equal, Result } from "effect"

/** The value, or a readable failure of the test. */
const get = <A>(result: Result.Result<A, Address.AddressError>): A =>
  Result.getOrThrowWith(result, (error) => new Error(`${error.input}: ${error.problem}`))

const failure = <A>(result: Result.Result<A, Address.AddressError>): Address.AddressError => {
  if (Result.isSuccess(result)) throw new Error(`should have been refused: ${JSON.stringify(result.success)}`)
  return result.failure
}

const parts = (text: string): readonly [string, string] => {
  const mailbox = get(Address.parse(text))
  return [mailbox.localPart, mailbox.domain]
}

/** Labels of up to 63 octets that make a domain of exactly `length`. */
const longDomain = (length: number): string => {
  const labels: Array<string> = []
  let rest = length
  while (rest > 0) {
    const label = "d".repeat(Math.min(rest, rest === 64 ? 62 : 63))
    labels.push(label)
    rest -= label.length + 1
  }
  return labels.join(".")
}

describe("Address.parse", () => {
  // text, local part, domain, canonical form where it is another
  const good: ReadonlyArray<readonly [string, string, string, string?]> = [
    ["user@example.com", "user", "example.com"],
    ["User@Example.COM", "User", "example.com", "User@example.com"],
    ["a@b", "a", "b"],
    ["postmaster@localhost", "postmaster", "localhost"],
    ["first.last@example.com", "first.last", "example.com"],
    ["user+tag@example.com", "user+tag", "example.com"],
    ["!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~", "example.com"],
    ["1234567890@example.com", "1234567890", "example.com"],
    ["=?utf-8?q?a?=@example.com", "=?utf-8?q?a?=", "example.com"],
    ["-@example.com", "-", "example.com"],
    ["_@example.com", "_", "example.com"],
    ["a@1.example", "a", "1.example"],
    ["a@3com.example", "a", "3com.example"],
    ["a@r3---sn-4g5e.example", "a", "r3---sn-4g5e.example"],
    ["a@x-y.example", "a", "x-y.example"],
    ["a@256.256.256.256.example", "a", "256.256.256.256.example"],
    // quoted strings; RFC 5321 §4.1.2 has both spellings of Joe and Fred
    ["\"Joe.\\Blow\"@example.com", "Joe.Blow", "example.com", "Joe.Blow@example.com"],
    ["\"Joe Blow\"@example.com", "Joe Blow", "example.com"],
    ["\"Fred\\ Bloggs\"@example.com", "Fred Bloggs", "example.com", "\"Fred Bloggs\"@example.com"],
    ["\"user\"@example.com", "user", "example.com", "user@example.com"],
    ["\"first.last\"@example.com", "first.last", "example.com", "first.last@example.com"],
    ["\"\"@example.com", "", "example.com"],
    ["\" \"@example.com", " ", "example.com"],
    ["\"a@b\"@example.com", "a@b", "example.com"],
    ["\"a\\@b\"@example.com", "a@b", "example.com", "\"a@b\"@example.com"],
    ["\"a>b\"@example.com", "a>b", "example.com"],
    ["\".\"@example.com", ".", "example.com"],
    ["\"a..b\"@example.com", "a..b", "example.com"],
    ["\"a\\\"b\"@example.com", "a\"b", "example.com"],
    ["\"a\\\\\"@example.com", "a\\", "example.com"],
    ["\"()<>[]:,;@\\\\\\\"!#\"@example.com", "()<>[]:,;@\\\"!#", "example.com"],
    // RFC 6531
    ["böb@example.com", "böb", "example.com"],
    ["用户@例子.广告", "用户", "xn--fsqu00a.xn--4rr70v", "用户@xn--fsqu00a.xn--4rr70v"],
    ["अजय@डाटा.भारत", "अजय", "xn--c2bd1gb.xn--h2brj9c", "अजय@xn--c2bd1gb.xn--h2brj9c"],
    ["χρήστης@παράδειγμα.ελ", "χρήστης", "xn--hxajbheg2az3al.xn--qxam", "χρήστης@xn--hxajbheg2az3al.xn--qxam"],
    ["\"bö b\"@example.com", "bö b", "example.com"],
    ["e\u0301@example.com", "e\u0301", "example.com"],
    ["😀@example.com", "😀", "example.com"],
    ["user@bücher.example", "user", "xn--bcher-kva.example", "user@xn--bcher-kva.example"],
    // literals
    ["user@[192.0.2.1]", "user", "[192.0.2.1]"],
    ["user@[IPv6:2001:DB8::1]", "user", "[IPv6:2001:db8::1]", "user@[IPv6:2001:db8::1]"],
    ["user@[Tag:a(b)c]", "user", "[Tag:a(b)c]"]
  ]
  for (const [text, localPart, domain, canonical = text] of good) {
    it(`takes ${text}`, () => {
      assert.deepStrictEqual(parts(text), [localPart, domain])
      assert.strictEqual(Address.format(get(Address.parse(text))), canonical)
      assert.strictEqual(String(get(Address.parse(text))), canonical)
    })
  }

  const bad: ReadonlyArray<readonly [string, Address.AddressErrorKind, number?]> = [
    ["", "Empty"],
    ["user", "NoAtSign", 4],
    ["user＠example.com", "NoAtSign", 16],
    ["\"a@b\"", "NoAtSign", 5],
    ["@", "LocalPart", 0],
    ["@example.com", "LocalPart", 0],
    ["user@", "Empty", 5],
    [".user@example.com", "LocalPart", 0],
    ["user.@example.com", "LocalPart", 4],
    ["us..er@example.com", "LocalPart", 2],
    ["us er@example.com", "LocalPart", 2],
    [" user@example.com", "LocalPart", 0],
    ["user @example.com", "LocalPart", 4],
    ["user@ example.com", "Domain", 5],
    ["user@example.com ", "Domain", 16],
    ["us(comment)er@example.com", "LocalPart", 2],
    ["user@example.com(comment)", "Domain", 16],
    ["us,er@example.com", "LocalPart", 2],
    ["us;er@example.com", "LocalPart", 2],
    ["us:er@example.com", "LocalPart", 2],
    ["us\\er@example.com", "LocalPart", 2],
    ["us\"er@example.com", "LocalPart", 2],
    ["us[er]@example.com", "LocalPart", 2],
    ["<user@example.com>", "Path", 0],
    ["<>", "Path", 0],
    ["user@example.com>", "Domain", 16],
    ["a@b@example.com", "Domain", 3],
    ["@a.example:user@example.com", "LocalPart", 0],
    ["\"user@example.com", "LocalPart", 0],
    ["\"us\"er\"@example.com", "LocalPart", 4],
    ["\"user\\\"@example.com", "LocalPart", 0],
    ["\"user\".last@example.com", "LocalPart", 6],
    ["first.\"last\"@example.com", "LocalPart", 5],
    ["\"a\\ö\"@example.com", "LocalPart", 0],
    ["user@.example.com", "Domain"],
    ["user@example..com", "Domain"],
    ["user@example.com.", "Domain"],
    ["user@.", "Domain"],
    ["user@-example.com", "Domain"],
    ["user@example-.com", "Domain"],
    ["user@exa_mple.com", "Domain", 8],
    ["user@exa mple.com", "Domain", 8],
    ["user@exa/mple.com", "Domain", 8],
    ["user@example.com:25", "Domain", 16],
    ["user@192.0.2.1", "Domain"],
    ["user@[192.0.2.1", "AddressLiteral"],
    ["user@192.0.2.1]", "Domain", 14],
    ["user@[192.0.2.1].example", "AddressLiteral"],
    ["user@[]", "AddressLiteral"],
    ["us\0er@example.com", "ForbiddenCharacter", 2],
    ["us\ter@example.com", "ForbiddenCharacter", 2],
    ["user@example.com\r\n", "ForbiddenCharacter", 16],
    ["user@example.com\n", "ForbiddenCharacter", 16],
    ["user@exam\rple.com", "ForbiddenCharacter", 9],
    ["\"us\r\ner\"@example.com", "ForbiddenCharacter", 3],
    ["\"us\\\r\\\ner\"@example.com", "ForbiddenCharacter", 4],
    ["us\u007fer@example.com", "ForbiddenCharacter", 2],
    ["us\u0085er@example.com", "ForbiddenCharacter", 2],
    ["us\u2028er@example.com", "ForbiddenCharacter", 2],
    ["us\ud800er@example.com", "ForbiddenCharacter", 2],
    ["us\udc00er@example.com", "ForbiddenCharacter", 2],
    ["user@b\ud800cher.example", "ForbiddenCharacter", 6]
  ]
  for (const [text, kind, offset] of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const error = failure(Address.parse(text))
      assert.deepStrictEqual([error._tag, error.kind], ["AddressError", kind])
      if (offset !== undefined) assert.strictEqual(error.offset, offset)
    })
  }

  it("says what to write instead", () => {
    assert.include(failure(Address.parse("user@192.0.2.1")).problem, "[192.0.2.1]")
    assert.include(failure(Address.parse("user@[2001:db8::1]")).problem, "[IPv6:2001:db8::1]")
    assert.include(failure(Address.parse("user@a_b.example")).problem, "underscore")
    assert.include(failure(Address.parse("a b@example.com")).problem, "quoted")
    assert.include(failure(Address.parse("user@example.com.")).problem, "leave it out")
  })

  it("shows a bounded, harmless piece of what it refused", () => {
    assert.strictEqual(failure(Address.parse("a\r\n\u202eb")).input, "a\\u{d}\\u{a}\\u{202e}b")
    const long = failure(Address.parse("x".repeat(1_000_000)))
    assert.deepStrictEqual([long.kind, long.input], ["TooLong", `${"x".repeat(80)}…`])
    assert.deepStrictEqual(
      Object.keys(failure(Address.parse("user"))),
      ["_tag", "input", "kind", "problem", "offset"]
    )
  })

  it("gives mailboxes that are equal by value", () => {
    assert.isTrue(Equal.equals(get(Address.parse("\"a\"@Example.com")), get(Address.parse("a@example.com"))))
    assert.isFalse(Equal.equals(get(Address.parse("A@example.com")), get(Address.parse("a@example.com"))))
    assert.deepStrictEqual(get(Address.parse("a@b")), get(Address.make("a", get(Address.parseDomain("b")))))
    assert.isTrue(get(Address.parse("a@b")) instanceof Address.Mailbox)
    // @ts-expect-error a Mailbox comes from parse or make only
    const forged: Address.Mailbox = { localPart: "a\r\n", domain: get(Address.parseDomain("b")) }
    assert.isNotTrue(forged instanceof Address.Mailbox)
  })

  it("counts 64 octets of local part on the wire, quotes and backslashes included", () => {
    const x = (length: number) => "x".repeat(length)
    parts(`${x(64)}@b`)
    parts(`"${x(64)}"@b`) // needs no quotes, so gets none
    parts(`"${x(61)} "@b`)
    parts(`"${x(60)}\\\\"@b`)
    parts(`${"ö".repeat(32)}@b`)
    parts(`${"例".repeat(21)}x@b`)
    parts(`${"😀".repeat(16)}@b`)
    for (
      const text of [
        `${x(65)}@b`,
        `"${x(62)} "@b`,
        `"${x(61)}\\\\"@b`,
        `${"ö".repeat(32)}x@b`,
        `${"例".repeat(21)}xx@b`,
        `${"😀".repeat(16)}x@b`
      ]
    ) assert.strictEqual(failure(Address.parse(text)).kind, "TooLong", text)
  })

  it("counts 254 octets of mailbox, which are 256 of path", () => {
    const longest = get(Address.parse(`${"x".repeat(64)}@${longDomain(189)}`))
    assert.strictEqual(Address.formatForwardPath(longest).length, 256)
    assert.strictEqual(failure(Address.parse(`${"x".repeat(64)}@${longDomain(190)}`)).kind, "TooLong")
    parts(`x@${longDomain(252)}`)
    assert.strictEqual(failure(Address.parse(`x@${longDomain(253)}`)).kind, "TooLong")
  })

  it("looks at 1,000 characters at most", () => {
    const spelled = (length: number) => `"${"\\x".repeat(Math.floor((length - 4) / 2))}"@b`
    assert.strictEqual(spelled(1000).length, 1000)
    assert.include(failure(Address.parse(spelled(1000))).problem, "498 octets")
    assert.include(failure(Address.parse(spelled(1002))).problem, "1000")
  })
})

describe("Address.make", () => {
  const domain = get(Address.parseDomain("example.com"))

  it("takes the local part plain and quotes it for the wire", () => {
    const wire = (localPart: string) => Address.format(get(Address.make(localPart, domain)))
    assert.strictEqual(wire("a"), "a@example.com")
    assert.strictEqual(wire("a b"), "\"a b\"@example.com")
    assert.strictEqual(wire("\"a\""), "\"\\\"a\\\"\"@example.com")
    assert.strictEqual(wire("a\\b"), "\"a\\\\b\"@example.com")
    assert.strictEqual(wire("a."), "\"a.\"@example.com")
    assert.strictEqual(wire(""), "\"\"@example.com")
  })

  it("refuses what no quotes can hold", () => {
    for (const localPart of ["a\r\nb", "\0", "\t", "\u0080", "\ud83d"]) {
      assert.strictEqual(failure(Address.make(localPart, domain)).kind, "ForbiddenCharacter")
    }
    assert.strictEqual(failure(Address.make("x".repeat(65), domain)).kind, "TooLong")
    assert.strictEqual(failure(Address.make("x".repeat(1e6), domain)).kind, "TooLong")
  })

  it("needs SMTPUTF8 for the local part, never for the domain", () => {
    const needs = (text: string) => Address.needsSmtpUtf8(get(Address.parse(text)))
    assert.isTrue(needs("bücher@example.com"))
    assert.isTrue(needs("\"bücher \"@example.com"))
    assert.isFalse(needs("user@bücher.example"))
    assert.isFalse(needs("\"a b~\"@example.com"))
  })
})

describe("Address.parseDomain", () => {
  const good: ReadonlyArray<readonly [string, string]> = [
    ["example.com", "example.com"],
    ["EXAMPLE.com", "example.com"],
    ["localhost", "localhost"],
    ["123", "123"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["BÜCHER.example", "xn--bcher-kva.example"],
    ["bu\u0308cher.example", "xn--bcher-kva.example"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["XN--BCHER-KVA.example", "xn--bcher-kva.example"],
    ["faß.de", "xn--fa-hia.de"],
    ["bücher。example", "xn--bcher-kva.example"],
    ["ｅｘａｍｐｌｅ.com", "example.com"],
    ["\u017ftar.example", "star.example"], // a long s and a Kelvin sign: case folding would pass them as ASCII
    ["\u212aelvin.example", "kelvin.example"],
    ["إختبار.مثال", "xn--kgbechtv.xn--mgbh0fb"],
    ["💩.la", "xn--ls8h.la"],
    ["[0.0.0.0]", "[0.0.0.0]"],
    ["[255.255.255.255]", "[255.255.255.255]"],
    ["[IPv6:::]", "[IPv6:::]"],
    ["[IPv6:::1]", "[IPv6:::1]"],
    ["[ipv6:1::]", "[IPv6:1::]"],
    ["[IPv6:1:2:3:4:5:6:7:8]", "[IPv6:1:2:3:4:5:6:7:8]"],
    ["[IPv6:1:2:3::4:5:6]", "[IPv6:1:2:3::4:5:6]"],
    ["[IPv6:1:2:3:4:5:6::]", "[IPv6:1:2:3:4:5:6::]"],
    ["[IPv6:::192.0.2.1]", "[IPv6:::192.0.2.1]"],
    ["[IPv6:::FFFF:192.0.2.1]", "[IPv6:::ffff:192.0.2.1]"],
    ["[IPv6:1:2::3:4:192.0.2.1]", "[IPv6:1:2::3:4:192.0.2.1]"],
    ["[IPv6:1:2:3:4:5:6:192.0.2.1]", "[IPv6:1:2:3:4:5:6:192.0.2.1]"],
    ["[X-25:any!thing@all]", "[X-25:any!thing@all]"]
  ]
  it.each(good)("takes %s", (text, domain) => assert.strictEqual(get(Address.parseDomain(text)), domain))

  const bad: ReadonlyArray<readonly [string, Address.AddressErrorKind]> = [
    ["", "Empty"],
    [".", "Domain"],
    ["example.com.", "Domain"],
    ["a..b", "Domain"],
    ["-a.example", "Domain"],
    ["a-.example", "Domain"],
    ["-ü.example", "Domain"],
    ["ü-.example", "Domain"],
    ["ab--ü.example", "Domain"],
    ["ü_.example", "Domain"],
    ["ü..example", "Domain"],
    ["ü.example.", "Domain"],
    ["\u00ad.example", "Domain"],
    ["xn--.example", "Domain"],
    ["xn--a.example", "Domain"],
    ["xn--example.com", "Domain"],
    ["xn--fa-ß.de", "Domain"],
    ["\u0301a.example", "Domain"],
    ["a\u200cb.example", "Domain"],
    ["1.إختبار", "Domain"],
    ["192.0.2.1", "Domain"],
    ["１９２.0.2.1", "Domain"],
    ["ｅx＠mple.com", "Domain"],
    ["a℀b.example", "Domain"],
    ["[192.0.2]", "AddressLiteral"],
    ["[192.0.2.1.5]", "AddressLiteral"],
    ["[192.0.2.256]", "AddressLiteral"],
    ["[192.0.2.01]", "AddressLiteral"],
    ["[192.0.2.1 ]", "AddressLiteral"],
    ["[192.0.2.٣]", "AddressLiteral"],
    ["[\u017f:x]", "AddressLiteral"],
    ["[IPv6:\u017f::]", "AddressLiteral"],
    ["[example.com]", "AddressLiteral"],
    ["[2001:db8::1]", "AddressLiteral"],
    ["[::1]", "AddressLiteral"],
    ["[IPv6:]", "AddressLiteral"],
    ["[IPv6:1]", "AddressLiteral"],
    ["[IPv6:1:2:3:4:5:6:7]", "AddressLiteral"],
    ["[IPv6:1:2:3:4:5:6:7:8:9]", "AddressLiteral"],
    ["[IPv6:1:2:3:4:5:6:7::]", "AddressLiteral"], // :: stands for two groups or more
    ["[IPv6:1::2::3]", "AddressLiteral"],
    ["[IPv6::::]", "AddressLiteral"],
    ["[IPv6:1:::2]", "AddressLiteral"],
    ["[IPv6::1:2:3:4:5:6:7]", "AddressLiteral"],
    ["[IPv6:12345::]", "AddressLiteral"],
    ["[IPv6:g::]", "AddressLiteral"],
    ["[IPv6:fe80::1%eth0]", "AddressLiteral"],
    ["[IPv6:1:2:3::4:5:192.0.2.1]", "AddressLiteral"],
    ["[IPv6:192.0.2.1::]", "AddressLiteral"],
    ["[IPv6:::192.0.2.300]", "AddressLiteral"],
    ["[IPv6:192.0.2.1]", "AddressLiteral"],
    ["[:x]", "AddressLiteral"],
    ["[tag:]", "AddressLiteral"],
    ["[tag-:x]", "AddressLiteral"],
    ["[tag:a b]", "AddressLiteral"],
    ["[tag:a\\b]", "AddressLiteral"],
    ["[tag:a[b]", "AddressLiteral"],
    ["[tag:ü]", "AddressLiteral"],
    ["[", "AddressLiteral"],
    ["[]]", "AddressLiteral"]
  ]
  it.each(bad)("refuses %s", (text, kind) => assert.strictEqual(failure(Address.parseDomain(text)).kind, kind))

  it("allows 63 octets a label and 255 in all, counted in A-labels", () => {
    get(Address.parseDomain(`${"a".repeat(63)}.example`))
    assert.include(failure(Address.parseDomain(`${"a".repeat(64)}.example`)).problem, "64 octets")
    assert.strictEqual(get(Address.parseDomain(longDomain(255))).length, 255)
    assert.include(failure(Address.parseDomain(longDomain(256))).problem, "256 octets")
    const label = "ü".repeat(57) // as an A-label the longest there is
    assert.strictEqual(get(Address.parseDomain(label)).length, 63)
    assert.include(failure(Address.parseDomain(`${label}ü`)).problem, "64 octets")
    assert.include(failure(Address.parseDomain("ü".repeat(990))).problem, "longer than 63 octets")
    assert.strictEqual(failure(Address.parseDomain(`[tag:${"x".repeat(250)}]`)).kind, "TooLong")
  })

  it("names the label that is wrong, and bidirectional trouble between labels", () => {
    assert.include(failure(Address.parseDomain("good.xn--a.ü")).problem, "xn--a ")
    assert.include(failure(Address.parseDomain("1.إختبار")).problem, "RFC 5893")
  })

  it("shows domains in Unicode", () => {
    const shown = (text: string) => Address.domainToUnicode(get(Address.parseDomain(text)))
    assert.strictEqual(shown("xn--bcher-kva.example"), "bücher.example")
    assert.strictEqual(shown("xn--fa-hia.de"), "faß.de")
    assert.strictEqual(shown("example.com"), "example.com")
    assert.strictEqual(shown("[tag:a.xn--bcher-kva.b]"), "[tag:a.xn--bcher-kva.b]")
  })

  it("tells literals from names", () => {
    assert.isTrue(Address.isLiteral(get(Address.parseDomain("[192.0.2.1]"))))
    assert.isFalse(Address.isLiteral(get(Address.parseDomain("example.com"))))
  })
})

describe("paths", () => {
  const mailbox = get(Address.parse("\"a>b\"@example.com"))

  it("are written in angle brackets", () => {
    assert.strictEqual(Address.formatReversePath(null), "<>")
    assert.strictEqual(Address.formatReversePath(mailbox), "<\"a>b\"@example.com>")
    assert.strictEqual(Address.formatForwardPath("postmaster"), "<Postmaster>")
    assert.strictEqual(Address.formatForwardPath(mailbox), "<\"a>b\"@example.com>")
  })

  it("are read back", () => {
    assert.strictEqual(get(Address.parseReversePath("<>")), null)
    assert.deepStrictEqual(get(Address.parseReversePath("<\"a>b\"@example.com>")), mailbox)
    assert.deepStrictEqual(get(Address.parseForwardPath("<\"a>b\"@example.com>")), mailbox)
    for (const text of ["<Postmaster>", "<postmaster>", "<POSTMASTER>"]) {
      assert.strictEqual(get(Address.parseForwardPath(text)), "postmaster")
      assert.strictEqual(failure(Address.parseReversePath(text)).kind, "NoAtSign")
    }
    assert.isTrue(get(Address.parseForwardPath("<postmaster@example.com>")) instanceof Address.Mailbox)
  })

  it("lose their source route", () => {
    // the first is from RFC 5321 §4.1.1.3
    for (const route of ["@hosta.int,@jkl.org:", "@a:", "@bücher.example:"]) {
      assert.strictEqual(
        Address.formatForwardPath(get(Address.parseForwardPath(`<${route}userc@d.bar.org>`))),
        "<userc@d.bar.org>"
      )
      assert.isTrue(get(Address.parseReversePath(`<${route}userc@d.bar.org>`)) instanceof Address.Mailbox)
    }
    assert.strictEqual(get(Address.parseForwardPath("<@a:user@[IPv6:::1]>"))?.toString(), "user@[IPv6:::1]")
  })

  it.each(
    [
      ["", "Path"],
      ["<", "Path"],
      [">", "Path"],
      ["user@example.com", "Path"],
      ["<user@example.com", "Path"],
      ["user@example.com>", "Path"],
      ["<user@example.com> ", "Path"],
      [" <user@example.com>", "Path"],
      ["< user@example.com>", "LocalPart"],
      ["<user@example.com >", "Domain"],
      ["<<user@example.com>>", "Path"],
      ["< >", "NoAtSign"],
      ["<user>", "NoAtSign"],
      ["<@a>", "Path"],
      ["<@a:>", "Empty"],
      ["<@:user@example.com>", "Path"],
      ["<@a,:user@example.com>", "Path"],
      ["<@a,b:user@example.com>", "Path"],
      ["<@a, @b:user@example.com>", "Path"],
      ["<@[192.0.2.1]:user@example.com>", "Path"],
      ["<a:user@example.com>", "LocalPart"],
      ["<po\u017ftmaster>", "NoAtSign"],
      ["<user@example.com>\r\nRCPT TO:<other@example.com>", "ForbiddenCharacter"],
      ["<user@example.com> SIZE=10>", "Domain"]
    ] as const
  )("refuse %j", (text, kind) => {
    assert.strictEqual(failure(Address.parseForwardPath(text)).kind, kind)
    assert.strictEqual(failure(Address.parseReversePath(text)).kind, kind)
  })

  it("refuse the null path for a recipient", () => {
    assert.strictEqual(failure(Address.parseForwardPath("<>")).kind, "Path")
  })

  it("have a bounded source route", () => {
    const path = `<${"@a,".repeat(400)}@a:user@example.com>`
    assert.strictEqual(failure(Address.parseForwardPath(path)).kind, "TooLong")
  })

  it("point into the whole path", () => {
    assert.strictEqual(failure(Address.parseForwardPath("<@a:us er@example.com>")).offset, 6)
  })
})
