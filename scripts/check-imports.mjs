// Checks the direction of imports, that one file loads the native module, that one header has all shared atomics, that
// no other file reaches shared memory except by the verbs of that header, and that no file of src is too long to read.
//
// The picture under "Arrows" in docs/architecture.md says which folder may import which; this script reads it from
// there.
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..")
const problems = []

const walk = (folder, wanted) => {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return walk(path, wanted)
    return wanted.test(entry.name) ? [path] : []
  })
}

const nameOf = (file) => relative(root, file).replaceAll("\\", "/")

// --- The picture ------------------------------------------------------------------------------------------------

const page = "docs/architecture.md"

/**
 * `src/layers: *, a → b, c`: files of src/layers itself and folder a may import b and c, which may not import each
 * other.
 */
const readPicture = () => {
  const section = readFileSync(join(root, page), "utf8").split("\n## Arrows\n")[1] ?? ""
  const picture = /```text\n([\s\S]*?)```/.exec(section)?.[1] ?? ""
  const lines = picture.split("\n").filter((line) => line.trim() !== "")
  if (lines.length === 0) throw new Error(`${page} has no picture under "Arrows"`)
  return new Map(lines.map((line) => {
    const [folder, floors] = line.split(/:\s+/)
    if (floors === undefined) throw new Error(`${page}: no line of the picture: ${line}`)
    const floorOf = new Map()
    for (const [floor, rooms] of floors.split("→").entries()) {
      for (const room of rooms.split(",")) floorOf.set(room.trim(), floor)
    }
    return [folder.trim() === "." ? "" : `${folder.trim()}/`, floorOf]
  }))
}

const picture = readPicture()

/**
 * The name of a file in a line of the picture: its own, its folder's, or `*` for a file that the line does not name.
 */
const roomOf = (folder, floorOf, name) => {
  const [first, ...rest] = name.slice(folder.length).split("/")
  const room = first.replace(/\.(?:ts|h|cc)$/, "")
  return rest.length === 0 && !floorOf.has(room) ? "*" : room
}

/** Why one file may not import another, by the innermost folder of the picture that contains both. */
const againstPicture = (from, to) => {
  const folders = [...picture.keys()].filter((folder) => from.startsWith(folder) && to.startsWith(folder))
  const folder = folders.toSorted((a, b) => b.length - a.length)[0]
  const floorOf = picture.get(folder)
  const [room, other] = [roomOf(folder, floorOf, from), roomOf(folder, floorOf, to)]
  if (room === other) return undefined
  const [floor, otherFloor] = [floorOf.get(room), floorOf.get(other)]
  const unknown = floor === undefined ? room : otherFloor === undefined ? other : undefined
  if (unknown !== undefined) return `${folder}${unknown} is not in the picture of ${page}`
  return floor < otherFloor ? undefined : `${folder}${room} may not import ${folder}${other} (${to})`
}

// --- TypeScript --------------------------------------------------------------------------------------------------

const binding = "src/native/binding.ts"
/** Loads the measuring addon, which the package does not contain. */
const measuring = "bench/machine/native.ts"
/** Loads one package, by these lines alone: where that is without its module for the machine, an import would end the process. */
const checksums = {
  file: "src/layers/files/format/crc32.ts",
  lines: /from "node:module"|\(import\.meta\.url\)\("@node-rs\/crc32"\)/
}

/** The folders that the benchmarks share with the programs; the commands themselves may not be imported. */
const sharedPrograms = /^src\/programs\/(?:bench|cli|processes|measure|log-trial|barrier-trial)\//

const refuse = (from, to) => {
  if (to === binding && !/^(?:src\/(?:layers\/)?native|bench\/machine|test)\//.test(from)) {
    return `only src/layers/native and bench/machine may import ${binding}`
  }
  if (to === measuring && !from.startsWith("bench/machine/")) return `only bench/machine may import ${measuring}`
  if (from.startsWith("bench/") && to.startsWith("src/programs/") && !sharedPrograms.test(to)) {
    return `bench may import only the shared folders of programs, not ${to}`
  }
  if (from.startsWith("test/") && /^(?:bench|src\/programs)\//.test(to)) {
    return `a test runs programs, it may not import ${to}`
  }
  return againstPicture(from, to)
}

/** The imports of each TypeScript file, types included. */
const importsOf = new Map()

