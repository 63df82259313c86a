import { curl } from "./curl.ts"
import { replayed } from "./exchange.ts"

replayed(curl)
