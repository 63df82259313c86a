import { assert, describe, it } from "@effect/vitest"
import type { Target } from "./Search.ts"
import * as Store from "./store.ts"
import { mostKept } from "./task.ts"

// What fuzzing found, harmful or only new, stays harmless.
describe("fuzz", () => {
  for (const target of Store.targets) {
    const corpus = Store.read("corpus", target)

    it(`${target}: corpus and former crashes`, async () => {
      const { fuzz } = await import(`./targets/${target}.ts`) as { readonly fuzz: Target }
      assert.isNotEmpty(corpus)
      for (const [name, input] of [...corpus, ...Store.read("crashes", target)]) {
        try {
          await fuzz(input)
        } catch (cause) {
          throw new Error(`npm run fuzz ${target} does harm with ${name}`, { cause })
        }
      }
    })

    it(`${target}: a corpus of few`, () => assert.isAtMost(corpus.size, mostKept))
  }
})
