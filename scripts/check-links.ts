/** Checks that every relative link of the Markdown pages leads to a file, and to a heading where it names one. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

const pages = globSync("**/*.md", { exclude: (name) => ["node_modules", "dist", ".tmp", ".git"].includes(name) })

const prose = (page: string): string => readFileSync(page, "utf8").replaceAll(/^ *```[\s\S]*?^ *```$/gm, "")

/** The names a page's headings can be linked by, formed as GitHub forms them. */
const anchors = (page: string): ReadonlyArray<string> =>
  Array.from(
    prose(page).matchAll(/^#+ +(.+)$/gm),
    ([, heading]) => (heading ?? "").toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")
  )

const linksOf = (page: string): ReadonlyArray<string> =>
  Array.from(
    prose(page).replaceAll(/`[^`\n]*`/g, "").matchAll(/\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]: (\S+)/gm),
    ([, inline, reference]) => inline ?? reference ?? ""
  ).filter((link) => !/^[a-z][a-z+.-]*:/i.test(link))

const broken = pages.flatMap((page) =>
  linksOf(page).flatMap((link) => {
    const [path = "", anchor] = link.split("#")
    const file = path === "" ? page : join(dirname(page), path)
    if (!existsSync(file)) return [`${page}: ${link}: no such file`]
    if (anchor !== undefined && file.endsWith(".md") && !anchors(file).includes(anchor)) {
      return [`${page}: ${link}: no such heading`]
    }
    return []
  })
)

console.log(`links: ${pages.length} pages, ${broken.length} broken links`)
for (const message of broken) console.error(message)
if (broken.length > 0) process.exitCode = 1
