// Makes a checkout ready to run: packages, native module, JavaScript. Every npm script calls it first.
// It says one line for each step that it takes, and nothing where nothing changed.
// Plain JavaScript for Node 20: it runs before the repository's own Node is there.
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { delimiter, dirname, join, relative, resolve, sep } from "node:path"
import { fileURLToPath } from "node:url"

const root = realpathSync(resolve(dirname(fileURLToPath(import.meta.url)), ".."))
const at = (...parts) => join(root, ...parts)
const installOnly = process.argv.includes("--install-only")

// --- fingerprints ------------------------------------------------------------------------------------------------

const read = (file) => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

const hashOf = (parts) => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(`${part.length}:`).update(part)
  return hash.digest("hex")
}

const walk = (folder, wanted) => {
  const found = []
  const visit = (path) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const child = join(path, entry.name)
      if (entry.isDirectory()) visit(child)
      else if (wanted(entry.name)) found.push(child)
    }
  }
  if (existsSync(folder)) visit(folder)
  return found.toSorted()
}

const contents = (files) => files.flatMap((file) => [relative(root, file), readFileSync(file)])

const packagesStamp = at("node_modules", ".ringfence-stamp")
const nativeStamp = at("build", ".ringfence-native-stamp")
const javascriptStamp = at("node_modules", ".cache", "ringfence-javascript-stamp")
const nativeModule = at("build", "Release", "ringfence.node")

// Only what npm installs by: a change of a script or of the description needs no new installation.
const installFields = [
  "dependencies",
  "devDependencies",
  "optionalDependencies",
  "peerDependencies",
  "overrides",
  "workspaces",
  "allowScripts"
]
const manifest = (file) => {
  const json = JSON.parse(readFileSync(file, "utf8"))
  return JSON.stringify(installFields.map((field) => json[field] ?? null))
}

const packagesHash = () =>
  hashOf([
    process.platform,
    process.arch,
    read(at("package-lock.json")),
    manifest(at("package.json")),
    manifest(at("toolchain", "package.json"))
  ])

const nativeSources = () => walk(at("src", "native"), (name) => /\.(?:cc|h|hpp)$|^Makefile$/.test(name))
const nativeHash = () => hashOf([process.platform, process.arch, process.env.CXX ?? "", ...contents(nativeSources())])

const javascriptSources = () => walk(at("src"), (name) => /\.[cm]?ts$/.test(name))
const outputOf = (source) => at("dist", relative(at("src"), source).replace(/ts$/, "js"))
const javascriptHash = () =>
  hashOf([
    packagesHash(),
    ...contents([at("tsconfig.json"), at("tsconfig.build.json"), ...javascriptSources()])
  ])

const packagesFresh = () => read(packagesStamp) === packagesHash()
const nativeFresh = () =>
  read(nativeStamp) === nativeHash() &&
  (process.platform !== "linux" || existsSync(nativeModule) || !hasNativeSources())
const javascriptFresh = () =>
  read(javascriptStamp) === javascriptHash() &&
  javascriptSources().every((source) => /\.d\.[cm]?ts$/.test(source) || existsSync(outputOf(source)))

const hasNativeSources = () =>
  existsSync(at("src", "native")) && readdirSync(at("src", "native")).some((name) => name.endsWith(".cc"))

const stamp = (file, hash) => {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, hash)
}

// --- one at a time -----------------------------------------------------------------------------------------------

// The lock file names its holder, and the tool that the holder runs now: a tool outlives a killed holder.
const lockFile = at(".setup-lock")
const mine = `${lockFile}.${process.pid}`

// A process is its pid and, where that can be had, its start time: pids are used again.
const identity = (pid) => {
  const stat = process.platform === "linux" ? read(`/proc/${pid}/stat`) : ""
  return `${pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""}`.trim()
}

const lives = (line) => {
  const pid = Number.parseInt(line, 10)
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (error.code !== "EPERM") return false
  }
  return !line.includes(" ") || identity(pid) === line
}

