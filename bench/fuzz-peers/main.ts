/**
 * Other clients' reply parsers, fuzzed with our arbitraries: their MAIL is answered with replies
 * that are valid, in any chunks, and with such as are nearly valid, and what they do then is held
 * against what our decoder reads. What differs is shrunk to the smallest case.
 *
 *     npm --prefix bench ci
 *     node --conditions=@postern/source bench/fuzz-peers/main.ts [runs] [seed]
 */
import { Reply } from "@postern/core"
import * as Arbitraries from "@postern/testing/Arbitraries"
import * as Bytes from "effect/Bytes"
import * as fc from "fast-check"
import * as Fs from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { Peer } from "./peer.ts"
import { type Deed, serve, type Server } from "./server.ts"

const numRuns = Number(process.argv[2] ?? 30)
const seed = Number(process.argv[3] ?? 1)

/** What a client does whose parser is our decoder. */
const expected = (bytes: Uint8Array): Deed => {
  const decoder = Reply.decoder()
  decoder.push(bytes)
  const next = decoder.next()
  if (next === undefined) return "waits"
  return next._tag === "Success" && Reply.isPositive(next.success) ? "goes on" : "stops"
}

const run = async (peer: Peer, server: Server, chunks: ReadonlyArray<Uint8Array>): Promise<Deed> => {
  const deed = server.answer(chunks)
  const said = await peer.send(server.port)
  return Promise.race([
    deed,
    sleep(1000, undefined, { ref: false }).then(() => {
      throw new Error(`${peer.name} ended before its MAIL was answered: ${JSON.stringify(said)}`)
    })
  ])
}

/** Replies by what is wrong with them, each once as a yes and once as a no. */
const cases: ReadonlyArray<readonly [what: string, bytes: fc.Arbitrary<Uint8Array>]> = [250, 550].flatMap((code) => [
  [`${code}, valid`, Arbitraries.strictReply.map((reply) => Reply.encode({ ...reply, code }))] as const,
  ...Object.entries(Arbitraries.replyFaultsOf(fc.constant(code))).map(([fault, bytes]) =>
    [`${code}, ${fault}`, bytes] as const
  )
])

/** The smallest replies by case on which a peer and our decoder differ, in the chunks in which they do. */
const compare = async (peer: Peer, server: Server): Promise<ReadonlyMap<string, ReadonlyArray<Uint8Array>>> => {
  const found = new Map<string, ReadonlyArray<Uint8Array>>()
  for (const [what, bytes] of cases) {
    const cuts = what.endsWith("valid") ? Arbitraries.chunking : fc.constant<Arbitraries.Chunking>((bytes) => [bytes])
    const property = fc.asyncProperty(bytes, cuts, async (bytes, cut) => {
      const wanted = expected(bytes)
      // Silence may be slowness: what differs is looked at once more.
      return (await run(peer, server, cut(bytes))) === wanted || (await run(peer, server, cut(bytes))) === wanted
    })
    const { counterexample, numRuns: tried } = await fc.check(property, { numRuns, seed })
    process.stderr.write(`${peer.name}, ${what}: ${counterexample === null ? "the same" : "differs"} (${tried} runs)\n`)
    if (counterexample !== null) found.set(what, counterexample[1](counterexample[0]))
  }
  return found
}

const modules = Fs.globSync("peers/*.mjs", { cwd: import.meta.dirname }).toSorted()
const peers = await Promise.all(
  modules.map(async (module) => {
    const { peer } = await import(`./${module}`) as { readonly peer: Peer }
    return { peer, server: await serve() }
  })
)
console.log(
  `${numRuns} runs a case, seed ${seed}: ${peers.map(({ peer }) => `${peer.name} ${peer.version}`).join(", ")}\n`
)
const found = await Promise.all(peers.map(({ peer, server }) => compare(peer, server)))
console.log(`| reply to MAIL | smallest case | postern | ${peers.map(({ peer }) => peer.name).join(" | ")} |`)
console.log(`|${" --- |".repeat(3 + peers.length)}`)
for (const [what] of cases) {
  const chunks = found.map((differences) => differences.get(what)).find((chunks) => chunks !== undefined)
  if (chunks === undefined) continue
  const deeds = await Promise.all(peers.map(({ peer, server }) => run(peer, server, chunks)))
  const shown = chunks.map((chunk) => `\`${Reply.escape(chunk, 60)}\``).join(" ")
  console.log(`| ${[what, shown, expected(Bytes.concat(chunks)), ...deeds].join(" | ")} |`)
}
for (const { peer, server } of peers) {
  peer.close?.()
  server.close()
}
