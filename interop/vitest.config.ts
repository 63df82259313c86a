import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const source = ["@postern/source", "node", "import", "default"]

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  // The optional library of NodeGss is installed for these tests alone.
  resolve: {
    conditions: source,
    alias: { kerberos: fileURLToPath(new URL("node_modules/kerberos", import.meta.url)) }
  },
  ssr: { resolve: { conditions: source, externalConditions: source } },
  test: {
    include: ["interop/test/**/*.test.ts"],
    // Servers are real, and so is the time they take; a test that takes longer than this hangs.
    testTimeout: 120_000,
    hookTimeout: 600_000,
    // A failure of one is not the failure of all because two of them wanted the processors at once.
    fileParallelism: false,
    reporters: ["default", ["json", { outputFile: ".tmp/interop.json" }], "./interop/matrix/Reporter.ts"]
  }
})
