// Makes a checkout ready to run: packages, native module, JavaScript. Every npm script calls it first. It prints one
// line for each step that it takes, and nothing if nothing changed. Plain JavaScript for Node.js 20: it runs before the
// repository's own Node.js is installed.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { delimiter, dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..")
const at = (...parts) => join(root, ...parts)
const say = (text) => process.stderr.write(`ringfence: ${text}`)

// Remove node_modules/.bin, which npm puts first: an installation would remove its node while npm runs on it.
const path = (process.env.PATH ?? "").split(delimiter).filter((folder) =>
  !folder.endsWith(join("node_modules", ".bin"))
)
const run = (command, parameters, options) =>
  spawnSync(command, parameters, {
    cwd: root,
    env: { ...process.env, PATH: path.join(delimiter) },
    shell: process.platform === "win32" && command === "npm",
    ...options
  })

// Two set-ups of one checkout must not run at once: the second waits for the lock of the first, which the kernel frees
// however the first ends. Without a flock command they are not kept apart.
if (process.env.RINGFENCE_SETUP === undefined && run("flock", ["--version"]).status === 0) {
  const self = [process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)]
  const { status } = spawnSync("flock", [root, ...self], {
    stdio: "inherit",
    env: { ...process.env, RINGFENCE_SETUP: "locked" }
  })
  process.exit(status ?? 1)
}

const fail = (text) => {
  process.stderr.write(text)
  process.exit(1)
}

const step = (name, command, parameters) => {
  const start = performance.now()
  say(name)
  const { error, status, stderr, stdout } = run(command, parameters, { maxBuffer: 1 << 26, encoding: "utf8" })
  process.stderr.write(`${status === 0 ? "" : " failed"}, ${((performance.now() - start) / 1000).toFixed(1)} s\n`)
  if (status !== 0) fail(error === undefined ? stdout + stderr : `${command}: ${error.message}\n`)
}

const files = (folder, wanted) =>
  readdirSync(folder, { recursive: true })
    .filter((name) => wanted.test(name))
    .toSorted()
    .map((name) => join(folder, name))

const hashOf = (names, ...texts) => {
  const hash = createHash("sha256").update(JSON.stringify([process.platform, process.arch, ...texts]))
  for (const name of names) hash.update(`${name}\0`).update(readFileSync(name))
  return hash.digest("hex")
}

/** Takes a step unless its stamp shows that it was taken with the same inputs. */
const unlessFresh = (stamp, hash, isThere, take) => {
  const file = at("node_modules", `.ringfence-${stamp}`)
  if (isThere && existsSync(file) && readFileSync(file, "utf8") === hash) return
  rmSync(file, { force: true })
  take()
  writeFileSync(file, hash)
}

// --- packages ----------------------------------------------------------------------------------------------------

const ownNode = at("node_modules", `node-${process.platform}-${process.arch}`)

const install = () => {
  const parameters = ["--no-audit", "--no-fund", "--prefer-offline", "--include=dev", "--include=optional"]
  step("npm ci", "npm", ["ci", "--engine-strict=false", ...parameters])
  // Link it here, because npm 10 does not link an optional package of a workspace; but not for another C library.
  const link = at("node_modules", ".bin", "node")
  rmSync(link, { force: true })
  const node = join(ownNode, "bin", "node")
  if (run(node, ["--version"]).status === 0) symlinkSync(relative(dirname(link), node), link)
}

// Hash only the dependencies of the manifest: a changed script needs no new installation.
const { dependencies, devDependencies, peerDependencies } = JSON.parse(readFileSync(at("package.json"), "utf8"))
const installed = existsSync(at("node_modules"))
const packages = hashOf(
  [at("package-lock.json"), at("toolchain", "package.json")],
  dependencies,
  devDependencies,
  peerDependencies
)
unlessFresh("packages", packages, installed, install)
if (process.argv.includes("--install-only")) process.exit(0)

// --- native module -----------------------------------------------------------------------------------------------

const headers = [ownNode, resolve(dirname(process.execPath), "..")]
  .map((prefix) => join(prefix, "include", "node"))
  .find((folder) => existsSync(join(folder, "node_api.h"))) ?? ""
const nativeSources = files(at("src", "native"), /\.(?:cc|h)$|^Makefile$/)
const probe = "#include <atomic>\nint main() { int x = 0; return std::atomic_ref<int>(x).load(); }\n"
const compiles = (compiler) =>
  run(compiler, ["-std=c++20", "-fsyntax-only", "-x", "c++", "-"], { input: probe }).status === 0
const native = () => {
  if (process.platform !== "linux") {
    return say(`the native layers are not available on ${process.platform}, the in-memory layers are\n`)
  }
  const compiler = (process.env.CXX ? [process.env.CXX] : ["g++", "clang++"]).find(compiles)
  const missing = [
    ...(compiler === undefined ? [`a C++20 compiler (${process.env.CXX ?? "g++ or clang++"})`] : []),
    ...(run("make", ["--version"]).status === 0 ? [] : ["make"])
  ]
  if (missing.length > 0) {
    fail(
      `ringfence: cannot build the native module without ${missing.join(" and ")}: install them with ` +
        "`apt-get install g++ make` (Debian, Ubuntu) or `dnf install gcc-c++ make` (Fedora)\n"
    )
  }
  const variables = [`CXX=${compiler}`, `NODE_INCLUDE=${headers}`, "WARNINGS=-Werror"]
  step("native module", "make", ["-C", "src/native", "-j2", ...variables, "all", "measuring"])
}
const isBuilt = process.platform !== "linux" ||
  ["ringfence.node", "ringfence-measure.node"].every((name) => existsSync(at("build", "Release", name)))
unlessFresh("native", hashOf(nativeSources, process.env.CXX ?? ""), isBuilt, native)

// --- JavaScript --------------------------------------------------------------------------------------------------

const sources = files(at("src"), /\.ts$/)
const javascript = () => {
  // Build beside the old output, and replace it only when complete: programs that run from it load parts of it later.
  const fresh = at("build", "dist")
  rmSync(fresh, { recursive: true, force: true })
  const node = existsSync(at("node_modules", ".bin", "node")) ? join(ownNode, "bin", "node") : process.execPath
  const tsc = at("node_modules", "typescript", "bin", "tsc")
  step("JavaScript", node, [tsc, "-p", "tsconfig.build.json", "--outDir", fresh])
  chmodSync(join(fresh, "programs", "ringfence.js"), 0o755)
  rmSync(at("dist"), { recursive: true, force: true })
  renameSync(fresh, at("dist"))
}
const isCompiled = existsSync(at("dist", "programs", "ringfence.js"))
unlessFresh(
  "javascript",
  hashOf([...sources, at("tsconfig.json"), at("tsconfig.build.json")], packages),
  isCompiled,
  javascript
)
