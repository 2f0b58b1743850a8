/**
 * Builds the explorer of the native protocols, and runs it.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "../..")

export const protocols = [
  "ring",
  "log",
  "lanes",
  "claims",
  "region",
  "takeover",
  "identity",
  "replicas",
  "cursors",
  "bells"
]

export const build = (): void => {
  mkdirSync(join(root, "build"), { recursive: true })
  // Two files of tests may begin at once.
  const make = ["make", "-s", "-C", "src/native", "-j2", "native-explore"]
  const { error, status, stderr } = spawnSync("flock", ["build/explore.lock", ...make], { cwd: root, encoding: "utf8" })
  if (status !== 0) throw new Error(`the explorer is not built: ${error?.message ?? stderr}`)
}

export const explore = (
  ...parameters: ReadonlyArray<string>
): { readonly status: number | null; readonly output: string } => {
  const { status, stderr, stdout } = spawnSync("build/explore/native-explore", parameters, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 << 20
  })
  return { status, output: stdout + stderr }
}

/** The configurations in which a process could have been killed or stopped at a point at which no schedule has done so. */
export const leavesPoints = (output: string): ReadonlyArray<string> =>
  output.split("\n").filter((line) =>
    [...line.matchAll(/(\d+) of +(\d+) (?:kills|stops)/g)].some(([, reached, all]) => reached !== all)
  )
