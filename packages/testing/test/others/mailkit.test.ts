import { replayed } from "./exchange.ts"
import { mailkit } from "./mailkit.ts"

replayed(mailkit)
