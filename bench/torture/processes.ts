/**
 * The processes that are tortured: servers, replicas, publishers and subscribers. Each is killed with the scope of the run.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type DiskFault, type DiskJob, diskVariable, type End, type Met, type Reached } from "./jobs.ts"

/** What was waited for did not happen in time. */
export class NotRecovered extends Schema.TaggedError<NotRecovered>()("NotRecovered", {
  what: Schema.String,
  waitedMillis: Schema.Int
}) {
  override get message(): string {
    return `${this.what}: not within ${this.waitedMillis} ms`
  }

  /** The same, with the names of those that are waited for. */
  of(names: ReadonlyArray<string>): NotRecovered {
    return new NotRecovered({ what: `${this.what} (${names.join(", ")})`, waitedMillis: this.waitedMillis })
  }
}

export class Part {
  readonly name: string
  readonly pid: number
  /** What it has told last: records that it saw acknowledged or has read, and the position that it has read to. */
  reached = 0
  position = 0
  /** Faults that its disk has met: writes and syncs that failed, were slow or stand still. */
  met = 0
  /** How it ended, if it has. */
  ended: string | undefined
  readonly #child: ChildProcess
  readonly #output: string

  constructor(name: string, child: ChildProcess, output: string) {
    this.name = name
    this.pid = child.pid ?? 0
    this.#child = child
    this.#output = output
    child.on("message", (message: Reached | Met) => {
      if ("met" in message) {
        this.met += 1
        return
      }
      this.reached = message.reached
      this.position = message.position
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

  disk(fault: DiskFault): void {
    if (this.ended === undefined) this.#child.send(fault)
  }

  isStopped(): boolean {
    return /^State:\s+T/m.test(readFileSync(`/proc/${this.pid}/status`, "utf8"))
  }
}

/** Starts a program of this folder with its job. */
export const startPart = <Job extends { readonly name: string }>(
  folder: string,
  program: "publisher" | "subscriber" | "laggard" | "holder",
  job: Job
): Effect.Effect<Part, never, Scope.Scope> =>
  startNode(folder, job.name, [pathOf(`${program}.ts`), JSON.stringify(job)], { hasChannel: true })

/** Starts `ringfence` with these arguments. */
export const startServer = (
  folder: string,
  name: string,
  args: ReadonlyArray<string>
): Effect.Effect<Part, never, Scope.Scope> => startNode(folder, name, [ringfence, ...args], { hasChannel: false })

/** The same, over a disk that writes down what it syncs, and fails on command. */
export const startOnDisk = (
  folder: string,
  name: string,
  args: ReadonlyArray<string>,
  disk: DiskJob
): Effect.Effect<Part, never, Scope.Scope> => {
  const env = { ...process.env, [diskVariable]: JSON.stringify(disk) }
  return startNode(folder, name, ["--import", pathOf("disk.ts"), ringfence, ...args], { hasChannel: true, env })
}

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

const pathOf = (program: string): string => fileURLToPath(new URL(program, import.meta.url))

const ringfence = pathOf("../../src/programs/ringfence.ts")

interface Starting {
  /** Whether it talks with this process. */
  readonly hasChannel: boolean
  readonly env?: NodeJS.ProcessEnv
}

const startNode = (folder: string, name: string, args: ReadonlyArray<string>, { env, hasChannel }: Starting) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const output = join(folder, `${name}.out`)
      const file = openSync(output, "a")
      const child = spawn(process.execPath, args, {
        ...env === undefined ? {} : { env },
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
