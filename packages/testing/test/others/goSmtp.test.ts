import { replayed } from "./exchange.ts"
import { goSmtp } from "./goSmtp.ts"

replayed(goSmtp)
