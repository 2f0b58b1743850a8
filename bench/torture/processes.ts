/**
 * The processes that are tortured: servers, publishers and subscribers. Each is killed with the scope of the run.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { End, Reached } from "./jobs.ts"

/** What was waited for did not happen in time. */
export class NotRecovered extends Schema.TaggedError<NotRecovered>()("NotRecovered", {
  what: Schema.String,
  waitedMillis: Schema.Int
}) {
  override get message(): string {
    return `${this.what}: not within ${this.waitedMillis} ms`
  }
}

export class Part {
  readonly name: string
  readonly pid: number
  /** What it has told last: records acknowledged, or the position that it has read to. */
  reached = 0
  /** How it ended, if it has. */
  ended: string | undefined
  readonly #child: ChildProcess
  readonly #output: string

  constructor(name: string, child: ChildProcess, output: string) {
    this.name = name
    this.pid = child.pid ?? 0
    this.#child = child
    this.#output = output
    child.on("message", ({ reached }: Reached) => {
      this.reached = reached
    })
    child.once("exit", (code, signal) => {
      this.ended = signal ?? `exit code ${code}`
    })
    child.on("error", () => undefined)
  }

  /** What it has printed. */
  get text(): string {
    return readFileSync(this.#output, "utf8")
  }

  signal(signal: NodeJS.Signals): void {
    if (this.ended === undefined) this.#child.kill(signal)
  }

  end(at: number): void {
    if (this.ended === undefined) this.#child.send({ at } satisfies End)
  }

  isStopped(): boolean {
    return /^State:\s+T/m.test(readFileSync(`/proc/${this.pid}/status`, "utf8"))
  }
}

/** Starts a program of this folder with its job. */
export const startPart = <Job extends { readonly name: string }>(
  folder: string,
  program: "publisher" | "subscriber",
  job: Job
): Effect.Effect<Part, never, Scope.Scope> =>
  startNode(folder, job.name, [fileURLToPath(new URL(`${program}.ts`, import.meta.url)), JSON.stringify(job)], true)

/** Starts `ringfence` with these arguments. */
export const startServer = (
  folder: string,
  name: string,
  args: ReadonlyArray<string>
): Effect.Effect<Part, never, Scope.Scope> => startNode(folder, name, [ringfence, ...args], false)

/** Waits until the check holds; asks often enough to tell how long it took. */
export const until = Effect.fnUntraced(function*(what: string, check: () => boolean) {
  const began = performance.now()
  while (!check()) {
    const waitedMillis = Math.round(performance.now() - began)
    if (waitedMillis > patienceMillis) return yield* new NotRecovered({ what, waitedMillis })
    yield* Effect.sleep(2)
  }
  return performance.now() - began
})

// --- internal ---

/** Far more than any recovery takes: a loaded machine may need many seconds to start a process. */
const patienceMillis = 120_000

const ringfence = fileURLToPath(new URL("../../src/programs/ringfence.ts", import.meta.url))

const startNode = (folder: string, name: string, args: ReadonlyArray<string>, hasChannel: boolean) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const output = join(folder, `${name}.out`)
      const file = openSync(output, "a")
      const child = spawn(process.execPath, args, {
        stdio: hasChannel ? ["ignore", file, file, "ipc"] : ["ignore", file, file]
      })
      closeSync(file)
      return new Part(name, child, output)
    }),
    (part) =>
      Effect.suspend(() => {
        part.signal("SIGKILL")
        return Effect.ignore(until(`the end of ${name}`, () => part.ended !== undefined))
      })
  )
