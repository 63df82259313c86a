import { replayed } from "./exchange.ts"
import { smtplib } from "./smtplib.ts"

replayed(smtplib)
