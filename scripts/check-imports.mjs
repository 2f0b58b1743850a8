// Keeps the direction of imports, the one door to the native module, and the one home of shared atomics.
//
//   bench → programs → layers → services;  layers/native → native/binding.ts;  index.ts → layers, services
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

// --- TypeScript --------------------------------------------------------------------------------------------------

const binding = "src/native/binding.ts"

/** The part of the house that a file belongs to: the folder below src, or the folder beside it. */
const partOf = (name) => {
  const [top, second, ...rest] = name.split("/")
  if (top !== "src") return top
  return rest.length === 0 ? "index" : second
}

const mayImport = {
  index: ["layers", "services"],
  programs: ["programs", "layers", "services"],
  layers: ["layers", "services"],
  services: ["services"],
  native: ["native"],
  test: ["test", "layers", "services", "native", "index"],
  bench: ["bench", "programs", "layers", "services"]
}

/** What the benchmarks share with the programs; the commands themselves are no library. */
const sharedPrograms = /^src\/programs\/(?:bench|cli|processes|measure|log-trial|barrier-trial)\//

const refuse = (from, to) => {
  const part = partOf(from)
  const target = partOf(to)
  if (to === binding && (part === "layers" || part === "bench")) {
    if (/^(?:src\/layers\/native|bench\/machine)\//.test(from)) return undefined
    return `only src/layers/native and bench/machine may import ${binding}`
  }
  if (part === "bench" && target === "programs" && !sharedPrograms.test(to)) {
    return `bench may import only the shared folders of programs, not ${to}`
  }
  const allowed = mayImport[part]
  if (allowed === undefined) return `${part} is not a known part of src: ${Object.keys(mayImport).join(", ")}`
  if (allowed.includes(target)) return undefined
  return `${part} may not import ${target} (${to})`
}

const statement = /(?:^|[;{}])[ \t]*(?:import|export)\b[\w$*{},\s]*?\bfrom\s*["']([^"']+)["']/gm
const bare = /^[ \t]*import\s*["']([^"']+)["']/gm
const dynamic = /\bimport\s*\(\s*["'`]([^"'`]+)["'`]/gm
const loader = /\bcreateRequire\b|\bprocess\.dlopen\b|(?<![\w.$])require\s*\(/
const nativeFile = /\.node["'`]/

/** Comment lines made empty: the numbers of the others stay what they are. */
const withoutCommentLines = (text) => text.replaceAll(/^[ \t]*(?:\/\/|\/?\*).*$/gm, "")

const checkTypeScript = (file) => {
  const name = nameOf(file)
  const text = withoutCommentLines(readFileSync(file, "utf8"))
  const lineAt = (index) => text.slice(0, index).split("\n").length
  for (const pattern of [statement, bare, dynamic]) {
    for (const match of text.matchAll(pattern)) {
      const specifier = match[1]
      const where = `${name}:${lineAt(match.index + match[0].length - 1)}`
      if (/^ringfence(?:\/|$)/.test(specifier)) {
        problems.push(`${where}: imports the package by its own name: ${specifier}`)
      }
      if (!specifier.startsWith(".")) continue
      if (!specifier.endsWith(".ts")) problems.push(`${where}: a relative import must end in .ts: ${specifier}`)
      const reason = refuse(name, nameOf(resolve(dirname(file), specifier)))
      if (reason !== undefined) problems.push(`${where}: ${reason}`)
    }
  }
  if (name === binding) return
  for (const [index, line] of text.split("\n").entries()) {
    if (loader.test(line) || (name.startsWith("src/") && !name.startsWith("src/native/") && nativeFile.test(line))) {
      problems.push(`${name}:${index + 1}: only ${binding} may load a native module`)
    }
  }
}

// --- C++ ---------------------------------------------------------------------------------------------------------

const publication = "src/native/region/publication.h"
const atomics = /\b(?:std::)?atomic_ref\b|\bstd::atomic\w*|\b__atomic_\w+|\b__sync_\w+/g
const ofOneProcess = /^std::atomic(?:_bool|_flag|_u?int\w*|_size_t)?$/

const checkNative = (file) => {
  const name = nameOf(file)
  if (name === publication) return
  const text = readFileSync(file, "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, ""))
  for (const [index, line] of text.split("\n").entries()) {
    const comment = line.indexOf("//")
    const code = comment < 0 ? line : line.slice(0, comment)
    const isPrivate = comment >= 0 && /^\/\/\s*private\b/.test(line.slice(comment))
    for (const [word] of code.matchAll(atomics)) {
      if (isPrivate && ofOneProcess.test(word)) continue
      const hint = ofOneProcess.test(word) ? ", or mark state of this process alone with `// private`" : ""
      problems.push(`${name}:${index + 1}: ${word} belongs in ${publication}${hint}`)
    }
  }
}

for (const folder of ["src", "test", "bench"]) {
  for (const file of walk(join(root, folder), /\.[cm]?tsx?$/)) checkTypeScript(file)
}
for (const file of walk(join(root, "src", "native"), /\.(?:cc|cpp|h|hpp)$/)) checkNative(file)

if (problems.length > 0) {
  console.error(problems.join("\n"))
  process.exit(1)
}
