/**
 * The child's side of the protocol with its parent program.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { ChildProgram, Progress, Report } from "./protocol.ts"

/** The parent ended before it sent a job, or the command to begin or to finish. */
export class ParentGone extends Schema.TaggedError<ParentGone>()("ParentGone", {}) {
  override get message(): string {
    return "the program that started this one ended before the work was done"
  }
}

/** The program that started this one. */
export interface Parent<Result> {
  readonly ready: Effect.Effect<void>
  /** May be called often: it sends only a few reports a second. */
  readonly progress: (records: number, bytes: number) => void
  readonly result: (result: Result) => Effect.Effect<void, Schema.SchemaError>
  readonly begin: Effect.Effect<void, ParentGone>
  /** Returns when the work that was kept back may be finished. */
  readonly finish: Effect.Effect<void, ParentGone>
  readonly end: Effect.Effect<void>
}

/**
 * Runs this process as a child: reads the job from standard input and reports failures as values. The end of standard
 * input ends the child too, so that no child outlives its parent.
 */
export const runChild = <Job, Result, E>(
  spec: ChildProgram<Job, Result>,
  work: (job: Job, parent: Parent<Result>) => Effect.Effect<void, E, Scope.Scope>
): void => {
  const main = Effect.gen(function*() {
    const words = yield* listen
    const job = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(spec.job))(yield* Deferred.await(words.job))
    const progress = makeProgress()
    yield* work(job, {
      ready: Effect.sync(() => say({ _tag: "Ready" })),
      progress: progress.count,
      result: (result) =>
        Effect.map(Schema.encodeEffect(spec.result)(result), (encoded) => {
          progress.sayLast()
          say({ _tag: "Result", result: encoded })
        }),
      begin: Deferred.await(words.begin),
      finish: Deferred.await(words.finish),
      end: Deferred.await(words.end)
    })
  })
  main.pipe(
    Effect.tapCause((cause) => Effect.sync(() => say(failureOf(cause)))),
    Effect.scoped,
    Effect.provide(NodeStdio.layer),
    // Standard output carries the reports.
    Effect.provideService(Logger.LogToStderr, true),
    NodeRuntime.runMain({ disableErrorReporting: true })
  )
}

// --- internal ---

const progressMillis = 100

// Standard output is a pipe here, and writes to a pipe are synchronous: no report is lost when the process exits.
const say = (report: Report): void => {
  process.stdout.write(`${JSON.stringify(report)}\n`)
}

const makeProgress = () => {
  let saidAt = 0
  let last: Progress = { _tag: "Progress", records: 0, bytes: 0 }
  const sayLast = () => say(last)
  const count = (records: number, bytes: number): void => {
    last = { _tag: "Progress", records, bytes }
    const now = performance.now()
    if (now - saidAt < progressMillis) return
    saidAt = now
    sayLast()
  }
  return { count, sayLast }
}

const failureOf = (cause: Cause.Cause<unknown>): Report => {
  if (Cause.hasInterruptsOnly(cause)) return { _tag: "Failure", error: "Interrupted", detail: "it was told to stop" }
  const error = Cause.squash(cause)
  if (!(error instanceof Error)) return { _tag: "Failure", error: "Unknown", detail: Cause.pretty(cause) }
  const tag = "_tag" in error && typeof error._tag === "string" ? error._tag : undefined
  return tag === undefined
    ? { _tag: "Failure", error: error.name, detail: Cause.pretty(cause) }
    : { _tag: "Failure", error: tag, detail: error.message }
}

const listen = Effect.gen(function*() {
  const { stdin } = yield* Stdio.Stdio
  const job = yield* Deferred.make<string, ParentGone>()
  const begin = yield* Deferred.make<void, ParentGone>()
  const finish = yield* Deferred.make<void, ParentGone>()
  const end = yield* Deferred.make<void>()
  const hear = (line: string) => {
    if (line === "begin") return Deferred.succeed(begin, undefined)
    if (line === "finish") return Deferred.succeed(finish, undefined)
    if (line === "end") return Deferred.succeed(end, undefined)
    return Deferred.succeed(job, line)
  }
  yield* stdin.pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.runForEach(hear),
    Effect.ignore,
    Effect.andThen(Effect.suspend(() => {
      const gone = new ParentGone()
      return Effect.all([
        Deferred.fail(job, gone),
        Deferred.fail(begin, gone),
        Deferred.fail(finish, gone),
        Deferred.succeed(end, undefined)
      ])
    })),
    Effect.forkScoped
  )
  return { job, begin, finish, end }
})
