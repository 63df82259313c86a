/**
 * Installs what the tests' own npm packages are built with, before they are installed.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import * as Debian from "./machine/Debian.ts"

// `kerberos` has no binary of its own where its releases cannot be reached.
NodeRuntime.runMain(Effect.provide(Debian.installed(["libkrb5-dev", "g++", "make"]), NodeServices.layer))