const writeLock = (pids) => writeFileSync(mine, pids.map(identity).join("\n"))

// Links are made or refused as a whole: nobody ever sees a lock without its holder's name.
const link = (name) => {
  try {
    linkSync(mine, name)
    return true
  } catch (error) {
    if (error.code === "EEXIST") return false
    throw error
  }
}

const unlessGone = (action) => {
  try {
    return action()
  } catch (error) {
    if (error.code === "ENOENT") return undefined
    throw error
  }
}

const held = () => {
  const holder = unlessGone(() => readFileSync(lockFile, "utf8"))
  return holder !== undefined && holder.split("\n").some(lives)
}

// Only one process at a time may remove a dead holder's lock, and it looks again before it does.
const removeDeadLock = () => {
  const guard = `${lockFile}.takeover`
  if (!link(guard)) {
    const since = unlessGone(() => statSync(guard).ctimeMs)
    if (since !== undefined && Date.now() - since > 30_000) rmSync(guard, { force: true })
    return
  }
  if (!held()) rmSync(lockFile, { force: true })
  rmSync(guard, { force: true })
}

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds))

let holding = false
const release = () => {
  if (holding) rmSync(lockFile, { force: true })
  holding = false
  rmSync(mine, { force: true })
}

const acquire = async () => {
  writeLock([process.pid])
  process.on("exit", release)
  for (let waited = false; !link(lockFile); await sleep(100)) {
    if (!held()) removeDeadLock()
    else if (!waited) {
      waited = true
      say("waiting for another set-up of this checkout\n")
    }
  }
  holding = true
  rmSync(mine, { force: true })
}

// --- steps -------------------------------------------------------------------------------------------------------

const say = (text) => process.stderr.write(`ringfence: ${text}`)

const fail = (line) => {
  process.stderr.write(`${line}\n`)
  process.exit(1)
}

// The lock is kept until the tool has ended too.
let child
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) process.exit(1)
    child.on("close", () => process.exit(1))
    child.kill(signal)
    setTimeout(() => child.kill("SIGKILL"), 5000)
  })
}

// npm puts node_modules/.bin first, whose node a new installation removes under npm's feet.
const outerPath = (process.env.PATH ?? "")
  .split(delimiter)
  .filter((folder) => !folder.endsWith(join("node_modules", ".bin")))
  .join(delimiter)

const run = (command, parameters, env) =>
  new Promise((done) => {
    const output = []
    child = spawn(command, parameters, {
      cwd: root,
      env: { ...process.env, PATH: outerPath, ...env },
      shell: process.platform === "win32" && command === "npm",
      stdio: ["ignore", "pipe", "pipe"]
    })
    if (child.pid !== undefined) {
      writeLock([process.pid, child.pid])
      renameSync(mine, lockFile)
    }
    child.stdout.on("data", (bytes) => output.push(bytes))
    child.stderr.on("data", (bytes) => output.push(bytes))
    child.on("error", (error) => done({ ok: false, output: `${command}: ${error.message}\n` }))
    child.on("close", (code) => done({ ok: code === 0, output: Buffer.concat(output).toString() }))
  })

const step = async (name, command, parameters, env = {}) => {
  const start = performance.now()
  say(name)
  const { ok, output } = await run(command, parameters, env)
  process.stderr.write(`${ok ? "" : " failed"}, ${((performance.now() - start) / 1000).toFixed(1)} s\n`)
  if (!ok) {
    process.stderr.write(output)
    process.exit(1)
  }
}

const inside = (path) => path !== undefined && existsSync(path) && realpathSync(path).startsWith(root + sep)