const statement = /(?:^|[;{}])[ \t]*(?:import|export)\b[\w$*{},\s]*?\bfrom\s*["']([^"']+)["']/gm
const bare = /^[ \t]*import\s*["']([^"']+)["']/gm
const dynamic = /\bimport\s*\(\s*["'`]([^"'`]+)["'`]/gm
const loader = /\bcreateRequire\b|\bprocess\.dlopen\b|(?<![\w.$])require\s*\(/
const nativeFile = /\.node["'`]/

/** Empties comment lines, so that the other lines keep their numbers. */
const withoutCommentLines = (text) => text.replaceAll(/^[ \t]*(?:\/\/|\/?\*).*$/gm, "")

const checkTypeScript = (file) => {
  const name = nameOf(file)
  const text = withoutCommentLines(readFileSync(file, "utf8"))
  const lineAt = (index) => text.slice(0, index).split("\n").length
  const imports = []
  importsOf.set(name, imports)
  for (const pattern of [statement, bare, dynamic]) {
    for (const match of text.matchAll(pattern)) {
      const specifier = match[1]
      const where = `${name}:${lineAt(match.index + match[0].length - 1)}`
      if (/^ringfence(?:\/|$)/.test(specifier)) {
        problems.push(`${where}: imports the package by its own name: ${specifier}`)
      }
      if (!specifier.startsWith(".")) continue
      if (!/\.(?:ts|mjs)$/.test(specifier)) problems.push(`${where}: a relative import must end in .ts: ${specifier}`)
      const target = nameOf(resolve(dirname(file), specifier))
      imports.push(target)
      const reason = refuse(name, target)
      if (reason !== undefined) problems.push(`${where}: ${reason}`)
    }
  }
  if (name === binding || name === measuring) return
  for (const [index, line] of text.split("\n").entries()) {
    if (name === checksums.file && checksums.lines.test(line)) continue
    if (loader.test(line) || (name.startsWith("src/") && !name.startsWith("src/native/") && nativeFile.test(line))) {
      problems.push(`${name}:${index + 1}: only ${binding} and ${measuring} may load a native module`)
    }
  }
}

/** Reports each circle of imports once. */
const checkCircles = () => {
  const done = new Set()
  const visit = (name, path) => {
    const at = path.indexOf(name)
    if (at >= 0) problems.push(`imports go round in a circle: ${[...path.slice(at), name].join(" → ")}`)
    if (at >= 0 || done.has(name)) return
    for (const target of importsOf.get(name) ?? []) visit(target, [...path, name])
    done.add(name)
  }
  for (const name of importsOf.keys()) visit(name, [])
}

// --- C++ ---------------------------------------------------------------------------------------------------------

const publication = "src/native/region/publication.h"
const atomics = /\b(?:std::)?atomic_ref\b|\bstd::atomic\w*|\b__atomic_\w+|\b__sync_\w+/g
const ofOneProcess = /^std::atomic(?:_bool|_flag|_u?int\w*|_size_t)?$/

const include = /^#include "([^"]+)"/gm

/** Headers are named from their own folder or from src/native. Native tests may include all of them. */
const checkIncludes = (name, text) => {
  if (name.startsWith("src/native/test/")) return
  for (const [, header] of text.matchAll(include)) {
    const beside = join(dirname(name), header)
    const target = existsSync(join(root, beside)) ? beside : `src/native/${header}`
    const reason = againstPicture(name, target)
    if (reason !== undefined) problems.push(`${name}: ${reason}`)
  }
}

/** What would reach shared memory past the verbs, where it may stand, and what stands there; with lines that it refuses. */
const pastTheVerbs = [
  {
    words: /\bRawLine\b|(?:\.|->)shared_\b/,
    files: ["region/line.h", "region/publication.h", "region/writing.h"],
    says: "the fields of a line belong to the verbs of Publication",
    refuses: ["RawLine::of(line).token = 1;", "line.shared_.token = 1;"]
  },
  {
    words: /\bbase\(\)|\blaneBytes\(/,
    files: [
      "region/mapping.h",
      "region/region.h",
      "region/region_creation.cc",
      "region/ring_memory.h",
      "log/sequencer/broker_grants.cc",
      "napi/",
      "measure/"
    ],
    says: "only what maps the memory, and what makes JavaScript's buffers, knows where it lies",
    refuses: ["std::memset(mapping->base(), 0, 64);", "region.laneBytes(0)[0] = 1;"]
  },
  {
    words: /\bmemory::(?:load|store|copyIn|copyOut|increment|take|writeBack|invalidate|drop|order)\w*\(/,
    files: ["region/publication.h", "region/writing.h", "region/flush", "measure/"],
    says: "the verbs of Publication load, store and flush",
    refuses: ["memory::store(word, 1, {});", "memory::orderAll();"]
  },
  {
    words: /\bBytes\s*<[^>]*>\s*::\s*of\b|\b(?:using|typedef)\b[^;]*\bBytes\s*</,
    files: ["region/region.h", "region/region_creation.cc", "region/ring_memory.h", "measure/"],
    says: "only what maps the memory says which bytes a token covers",
    refuses: ["Bytes<Payload> ::of(region, at, 64)", "using Any = Bytes<Payload>;"]
  },
  {
    words: /\breinterpret_cast\b/,
    files: [
      "region/publication.h",
      "region/flush.cc",
      "napi/loop_timer.cc",
      "region/lifeline.cc",
      "region/region.h",
      "region/ring_memory.cc",
      "region/token.cc",
      "region/writing.h",
      "measure/"
    ],
    says: "shared structures have their types from Region",
    refuses: ["reinterpret_cast<uint64_t*>(&line)[0] = 1;"]
  },
  {
    words:
      /\bstatic_cast<\s*(?:const\s+)?void\s*\*|\(\s*(?:const\s+)?(?:void|u?int\d+_t|(?:unsigned )?char)\s*\*\s*\)\s*[&(\w]/,
    files: ["region/publication.h", "region/backing.cc", "region/region_creation.cc", "measure/"],
    says: "a line is not reached by a pointer without its type",
    refuses: ["std::memset(static_cast<void*>(&header.control), 0, 64);", "*(uint64_t*)&line = 1;"]
  },
  {
    words: /\bvolatile\b|\bconst_cast\b/,
    files: ["region/flush.cc", "region/region_creation.cc", "measure/"],
    says: "shared words are loaded and stored by the verbs of Publication",
    refuses: ["*(volatile uint64_t*)&line = 1;", "const_cast<uint32_t&>(*word) = 5;"]
  },
  {
    words: /(?<!futexWa(?:it|ke)\([\w.>-]*)\bfutexWord</,
    files: ["region/publication.h"],
    says: "the address of a futex is for the system alone",
    refuses: ["const uint32_t* word = p.futexWord<&BellLine::bell>(bell);"]
  },
  {
    words: /\bbit_cast\b|\b(?:struct|class)\s+(?:Writing|Line|HostLine|Written|Seen|Bytes)\s*</,
    files: ["region/line.h"],
    says: "keys and evidence come from the roles and verbs alone, and no specialisation is their friend",
    refuses: ["std::bit_cast<role::Sequencer>('\\0')", "template <> class Writing<Mine> {"]
  }
]

/** Each pattern refuses the lines that it is there for. */
const checkPatterns = () => {
  for (const { refuses, words } of pastTheVerbs) {
    for (const line of refuses) {
      if (!words.test(line)) problems.push(`scripts/check-imports.mjs: ${words} lets pass: ${line}`)
    }
  }
}

const checkVerbs = (name, where, code) => {
  if (/^src\/native\/(?:test|explore)\//.test(name)) return
  for (const { files, says, words } of pastTheVerbs) {
    if (files.some((file) => name.startsWith(`src/native/${file}`))) continue
    const [word] = words.exec(code) ?? []
    if (word !== undefined) problems.push(`${where}: ${word}: ${says}`)
  }
}

const checkNative = (file) => {
  const name = nameOf(file)
  checkIncludes(name, readFileSync(file, "utf8"))
  if (name === publication) return
  const text = readFileSync(file, "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, ""))
  for (const [index, line] of text.split("\n").entries()) {
    const comment = line.indexOf("//")
    const code = comment < 0 ? line : line.slice(0, comment)
    checkVerbs(name, `${name}:${index + 1}`, code)
    const isPrivate = comment >= 0 && /^\/\/\s*private\b/.test(line.slice(comment))
    for (const [word] of code.matchAll(atomics)) {
      if (isPrivate && ofOneProcess.test(word)) continue
      const hint = ofOneProcess.test(word) ? ", or mark state of this process alone with `// private`" : ""
      problems.push(`${name}:${index + 1}: ${word} belongs in ${publication}${hint}`)
    }
  }
}

// --- Length ------------------------------------------------------------------------------------------------------

const linesMax = 500

const checkLength = (file) => {
  const lines = readFileSync(file, "utf8").split("\n").length - 1
  if (lines > linesMax) problems.push(`${nameOf(file)}: has ${lines} lines, of ${linesMax}: split it by what it does`)
}

for (const folder of ["src", "test", "bench", "scripts"]) {
  for (const file of walk(join(root, folder), /\.(?:[cm]?tsx?|mjs)$/)) checkTypeScript(file)
}
checkCircles()
checkPatterns()
for (const file of walk(join(root, "src", "native"), /\.(?:cc|cpp|h|hpp)$/)) checkNative(file)
for (const file of walk(join(root, "src"), /\.(?:ts|cc|h)$/)) checkLength(file)

if (problems.length > 0) {
  console.error(problems.join("\n"))
  process.exit(1)
}
