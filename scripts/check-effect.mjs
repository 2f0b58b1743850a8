// Type-checks with a compiler that has the Effect diagnostics built in, on the platforms that have one.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const tsc = fileURLToPath(
  new URL(`../node_modules/@effect/tsgo-${process.platform}-${process.arch}/lib/tsc`, import.meta.url)
)
if (!existsSync(tsc)) {
  console.log("no Effect diagnostics for this platform: skipped")
  process.exit(0)
}
const { status } = spawnSync(tsc, ["--noEmit", "--incremental", "false"], { stdio: "inherit" })
process.exit(status ?? 1)