const install = async () => {
  rmSync(packagesStamp, { force: true })
  const { npm_execpath: npm, npm_node_execpath: node } = process.env
  // The npm that called, on the Node that runs it: unless that is another tool, or is about to be replaced.
  const same = npm !== undefined && node !== undefined && /npm-cli\.[cm]?js$/.test(npm) && existsSync(npm) &&
    existsSync(node) && !inside(npm) && !inside(node)
  const parameters = [
    "ci",
    "--no-audit",
    "--no-fund",
    "--prefer-offline",
    "--include=dev",
    "--include=optional",
    "--engine-strict=false"
  ]
  if (same) await step("npm ci", node, [npm, ...parameters])
  else await step("npm ci", "npm", parameters)
  linkWorkspaceNode()
  stamp(packagesStamp, packagesHash())
}

const workspaceNode = () => at("node_modules", `node-${process.platform}-${process.arch}`)

// npm 11 makes this link, npm 10 does not for an optional package of a workspace. No link to a Node that can't run here
// (another C library): the scripts then run on the Node of the machine.
const linkWorkspaceNode = () => {
  const name = at("node_modules", ".bin", "node")
  const node = join(workspaceNode(), "bin", "node")
  if (process.platform === "win32") return
  rmSync(name, { force: true })
  if (existsSync(node) && spawnSync(node, ["--version"]).status === 0) symlinkSync(relative(dirname(name), node), name)
}

const nodePrefix = () =>
  existsSync(join(workspaceNode(), "include", "node", "node_api.h"))
    ? workspaceNode()
    : resolve(dirname(process.execPath), "..")

const probe = `#include <atomic>
#include <bit>
int main() { int x = 0; return std::atomic_ref<int>(x).load() + static_cast<int>(std::bit_width(0u)); }
`
const compiles = (compiler) =>
  spawnSync(compiler, ["-std=c++20", "-fsyntax-only", "-x", "c++", "-"], {
    input: probe,
    env: { ...process.env, PATH: outerPath }
  }).status === 0

const native = async () => {
  const hash = nativeHash()
  rmSync(nativeStamp, { force: true })
  if (process.platform !== "linux") {
    say(`the native layers are not available on ${process.platform}, the in-memory layers are\n`)
  } else if (hasNativeSources()) {
    const compiler = (process.env.CXX ? [process.env.CXX] : ["g++", "clang++"]).find(compiles)
    if (compiler === undefined || spawnSync("make", ["--version"]).status !== 0) {
      fail(
        "ringfence needs a C++20 compiler and make: install them with `apt-get install g++ make` (Debian, Ubuntu) " +
          "or `dnf install gcc-c++ make` (Fedora)"
      )
    }
    const headers = join(nodePrefix(), "include", "node")
    await step("native module", "make", ["-C", "src/native", "-j2", `CXX=${compiler}`, `NODE_INCLUDE=${headers}`])
  }
  stamp(nativeStamp, hash)
}

const javascript = async () => {
  const hash = javascriptHash()
  const sources = javascriptSources()
  rmSync(javascriptStamp, { force: true })
  if (sources.length > 0) {
    const own = join(workspaceNode(), "bin", "node")
    await step("JavaScript", existsSync(at("node_modules", ".bin", "node")) ? own : process.execPath, [
      at("node_modules", "typescript", "bin", "tsc"),
      "-p",
      "tsconfig.build.json"
    ])
  }
  // What a removed source left behind.
  const expected = new Set(sources.map((source) => outputOf(source).replace(/\.[cm]?js$/, "")))
  for (const output of walk(at("dist"), () => true)) {
    if (!expected.has(output.replace(/(?:\.d\.[cm]?ts|\.[cm]?js)(?:\.map)?$/, ""))) rmSync(output, { force: true })
  }
  for (const program of walk(at("dist", "programs"), (name) => name.endsWith(".js"))) chmodSync(program, 0o755)
  stamp(javascriptStamp, hash)
}

const steps = installOnly
  ? [[packagesFresh, install]]
  : [[packagesFresh, install], [nativeFresh, native], [javascriptFresh, javascript]]

if (existsSync(lockFile) || !steps.every(([fresh]) => fresh())) {
  await acquire()
  for (const [fresh, take] of steps) if (!fresh()) await take()
  process.exit(0)
}
