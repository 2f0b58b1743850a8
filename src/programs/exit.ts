/**
 * How a program ends: the exit code of each kind of failure, and the one line that says what happened.
 */
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import { writeNotice } from "./standard-streams.ts"

/** The exit codes of every `ringfence` command. */
export const exitCode = {
  ok: 0,
  /** The program did its work, and what it found is wrong. */
  checkFailed: 1,
  /** The command line, the configuration or the input. */
  usage: 2,
  /** No region that can be used, or nobody serves it. */
  unavailable: 3,
  /** Something was waited for and did not come in time. */
  timeout: 4,
  /** The log, this session of it, or the swarm ended while it was in use. */
  logLost: 5,
  /** Standard output could not be written. */
  output: 6,
  /** An error of this program itself. */
  internal: 70,
  interrupted: 130
} as const

/** The exit codes as the help shows them. */
export const exitCodesText = "0 ok, 1 a check failed, 2 usage or input, 3 region unavailable, 4 timeout, 5 log lost, "
  + "6 output failed, 70 internal error, 130 interrupted"

export const exitCodeOf = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return exitCode.ok
  if (Cause.hasInterruptsOnly(exit.cause)) return exitCode.interrupted
  return codeOfError(Cause.squash(exit.cause))
}

/** One line for people, with what can be done about it; `undefined` where nothing is to be said. */
export const describeFailure = (cause: Cause.Cause<unknown>): string | undefined => {
  if (Cause.hasInterruptsOnly(cause)) return undefined
  const error = Cause.squash(cause)
  const tag = tagOf(error)
  if (tag !== undefined && silent.has(tag)) return undefined
  const message = oneLine(error instanceof Error ? error.message : String(error))
  if (tag === undefined) return `ringfence: internal error: ${message} (RINGFENCE_DEBUG=true shows where)`
  const hint = hints[tag]
  return `ringfence: ${message}${hint === undefined ? "" : ` (${hint})`}`
}

/** Says on standard error why the program failed. Where it failed is told under `RINGFENCE_DEBUG=true` only. */
export const reportFailure = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.tapCause(program, (cause) =>
    Effect.gen(function*() {
      const line = describeFailure(cause)
      if (line === undefined) return
      yield* writeNotice(line)
      if (yield* debugging) yield* writeNotice(Cause.pretty(cause))
    }))

export const teardown: Runtime.Teardown = (exit, onExit) => onExit(exitCodeOf(exit))

// --- internal ---

const debugging = Config.Boolean("RINGFENCE_DEBUG").pipe(Effect.orElseSucceed(() => false))

const codes: Readonly<Record<string, number>> = {
  OutputClosed: exitCode.ok,
  OutputFailed: exitCode.output,
  LeftoversFound: exitCode.checkFailed,
  ConfigError: exitCode.usage,
  SettingInvalid: exitCode.usage,
  TargetAmbiguous: exitCode.usage,
  InputUnreadable: exitCode.usage,
  TopicUnknown: exitCode.usage,
  TopicMismatch: exitCode.usage,
  TopicInvalid: exitCode.usage,
  RecordTooLarge: exitCode.usage,
  PositionTrimmed: exitCode.usage,
  RegionError: exitCode.unavailable,
  LogCorrupt: exitCode.unavailable,
  Backpressure: exitCode.timeout,
  AckTimeout: exitCode.timeout,
  LogLost: exitCode.logLost,
  JoinRefused: exitCode.unavailable,
  RingUnavailable: exitCode.unavailable,
  BarrierTimedOut: exitCode.timeout,
  RingFull: exitCode.timeout,
  CoordinatorLost: exitCode.logLost,
  PublisherClosed: exitCode.logLost
}

/** What can be done about it, for errors whose message does not say so itself. */
const hints: Readonly<Record<string, string>> = {
  TopicUnknown: "declare it with `ringfence serve --topic NAME`, or publish to it first",
  Backpressure: "--deadline waits longer",
  AckTimeout: "--deadline waits longer",
  LogCorrupt: "start `ringfence serve` again"
}

/** Said already, or nobody is there to hear it. */
const silent = new Set(["ShowHelp", "OutputClosed"])

const codeOfError = (error: unknown): number => {
  const tag = tagOf(error)
  if (tag === undefined) return exitCode.internal
  // The parser's own code for a bad command line is the one of a failed check here.
  if (tag === "ShowHelp") return Runtime.getErrorExitCode(error) === 0 ? exitCode.ok : exitCode.usage
  if (tag === "RegionError" && isInvalid(error)) return exitCode.usage
  return codes[tag] ?? Runtime.getErrorExitCode(error)
}

const isInvalid = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "fault" in error && error.fault === "invalid"

const tagOf = (error: unknown): string | undefined =>
  error instanceof Error && "_tag" in error && typeof error._tag === "string" ? error._tag : undefined

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, "; ")
