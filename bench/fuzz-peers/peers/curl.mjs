import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"

export const peer = {
  name: "curl",
  version: execFileSync("curl", ["--version"], { encoding: "utf8" }).split(" ")[1],
  send: async (port) => {
    const options = ["--silent", "--max-time", "2", "--mail-from", "a@b.example", "--mail-rcpt", "c@d.example", "-T", "-"]
    const child = spawn("curl", [`smtp://127.0.0.1:${port}`, ...options], { stdio: ["pipe", "ignore", "ignore"] })
    child.stdin.on("error", () => {}).end("x\r\n")
    return once(child, "close")
  }
}
