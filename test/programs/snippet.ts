/**
 * Runs a few lines against modules of `src/programs` in a process of their own: tests import no programs.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { execFileSync, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { type NotSeen, Program } from "./harness.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const own = join(root, "node_modules/.bin/node")
const node = existsSync(own) ? own : process.execPath

const programPath = (name: string): string => join(root, `${name}.ts`)

/** The value that `body` returns, or promises; the module's exports are in scope as `module`. Values travel as JSON. */
export const inModule = (name: string, body: string): unknown => {
  const url = JSON.stringify(pathToFileURL(programPath(name)).href)
  const code =
    `const module = await import(${url}); const f = async () => { ${body} }; process.stdout.write(JSON.stringify(await f()))`
  return JSON.parse(execFileSync(node, ["--input-type=module", "-e", code], { encoding: "utf8" }))
}

/** Runs an entry program that is not a `ringfence` command to its end. `name`: its path, without the extension. */
export const runEntry = (
  name: string,
  args: ReadonlyArray<string>,
  patience?: Duration.Input
): Effect.Effect<{ readonly code: number | null; readonly text: string; readonly stderr: string }, NotSeen> =>
  Effect.scoped(Effect.gen(function*() {
    const program = yield* Effect.acquireRelease(
      Effect.sync(() =>
        new Program(spawn(node, [programPath(name), ...args], { stdio: ["ignore", "pipe", "pipe"] }), patience)
      ),
      (program) => {
        program.signal("SIGKILL")
        return Effect.ignore(program.ended)
      }
    )
    const code = yield* program.code
    return { code, text: program.text, stderr: program.stderr }
  }))
