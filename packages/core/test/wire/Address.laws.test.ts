import { assert, describe, it } from "@effect/vitest"
import { Address } from "@postern/core"
import { Equal, Result } from "effect"
import * as fc from "fast-check"
import * as Arbitraries from "@postern/testing/Arbitraries"

const parsers: ReadonlyArray<(text: string) => Result.Result<unknown, Address.AddressError>> = [
  Address.parse,
  Address.parseDomain,
  Address.parseForwardPath,
  Address.parseReversePath,
  Address.parseUser,
  Address.parseUserList
]

const clean = (text: string): boolean =>
  text.isWellFormed() && ![...text].some((c) => c <= "\u001f" || (c >= "\u007f" && c <= "\u009f"))

/** Every string in a value. */
const strings = (value: unknown): ReadonlyArray<string> =>
  typeof value === "string"
    ? [value]
    : typeof value === "object" && value !== null
    ? Object.values(value).flatMap(strings)
    : []

/** A text as it is, and dressed up as each parser expects it. */
const dressed = (
  text: string
) => [text, `<${text}>`, `<@a:${text}>`, `Ann <${text}>`, `"${text}" <a@b>`, `(${text}) a@b`, `a@${text}`]

const any = fc.oneof(Arbitraries.hostileAddress, fc.string({ unit: "binary" }), Arbitraries.mailbox.map(Address.format))

describe("Address laws", () => {
  it("parse(format(mailbox)) is the mailbox", () => {
    fc.assert(fc.property(Arbitraries.mailbox, (mailbox) => {
      const again = Result.getOrThrow(Address.parse(Address.format(mailbox)))
      assert.deepStrictEqual(again, mailbox)
      assert.isTrue(Equal.equals(again, mailbox))
    }))
  })

  it("every way to spell a local part means the same", () => {
    fc.assert(fc.property(Arbitraries.mailbox, (mailbox) => {
      const escaped = [...mailbox.localPart].map((c) => c <= "~" ? `\\${c}` : c).join("")
      assert.deepStrictEqual(
        Result.getOrThrow(Address.parse(`"${escaped}"@${mailbox.domain.toUpperCase().replace("IPV6", "IPv6")}`))
          .localPart,
        mailbox.localPart
      )
    }))
  })

  it("paths are read back", () => {
    fc.assert(fc.property(Arbitraries.mailbox, (mailbox) => {
      assert.deepStrictEqual(Result.getOrThrow(Address.parseForwardPath(Address.formatForwardPath(mailbox))), mailbox)
      assert.deepStrictEqual(Result.getOrThrow(Address.parseReversePath(Address.formatReversePath(mailbox))), mailbox)
      assert.deepStrictEqual(Result.getOrThrow(Address.parseForwardPath(`<@a,@b.c:${mailbox}>`)), mailbox)
    }))
  })

  it("domains are fixed points, also by way of Unicode", () => {
    fc.assert(fc.property(Arbitraries.domain, (domain) => {
      assert.strictEqual(Result.getOrThrow(Address.parseDomain(domain)), domain)
      assert.strictEqual(Result.getOrThrow(Address.parseDomain(Address.domainToUnicode(domain))), domain)
      assert.match(domain, /^[!-~]{1,255}$/)
    }))
  })

  it("what parses has a canonical form that is a fixed point", () => {
    fc.assert(
      fc.property(any, (text) => {
        const first = Address.parse(text)
        if (Result.isFailure(first)) return
        const canonical = Address.format(first.success)
        assert.strictEqual(Address.format(Result.getOrThrow(Address.parse(canonical))), canonical)
      }),
      { numRuns: 1000 }
    )
  })

  it("no parser throws, lets a control character through, or shows one in its error", () => {
    fc.assert(
      fc.property(any, (text) => {
        for (const parse of parsers) {
          for (const variant of dressed(text)) {
            const result = parse(variant)
            const out = Result.isSuccess(result) ? result.success : result.failure
            assert.isTrue(strings(out).every(clean), JSON.stringify([variant, out]))
            if (Result.isFailure(result)) {
              const { input, offset, problem } = result.failure
              assert.isAtMost(input.length, 80 * 10)
              assert.isAtMost(problem.length, 500)
              assert.isTrue(offset === undefined || (offset >= 0 && offset <= variant.length))
            }
          }
        }
      }),
      { numRuns: 300 }
    )
  })

  it("an injected address is refused by every parser, in every dress", () => {
    fc.assert(fc.property(Arbitraries.injectedAddress.filter((text) => !text.includes("\t")), (text) => {
      for (const parse of parsers) {
        for (const variant of dressed(text)) assert.isTrue(Result.isFailure(parse(variant)), JSON.stringify(variant))
      }
    }))
  })

  it("parseUser finds the mailbox beside any name", () => {
    const word = fc.string({ unit: fc.constantFrom(..."abcXYZäö例.'-_!?0123456789"), minLength: 1, maxLength: 10 })
    const names = fc.array(word, { maxLength: 4 }).map((words) => words.join(" "))
    fc.assert(fc.property(Arbitraries.mailbox, names, (mailbox, name) => {
      assert.deepStrictEqual(Result.getOrThrow(Address.parseUser(`${name} <${mailbox}>`)), {
        displayName: name || undefined,
        mailbox
      })
      assert.deepStrictEqual(Result.getOrThrow(Address.parseUser(` ${mailbox} (${name})`)).mailbox, mailbox)
    }))
  })

  it("a list is its items, whatever their names hold", () => {
    const quoted = fc.string({ maxLength: 12 }).filter(clean).map((name) =>
      [name, `"${name.replace(/["\\]/g, "\\$&")}"`] as const
    )
    const item = fc.tuple(Arbitraries.mailbox, quoted)
    fc.assert(fc.property(fc.array(item, { maxLength: 6 }), fc.constantFrom(",", "; ", " ,\t;"), (items, separator) => {
      const text = items.map(([mailbox, [, name]]) => `${name} <${mailbox}>`).join(separator)
      assert.deepStrictEqual(
        Result.getOrThrow(Address.parseUserList(text)),
        items.map(([mailbox, [name]]) => ({ displayName: name.trim() || undefined, mailbox }))
      )
    }))
  })
})
