/** Markdown tables. */

/** A row; `|` in its cells is escaped. */
export const row = (...cells: ReadonlyArray<string>): string =>
  `| ${cells.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`

/** A table with its head. */
export const table = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): ReadonlyArray<string> => [row(...head), row(...head.map(() => "---")), ...rows.map((cells) => row(...cells))]

/** Text that stands as it is, but for its code in backquotes. */
export const plain = (text: string): string =>
  text.split(/(`[^`]*`)/).map((part) =>
    part.startsWith("`") ? part : part.replaceAll(/[\\*<]|(?<!\w)_|_(?!\w)/g, "\\$&")
  ).join("")
