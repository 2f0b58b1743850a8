// Builds and runs the native tests, plain and under the address and undefined-behaviour sanitizers;
// with --tsan under the thread sanitizer instead.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const variants = process.argv.includes("--tsan") ? ["tsan"] : ["plain", "asan"]

const run = (command, parameters) => {
  const { error, status } = spawnSync(command, parameters, { cwd: root, stdio: "inherit" })
  if (error !== undefined) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

if (process.platform !== "linux") {
  console.log("the native layers are not available on this platform: skipped")
  process.exit(0)
}
for (const variant of variants) {
  run("make", ["-s", "-C", "src/native", "-j2", variant === "plain" ? "native-test" : `native-test-${variant}`])
  const program = `build/${variant}/native-test`
  if (!existsSync(`${root}/${program}`)) continue
  console.log(`native tests, ${variant}`)
  // The thread sanitizer's shadow memory does not go with a highly randomized address space.
  if (variant === "tsan") run("setarch", ["-R", program])
  else run(program, [])
}
