/**
 * Runs the real command as real processes. A process that outlives its test is killed with the test's scope.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundled } from "../bundles.ts"

/** The awaited output, end or state did not occur. */
export class NotSeen extends Schema.TaggedError<NotSeen>()("NotSeen", {
  what: Schema.String,
  stdout: Schema.String,
  stderr: Schema.String
}) {
  override get message(): string {
    return `not seen: ${this.what}\n--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`
  }
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
  /** A file for its standard output, which is then not kept here. */
  readonly output?: string
  /** For programs that start many others. */
  readonly patience?: Duration.Input
  /** Another entry than `ringfence`: its path in the repository. */
  readonly program?: string
}

/** Far more than most waits take, and less than a test may take. */
const patience = Duration.seconds(20)

export class Program {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #stdout: Array<Buffer> = []
  readonly #stderr: Array<Buffer> = []
  readonly #listeners = new Set<() => void>()
  readonly #patience: Duration.Input
  #ended: Ended | undefined

  constructor(child: ChildProcess, patienceOf: Duration.Input = patience) {
    this.#child = child
    this.#patience = patienceOf
    this.pid = child.pid ?? 0
    child.stdout?.on("data", (bytes: Buffer) => this.#changed(() => this.#stdout.push(bytes)))
    child.stderr?.on("data", (bytes: Buffer) => this.#changed(() => this.#stderr.push(bytes)))
    child.stdin?.on("error", () => undefined)
    child.once("close", (code, signal) => this.#changed(() => this.#ended = { code, signal }))
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#stdout)
  }

  get text(): string {
    return this.stdout.toString()
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString()
  }

  /** Returns once it has ended and all its output is read. */
  readonly ended: Effect.Effect<Ended, NotSeen> = Effect.suspend(() => this.until("its end", () => this.#ended))

  get code(): Effect.Effect<number | null, NotSeen> {
    return Effect.map(this.ended, ({ code }) => code)
  }

  /** The first match on standard output, past or future. */
  told(pattern: RegExp): Effect.Effect<RegExpExecArray, NotSeen> {
    return this.until(`${pattern} on standard output`, () => pattern.exec(this.text) ?? undefined)
  }

  noticed(pattern: RegExp): Effect.Effect<RegExpExecArray, NotSeen> {
    return this.until(`${pattern} on standard error`, () => pattern.exec(this.stderr) ?? undefined)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  write(input: string): void {
    this.#child.stdin?.write(input)
  }

  /** Ends its standard input. */
  endInput(input: string | Uint8Array = ""): void {
    this.#child.stdin?.end(input)
  }

  /** Closes the reading end of its standard output, as `| head` does. */
  closeOutput(): void {
    this.#child.stdout?.destroy()
  }

  /** Stops reading, so that its pipe fills. */
  holdOutput(): void {
    this.#child.stdout?.pause()
  }

  resumeOutput(): void {
    this.#child.stdout?.resume()
  }

  until<A>(what: string, check: () => A | undefined): Effect.Effect<A, NotSeen> {
    return Effect.callback<A>((resume) => {
      const look = () => {
        const found = check()
        if (found !== undefined) resume(Effect.succeed(found))
        return found !== undefined
      }
      if (look()) return
      this.#listeners.add(look)
      return Effect.sync(() => this.#listeners.delete(look))
    }).pipe(
      Effect.timeoutOrElse({
        duration: this.#patience,
        orElse: () => Effect.fail(new NotSeen({ what, stdout: this.text.slice(-2000), stderr: this.stderr }))
      })
    )
  }

  #changed(change: () => void): void {
    change()
    for (const listener of this.#listeners) listener()
  }
}

/** The command. */
export const ringfence = bundled("src/programs/ringfence.ts")

/** Starts `ringfence` with these arguments. */
export const start = (
  args: ReadonlyArray<string>,
  options: RunOptions = {}
): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(node, [options.program === undefined ? ringfence : join(root, options.program), ...args], {
        env: { ...process.env, ...options.env },
        stdio: ["pipe", options.output === undefined ? "pipe" : openSync(options.output, "w"), "pipe"]
      })
      const program = new Program(child, options.patience)
      if (options.input !== undefined) program.endInput(options.input)
      return program
    }),
    (program) => {
      program.signal("SIGKILL")
      return Effect.ignore(program.ended)
    }
  )

/** Runs it to its end. Without `input` its standard input is empty. */
export const run = (
  args: ReadonlyArray<string>,
  options: RunOptions = {}
): Effect.Effect<
  { readonly code: number | null; readonly stdout: Buffer; readonly text: string; readonly stderr: string },
  NotSeen
> =>
  Effect.scoped(Effect.gen(function*() {
    const program = yield* start(args, { input: "", ...options })
    const code = yield* program.code
    return { code, stdout: program.stdout, text: program.text, stderr: program.stderr }
  }))

/** A server of a small region, ready. */
export const serve = (region: string, ...args: ReadonlyArray<string>): Effect.Effect<Program, NotSeen, Scope.Scope> =>
  serveWith(small, region, ...args)

export const serveWith = (
  sizes: ReadonlyArray<string>,
  region: string,
  ...args: ReadonlyArray<string>
): Effect.Effect<Program, NotSeen, Scope.Scope> =>
  Effect.gen(function*() {
    // Runs after the server was killed with its scope: no other process removes the region then.
    yield* Effect.addFinalizer(() => Effect.sync(() => removeRegion(region)))
    const server = yield* start(["serve", "--region", region, ...sizes, ...args])
    yield* server.told(/serving region|"Serving"/)
    return server
  })

/** Sizes that fit anywhere, so that a few megabytes make many laps. */
export const small: ReadonlyArray<string> = [
  "--brokers",
  "2",
  "--clients",
  "4",
  "--lane-bytes",
  "256KiB",
  "--batch-bytes",
  "16KiB"
]

/** A name that no other run uses. */
export const freshRegion = (what: string): string => `test-cli-${what}-${process.pid}-${(counter += 1)}`

/** Whether the file is there that processes attach to. */
export const isNamed = (region: string): boolean => filesOf(region).includes(`ringfence-${region}`)

/** The files of a region in shared memory: itself, its temporary file, and its processes' doorbells. */
export const filesOf = (region: string): ReadonlyArray<string> =>
  readdirSync("/dev/shm").filter((name) => name === `ringfence-${region}` || name.startsWith(`ringfence-${region}.`))

/** Removes what a killed server left. */
export const removeRegion = (region: string): void => {
  for (const name of filesOf(region)) rmSync(join("/dev/shm", name))
}

/** Polls, for states without an event. */
export const untilTrue = (what: string, check: () => boolean): Effect.Effect<void, NotSeen> =>
  Effect.gen(function*() {
    while (!check()) yield* Effect.sleep(2)
  }).pipe(
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () => Effect.fail(new NotSeen({ what, stdout: "", stderr: "" }))
    })
  )

/** A folder that is removed with the test's scope. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "ringfence-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** Children of a process, as the system lists them; each with its command line. */
export const childrenOf = (parent: number): ReadonlyArray<{ readonly pid: number; readonly command: string }> =>
  readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const [, rest = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")
      if (Number(rest.split(" ")[1]) !== parent) return []
      return [{ pid: Number(pid), command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ") }]
    } catch {
      return []
    }
  })

/** True if the process exists and is not merely unreaped. */
export const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

// --- internal ---

let counter = 0

const root = fileURLToPath(new URL("../..", import.meta.url))

// Use the repository's Node.js: the test runner's may be older and not strip types.
const own = join(root, "node_modules/.bin/node")
const node = existsSync(own) ? own : process.execPath
