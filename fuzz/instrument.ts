/**
 * Bundles a target and puts a counter wherever control can branch in it. A run that counts
 * where none did before has seen something new. The words that the sources compare with are
 * gathered on the way: they are the dictionary of what the target reads.
 */
import { MagicString } from "magic-string"
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

/** What became of a program: it counts in `globalThis.__edges`. */
export interface Instrumented {
  readonly out: MagicString
  readonly edges: number
  readonly words: ReadonlyArray<string>
}

/** Longer ones are sentences for people. */
const longestWord = 24

/** JavaScript with counters. */
export const instrument = (source: string): Instrumented => {
  const out = new MagicString(source)
  const words = new Set<string>()
  let edges = 0
  const counter = () => `__edges[${edges++}]++`
  // An outer node comes first, so that what is put at a common end goes before what is there.
  const statement = (node: unknown): void => {
    if (!isNode(node) || node.type === "EmptyStatement") return
    if (node.type === "BlockStatement") {
      out.appendRight(node.start + 1, `${counter()};`)
    } else {
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
    switch (node.type) {
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        if (isNode(node["body"])) (node["body"].type === "BlockStatement" ? statement : expression)(node["body"])
        break
      case "IfStatement":
        if (isNode(node["alternate"])) statement(node["alternate"])
        else out.prependLeft(node.end, `else{${counter()}}`)
        statement(node["consequent"])
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
      case "AssignmentPattern":
        expression(node["right"])
        break
      case "AssignmentExpression":
        if (/^(?:\|\||&&|\?\?)=$/.test(String(node["operator"]))) expression(node["right"])
        break
      case "Literal":
        if (typeof node["value"] === "string") words.add(node["value"])
        break
      case "TemplateElement":
        words.add(String((node["value"] as { readonly cooked?: unknown }).cooked ?? ""))
    }
    for (const child of children(node)) visit(child)
  }
  visit(parseAst(source) as unknown as Node)
  return { out, edges, words: [...words].filter(({ length }) => length > 0 && length <= longestWord) }
}

/** Bundles a target into a module with counters; unused code is gone before they are put in. */
export const bundle = async (target: string, file: string): Promise<Omit<Instrumented, "out">> => {
  let result: Instrumented | undefined
  const build = await rolldown({
    input: target,
    platform: "node",
    resolve: { conditionNames: ["@postern/source", "node", "import"] },
    // What is not ours stands in node_modules, and is taken from there.
    external: (id) => !/^(?:[./]|@postern\/)/.test(id),
    plugins: [{
      name: "counters",
      renderChunk: (code) => {
        result = instrument(code)
        return { code: result.out.toString(), map: result.out.generateMap({ hires: "boundary" }) }
      }
    }],
    logLevel: "silent"
  })
  await build.write({
    file,
    format: "esm",
    sourcemap: true,
    codeSplitting: false,
    postBanner: "const __edges = globalThis.__edges;"
  })
  await build.close()
  return { edges: result?.edges ?? 0, words: result?.words ?? [] }
}
