import { replayed } from "./exchange.ts"
import { nodemailer } from "./nodemailer.ts"

replayed(nodemailer)
