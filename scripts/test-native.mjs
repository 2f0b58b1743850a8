// Builds and runs the native tests: plain, under the address and undefined-behaviour sanitizers, and under the thread
// sanitizer. Parameters select variants; those after `--` go to the test program:
//
//   npm run test:native -- plain -- --seed 42 ghost
import { spawn, spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
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

const running = new Set()

// What fails ends what runs beside it, so that no build goes on behind this script.
const fail = (status) => {
  for (const child of running) child.kill()
  process.exit(status)
}

const run = (command, parameters) =>
  new Promise((resolve) => {
    const child = spawn(command, parameters, { cwd: root, stdio: "inherit" })
    running.add(child)
    child.once("error", ({ message }) => {
      console.error(`${command}: ${message}`)
      fail(1)
    })
    child.once("exit", (status) => {
      running.delete(child)
      if (status === 0) resolve()
      else fail(status ?? 1)
    })
  })

// Disable address randomization, with which the thread sanitizer's shadow memory may collide.
const fixedAddresses = spawnSync("setarch", ["-R", "true"]).status === 0 ? ["setarch", "-R"] : []

if (process.platform !== "linux") {
  console.log("the native layers are not available on this platform: skipped")
  process.exit(0)
}

// At low priority: a build runs beside the tests of the variant before, most of which leave a core free.
const build = (variant) => {
  const target = variant === "plain" ? "native-test" : `native-test-${variant}`
  return run("nice", ["make", "-s", "-C", "src/native", "-j2", "WARNINGS=-Werror", target])
}

const test = (variant) => {
  const program = `build/${variant}/native-test`
  if (!existsSync(`${root}/${program}`)) return
  console.log(`native tests, ${variant}`)
  const [command, ...parameters] = [...(variant === "tsan" ? fixedAddresses : []), program, ...forTests]
  return run(command, parameters)
}

const variants = named.length > 0 ? named : all
await build(variants[0])
for (const [at, variant] of variants.entries()) {
  const next = variants[at + 1]
  await Promise.all([test(variant), next === undefined ? undefined : build(next)])
}
