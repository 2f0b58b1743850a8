// Builds and runs the native tests: plain, under the address and undefined-behaviour sanitizers, and under the thread
// sanitizer. Parameters select variants; those after `--` go to the test program:
//
//   npm run test:native -- plain -- --seed 42 ghost
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const all = ["plain", "asan", "tsan"]

const given = process.argv.slice(2)
const end = given.includes("--") ? given.indexOf("--") : given.length
const named = given.slice(0, end)
const forTests = given.slice(end + 1)
const unknown = named.find((name) => !all.includes(name))
if (unknown !== undefined) {
  console.error(`there is no variant ${unknown}: ${all.join(", ")}`)
  process.exit(2)
}

const run = (command, parameters) => {
  const { error, status } = spawnSync(command, parameters, { cwd: root, stdio: "inherit" })
  if (error !== undefined) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

// Disable address randomization, with which the thread sanitizer's shadow memory may collide.
const fixedAddresses = spawnSync("setarch", ["-R", "true"]).status === 0 ? ["setarch", "-R"] : []

if (process.platform !== "linux") {
  console.log("the native layers are not available on this platform: skipped")
  process.exit(0)
}
const cores = Math.max(2, availableParallelism())
const variants = named.length > 0 ? named : all
// All variants at once, so that no core waits for another one's links.
const targets = variants.map((variant) => variant === "plain" ? "native-test" : `native-test-${variant}`)
const built = performance.now()
run("make", ["-s", "-C", "src/native", `-j${cores}`, "WARNINGS=-Werror", ...targets])
console.log(`built ${variants.join(", ")}, ${((performance.now() - built) / 1000).toFixed(1)} s`)

// Many tests wait, for a deadline or for a process that is stopped: two for each core keep all cores busy.
const beside = ["--beside", `${2 * cores}`]
for (const variant of variants) {
  const program = `build/${variant}/native-test`
  if (!existsSync(`${root}/${program}`)) continue
  console.log(`native tests, ${variant}`)
  const start = performance.now()
  const [command, ...parameters] = [...(variant === "tsan" ? fixedAddresses : []), program, ...beside, ...forTests]
  run(command, parameters)
  console.log(`  ${((performance.now() - start) / 1000).toFixed(1)} s`)
}
