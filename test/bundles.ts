/**
 * Bundles each program that tests start as a process into one file: it starts in a third of the time of a program that
 * loads four hundred modules, and a run of the tests starts hundreds.
 *
 * As `globalSetup` of the test runner this makes them from the sources as they are. What a module builds from its own
 * place, as the way to the native module, it builds from its place among the sources; only the programs that a program
 * starts are looked for beside its bundle.
 */
import { globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import type { Plugin } from "rolldown"

const root = resolve(import.meta.dirname, "..")
const folder = join(root, "build/bundled")

/** The path of a program's bundle; `source` is the program's path below the root. */
export const bundled = (source: string): string => join(folder, source.replace(/\.ts$/, ".js"))

export const setup = async (): Promise<void> => {
  const { build } = await import("rolldown")
  const entries = [
    "src/programs/ringfence.ts",
    ...startedByPrograms(),
    ...globSync("test/processes/*ctor.ts", { cwd: root })
  ]
  const { output } = await build({
    input: Object.fromEntries(entries.map((source) => [source.replace(/\.ts$/, ""), join(root, source)])),
    platform: "node",
    // The histograms load zlib by a way that no bundler follows.
    external: [/\.node$/, "hdr-histogram-js"],
    plugins: [places],
    write: false,
    output: { format: "esm", entryFileNames: "[name].js", chunkFileNames: "shared-[hash].js", keepNames: true }
  })
  const names = new Set(output.map(({ fileName }) => fileName))
  for (const chunk of output) if (chunk.type === "chunk") writeWhole(join(folder, chunk.fileName), chunk.code)
  for (const name of globSync("**/*.js", { cwd: folder })) if (!names.has(name)) rmSync(join(folder, name))
}

// --- internal ---

const beside = /\bprogramBeside\(import\.meta\.url, "([\w-]+)"\)/g

const startedByPrograms = (): ReadonlyArray<string> =>
  globSync("src/programs/**/*.ts", { cwd: root }).flatMap((source) =>
    [...readFileSync(join(root, source), "utf8").matchAll(beside)]
      .map(([, name = ""]) => join(dirname(source), `${name}.ts`))
  )

const places: Plugin = {
  name: "places",
  transform: {
    filter: { id: { include: /\.ts$/, exclude: /node_modules/ }, code: "import.meta.url" },
    handler: (code, id) => {
      const placeOf = (path: string): string => JSON.stringify(pathToFileURL(path).href)
      const amongBundles = placeOf(bundled(id.slice(root.length + 1)))
      return code
        .replaceAll(beside, (_, name: string) => `programBeside(${amongBundles}, "${name}")`)
        .replaceAll("import.meta.url", placeOf(id))
    }
  }
}

// Leave an unchanged file alone: another run of the tests may be loading it.
const writeWhole = (path: string, code: string): void => {
  try {
    if (readFileSync(path, "utf8") === code) return
  } catch {
    mkdirSync(dirname(path), { recursive: true })
  }
  const fresh = `${path}.${process.pid}`
  writeFileSync(fresh, code)
  renameSync(fresh, path)
}
