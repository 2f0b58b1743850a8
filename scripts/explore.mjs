// Builds and runs the explorer: the native protocols under schedules that it chooses, over simulated memory. All
// parameters are its own (`npm run explore -- --help`); docs/memory-model.md says what it proves.
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

if (process.platform !== "linux") {
  console.log("the native layers are not available on this platform: skipped")
  process.exit(0)
}
const run = (command, parameters) => {
  const { error, status } = spawnSync(command, parameters, { cwd: root, stdio: "inherit" })
  if (error !== undefined) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}
run("make", ["-s", "-C", "src/native", "-j2", "WARNINGS=-Werror", "native-explore"])
run("build/explore/native-explore", process.argv.slice(2))
