import { defineConfig } from "vitest/config"

const source = ["@postern/source", "node", "import", "default"]

export default defineConfig({
  resolve: { conditions: source },
  ssr: { resolve: { conditions: source, externalConditions: source } },
  test: {
    include: ["packages/*/test/**/*.test.ts", "examples/test/**/*.test.ts", "fuzz/*.test.ts"],
    // Types are checked by `tsc -p tsconfig.test.json`, where an unused `@ts-expect-error` is an error.
    typecheck: { enabled: false },
    // No test is about time; on a busy machine some take longer than five seconds.
    testTimeout: 60_000,
    reporters: ["default", ["json", { outputFile: ".tmp/vitest.json" }]]
  }
})
