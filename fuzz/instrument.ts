/**
 * Bundles a target with counters in the project's own sources: one for each place to which
 * control can branch. A run that counts where none did before has seen something new.
 */
import { MagicString } from "magic-string"
import * as Path from "node:path"
import { rolldown } from "rolldown"
import { parseAst } from "rolldown/parseAst"

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && "start" in value

const children = (node: Node): ReadonlyArray<Node> =>
  Object.values(node).flatMap((value) => (Array.isArray(value) ? value : [value]).filter(isNode))

/** The source with counters; `number` gives each its place. */
export const instrument = (source: string, number: () => number): MagicString => {
  const out = new MagicString(source)
  const counter = () => `__edges[${number()}]++`
  const statement = (node: unknown): void => {
    if (!isNode(node)) return
    if (node.type === "BlockStatement") {
      out.appendRight(node.start + 1, `${counter()};`)
    } else if (node.type !== "EmptyStatement") {
      out.appendRight(node.start, `{${counter()};`)
      out.prependLeft(node.end, "}")
    }
  }
  const expression = (node: unknown): void => {
    if (!isNode(node)) return
    out.appendRight(node.start, `(${counter()},`)
    out.prependLeft(node.end, ")")
  }
  const visit = (node: Node): void => {
    // Types have no control flow, and look like expressions.
    if (node.type.startsWith("TS") && node.type !== "TSAsExpression" && node.type !== "TSNonNullExpression") return
    switch (node.type) {
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        if (isNode(node["body"])) (node["body"].type === "BlockStatement" ? statement : expression)(node["body"])
        break
      case "IfStatement":
        statement(node["consequent"])
        statement(node["alternate"])
        break
      case "ForStatement":
      case "ForOfStatement":
      case "ForInStatement":
      case "WhileStatement":
      case "DoWhileStatement":
      case "CatchClause":
        statement(node["body"])
        break
      case "SwitchCase": {
        const [first] = node["consequent"] as ReadonlyArray<Node>
        if (first !== undefined) out.appendRight(first.start, `${counter()};`)
        break
      }
      case "ConditionalExpression":
        expression(node["consequent"])
        expression(node["alternate"])
        break
      case "LogicalExpression":
        expression(node["right"])
    }
    for (const child of children(node)) visit(child)
  }
  visit(parseAst(source, { lang: "ts" }) as unknown as Node)
  return out
}

const root = Path.resolve(import.meta.dirname, "..")

/** Bundles a target into a module; gives how many counters it has. */
export const bundle = async (target: string, file: string): Promise<number> => {
  let edges = 0
  const build = await rolldown({
    input: target,
    platform: "node",
    resolve: { conditionNames: ["@postern/source", "node", "import"] },
    external: (id) =>
      id.startsWith("node:") || /^(?:effect|fast-check|postal-mime|@noble|@peculiar|tr46|reflect-metadata)\b/.test(id),
    plugins: [{
      name: "counters",
      transform: (source, id) => {
        if (!id.startsWith(Path.join(root, "packages")) || !id.endsWith(".ts")) return null
        const out = instrument(source, () => edges++)
        return { code: out.toString(), map: null }
      }
    }],
    logLevel: "silent"
  })
  await build.write({ file, format: "esm", banner: "const __edges = globalThis.__edges;", codeSplitting: false })
  await build.close()
  return edges
}
