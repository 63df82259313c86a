import { assert } from "@effect/vitest"
import { Import } from "@postern/testing"
import { Result } from "effect"
import { readdirSync, readFileSync } from "node:fs"

const folder = new URL("./fixtures/", import.meta.url)

/** The logs in `fixtures`. */
export const names = readdirSync(folder).filter((name) => name.endsWith(".txt")).map((name) => name.slice(0, -4))

export const log = (name: string) => readFileSync(new URL(`${name}.txt`, folder), "utf8")

export const imported = (text: string, options?: Import.Options) => Result.getOrThrow(Import.fromText(text, options))

export const these = <A>(...items: ReadonlyArray<A>) => items

/** Neither passwords, nor what stands for them on the wire. */
export const assertHidden = (text: string) => {
  for (const secret of ["correct horse 7", "wrong pony 8"]) {
    assert.notInclude(text, secret)
    assert.notInclude(text, btoa(secret))
    assert.notInclude(text, btoa(`\0ann@example.org\0${secret}`))
    assert.notInclude(text, btoa("ann@example.org"))
  }
}
