/**
 * Starts child programs. They end with the scope that started them, and their death is a typed error.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ChildProcess from "effect/process/ChildProcess"
import type { ChildProcessHandle } from "effect/process/ChildProcessSpawner"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ChildProgram, Word } from "./protocol.ts"
import { Report } from "./protocol.ts"

/** The child ended, or was killed, before it had done its work. */
export class ChildDied extends Schema.TaggedError<ChildDied>()("ChildDied", {
  child: Schema.String,
  pid: Schema.Int,
  how: Schema.String,
  lastWords: Schema.String
}) {
  override get message(): string {
    const words = this.lastWords === "" ? "" : `; it last said: ${this.lastWords}`
    return `${this.child} (pid ${this.pid}) died: ${this.how}${words}`
  }
}

/** The child failed and reported why. */
export class ChildFailed extends Schema.TaggedError<ChildFailed>()("ChildFailed", {
  child: Schema.String,
  pid: Schema.Int,
  error: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.child} (pid ${this.pid}) failed with ${this.error}: ${this.detail}`
  }
}

export type ChildError = ChildDied | ChildFailed

export interface Child<out Result> {
  readonly name: string
  readonly pid: number
  readonly ready: Effect.Effect<void, ChildError>
  readonly result: Effect.Effect<Result, ChildError>
  /** Waits until the process has ended with exit code 0. */
  readonly finished: Effect.Effect<void, ChildError>
  readonly tell: (word: Word) => Effect.Effect<void>
  /** The last counts it reported. */
  readonly progress: () => { readonly records: number; readonly bytes: number }
}

/**
 * Starts a child and gives it its job. When the scope closes the child gets SIGTERM, and SIGKILL if it has not ended
 * within a few seconds.
 */
export const spawn = Effect.fnUntraced(function*<Job, Result>(spec: ChildProgram<Job, Result>, name: string, job: Job) {
  const encodedJob = yield* Effect.orDie(Schema.encodeEffect(Schema.fromJsonString(spec.job))(job))
  const handle = yield* ChildProcess.make(process.execPath, [spec.entry, name], {
    forceKillAfter: "3 seconds"
  }).pipe(Effect.mapError((error) => new ChildDied({ child: name, pid: 0, how: error.message, lastWords: "" })))

  const input = yield* Queue.unbounded<string, Cause.Done>()
  yield* Queue.offer(input, `${encodedJob}\n`)
  // Ignore a failed write to a dead child: its exit is reported.
  yield* Stream.fromQueue(input).pipe(Stream.encodeText, Stream.run(handle.stdin), Effect.ignore, Effect.forkScoped)

  const state = yield* watch(handle, spec, name)
  const tell = (word: Word) =>
    word === "end"
      ? Effect.andThen(Queue.offer(input, "end\n"), Queue.end(input)).pipe(Effect.asVoid)
      : Effect.asVoid(Queue.offer(input, `${word}\n`))
  const child: Child<Result> = { ...state, name, pid: handle.pid, tell }
  return child
})

/** Runs the effect for all children, and fails as soon as one fails. */
export const all = <A, Result>(
  children: ReadonlyArray<Child<Result>>,
  f: (child: Child<Result>) => Effect.Effect<A, ChildError>
): Effect.Effect<Array<A>, ChildError> => Effect.forEach(children, f, { concurrency: "unbounded" })

/** Starts a child and waits until it is ready. */
export const started = Effect.fnUntraced(
  function*<Job, Result>(spec: ChildProgram<Job, Result>, name: string, job: Job) {
    const child = yield* spawn(spec, name, job)
    yield* child.ready
    return child
  }
)

/** Tells the children to end, and waits until they are gone. */
export const end = (children: ReadonlyArray<Child<unknown>>): Effect.Effect<void, ChildError> =>
  Effect.andThen(all(children, ({ tell }) => tell("end")), Effect.asVoid(all(children, ({ finished }) => finished)))

// --- internal ---

const lastWordsLength = 2000

const watch = Effect.fnUntraced(function*<Job, Result>(
  handle: ChildProcessHandle,
  spec: ChildProgram<Job, Result>,
  child: string
) {
  const pid = handle.pid
  const ready = yield* Deferred.make<void, ChildError>()
  const result = yield* Deferred.make<Result, ChildError>()
  const finished = yield* Deferred.make<void, ChildError>()
  let counts = { records: 0, bytes: 0 }
  let lastWords = ""

  const fail = (error: ChildError) =>
    Effect.all([Deferred.fail(ready, error), Deferred.fail(result, error), Deferred.fail(finished, error)], {
      discard: true
    })
  const die = (how: string) => fail(new ChildDied({ child, pid, how, lastWords: lastWords.trim() }))

  const hear = Effect.fnUntraced(function*(line: string) {
    const report = yield* decodeReport(line)
    switch (report._tag) {
      case "Ready":
        return yield* Deferred.succeed(ready, undefined)
      case "Progress":
        counts = { records: report.records, bytes: report.bytes }
        return true
      case "Result":
        return yield* Deferred.succeed(result, yield* Schema.decodeUnknownEffect(spec.result)(report.result))
      case "Failure":
        yield* fail(new ChildFailed({ child, pid, error: report.error, detail: report.detail }))
        return true
    }
  })

  const listen = handle.stdout.pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.runForEach(hear),
    Effect.catchTag("SchemaError", (error) => die(`its output is not a report: ${error.message}`)),
    Effect.catchTag("PlatformError", (error) => die(error.message))
  )
  const collectErrors = handle.stderr.pipe(
    Stream.decodeText,
    Stream.runForEach((text) =>
      Effect.sync(() => {
        lastWords = (lastWords + text).slice(-lastWordsLength)
      })
    ),
    Effect.ignore
  )
  yield* Effect.all([listen, collectErrors], { concurrency: "unbounded", discard: true }).pipe(
    Effect.andThen(howItEnded(handle)),
    Effect.flatMap((how) => how === undefined ? Deferred.succeed(finished, undefined) : die(how)),
    // Fail the pending waits: no report will come.
    Effect.andThen(die("it ended without a result")),
    Effect.forkScoped
  )
  return {
    ready: Deferred.await(ready),
    result: Deferred.await(result),
    finished: Deferred.await(finished),
    progress: () => counts
  }
})

const decodeReport = Schema.decodeUnknownEffect(Schema.fromJsonString(Report))

const howItEnded = (handle: ChildProcessHandle): Effect.Effect<string | undefined> =>
  handle.exitCode.pipe(
    Effect.map((code) => code === 0 ? undefined : `exit code ${code}`),
    Effect.catch((error) => {
      const signal = /signal: '(\w+)'/.exec(Cause.pretty(Cause.fail(error)))?.[1]
      return Effect.succeed(signal === undefined ? error.message : `killed by ${signal}`)
    })
  )
