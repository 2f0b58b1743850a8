/**
 * How a program ends: the exit code of each kind of failure, and the one line that says what happened.
 */
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import { RegionError } from "../../services/schema/RegionError.ts"
import { reportsAs } from "./command-line.ts"
import { type Envelope, envelopeOf } from "./report.ts"
import { flagsOfSizes } from "./size-settings.ts"
import { writeNotice } from "./streams.ts"
import { flagsTo } from "./target.ts"

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
  regionLost: 5,
  /** Standard output could not be written. */
  output: 6,
  /** An error of this program itself. */
  internal: 70,
  /** Whoever started this program is gone, or did not hold the lifeline that it had promised. */
  ownerGone: 99,
  /** The terminal is closed: SIGHUP. This and the two below are what a shell shows of a program that a signal ended. */
  hungUp: 129,
  /** Ctrl-C: SIGINT. */
  interrupted: 130,
  /** SIGTERM, and the work was not done yet. */
  terminated: 143
} as const

/** The exit codes as the help shows them. */
export const exitCodesText = "0 ok, 1 a check failed, 2 usage or input, 3 region unavailable, 4 timeout, 5 log or "
  + "swarm lost, 6 output failed, 70 internal error, 99 owner gone, 129 hung up, 130 interrupted, 143 terminated "
  + "(serve and swarm, which run until then, end with 0 when they are hung up or terminated)"

/** The signals that end a program, all in the same way: it gives back what it holds. */
export const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const
export type EndingSignal = typeof endingSignals[number]

/** How a program was told to end, if it was. */
export interface ToldToEnd {
  readonly signal: EndingSignal | undefined
  /** It runs until then: a service manager that stops it is to see that it did so. */
  readonly untilTerminated: boolean
}

export const exitCodeOf = (exit: Exit.Exit<unknown, unknown>, told: ToldToEnd): number => {
  if (Exit.isSuccess(exit)) return exitCode.ok
  return Cause.hasInterruptsOnly(exit.cause) ? codeOfSignal(told) : codeOfError(Cause.squash(exit.cause))
}

/** Why a program failed. Under `--json` it is what an error has besides the keys that a report begins with, too. */
export interface Failure {
  readonly _tag: string
  readonly message: string
  /** What can be done about it. */
  readonly hint?: string
  /** A region's fault tells more than the name of its error. */
  readonly fault?: string
  readonly region?: string
}

/** The error as JSON: it begins as every report does. */
export interface FailureReport extends Envelope {
  readonly error: Failure
}

/** What is to be said of a failure; `undefined` where nothing is. */
export const failureOf = (cause: Cause.Cause<unknown>): Failure | undefined => {
  if (Cause.hasInterruptsOnly(cause)) return undefined
  const error = Cause.squash(cause)
  const tag = tagOf(error)
  if (tag !== undefined && silent.has(tag)) return undefined
  if (tag === undefined) {
    const message = `internal error: ${oneLine(error instanceof Error ? error.message : String(error))}`
    return { _tag: "InternalError", message, hint: "RINGFENCE_DEBUG=true shows where" }
  }
  if (error instanceof RegionError) return regionFailure(error)
  const hint = ownHint(error) ?? hints[tag]
  const message = withoutHint(oneLine((error as Error).message), ownHint(error))
  return { _tag: tag, message, ...(hint === undefined ? {} : { hint }) }
}

/** One line for people. */
export const describeFailure = ({ hint, message }: Failure): string => `ringfence: ${withHint(message, hint)}`

/** The same for machines. */
export const failureReport = (program: string, exitCode: number, error: Failure): FailureReport => ({
  ...envelopeOf(program, exitCode),
  error
})

/** Says on standard error why the program failed. Where it failed is told under `RINGFENCE_DEBUG=true` only. */
export const reportFailure = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.tapCause(program, (cause) =>
    Effect.gen(function*() {
      const failure = failureOf(cause)
      if (failure === undefined) return
      const { json, program } = reportsAs(process.argv.slice(2))
      const code = codeOfError(Cause.squash(cause))
      yield* writeNotice(json ? JSON.stringify(failureReport(program, code, failure)) : describeFailure(failure))
      if (yield* debugging) yield* writeNotice(Cause.pretty(cause))
    }))

// --- internal ---

const debugging = Config.Boolean("RINGFENCE_DEBUG").pipe(Effect.orElseSucceed(() => false))

const codes = {
  OutputClosed: exitCode.ok,
  OutputFailed: exitCode.output,
  LeftoversFound: exitCode.checkFailed,
  GroupUnusable: exitCode.usage,
  RegionsOutOfReach: exitCode.unavailable,
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
  RegionLost: exitCode.regionLost,
  JoinRefused: exitCode.unavailable,
  SwarmUnavailable: exitCode.unavailable,
  SpawnFailed: exitCode.usage,
  LifelineMissing: exitCode.ownerGone,
  RingUnavailable: exitCode.unavailable,
  RingClosed: exitCode.unavailable,
  BarrierTimedOut: exitCode.timeout,
  RingFull: exitCode.timeout,
  CoordinatorLost: exitCode.regionLost,
  PublisherClosed: exitCode.regionLost,
  MemberGone: exitCode.regionLost,
  RangeLost: exitCode.regionLost,
  ShuttingDown: exitCode.regionLost,
  NameMissing: exitCode.timeout,
  RunStalled: exitCode.timeout,
  ChecksFailed: exitCode.checkFailed,
  ChildDied: exitCode.checkFailed,
  ChildFailed: exitCode.checkFailed,
  DemoImpossible: exitCode.usage,
  InputEmpty: exitCode.usage,
  DurationInvalid: exitCode.usage,
  // What a program of ours asks of the swarm is wrong: its own error.
  ArrivalRefused: exitCode.internal,
  EventClash: exitCode.internal,
  MessageTooLarge: exitCode.internal,
  ModeMismatch: exitCode.internal,
  ValueInvalid: exitCode.internal,
  // The command line's own. `ShowHelp` is how help that was asked for ends, too.
  ShowHelp: exitCode.usage,
  DuplicateOption: exitCode.usage,
  InvalidValue: exitCode.usage,
  MissingArgument: exitCode.usage,
  MissingOption: exitCode.usage,
  UnexpectedArgument: exitCode.usage,
  UnknownSubcommand: exitCode.usage,
  UnrecognizedOption: exitCode.usage,
  UserError: exitCode.usage,
  ValidationError: exitCode.usage
} as const

/** An error that has an exit code: one that is not in the table does not compile. */
export interface CodedError {
  readonly _tag: keyof typeof codes
}

/** What can be done about it here, at a command line: the errors themselves speak to whoever writes a program. */
const hints: Readonly<Record<string, string>> = {
  TopicUnknown: "declare it with `ringfence serve --topic NAME`, or publish to it first",
  TopicMismatch: "without --order and --ack it is used as it is declared",
  RecordTooLarge: "`ringfence serve --batch-bytes` sets their size",
  PositionTrimmed: "--from start begins with the oldest",
  Backpressure: "--deadline waits longer",
  AckTimeout: "--deadline waits longer",
  LogCorrupt: "end its server, and start `ringfence serve` again"
}

/** The same for the faults of a region, instead of what the error says; `at` is how its commands name the region. */
const regionHint = ({ detail, fault, hint, region, sizes = [] }: RegionError): string => {
  const at = flagsTo(region.includes("/") ? { path: region } : { region })
  // What another process has in its hands: the error itself says which process, and what helps.
  if (fault === "busy" && hint.includes("kill -CONT")) return hint
  switch (fault) {
    case "missing":
      return `start \`ringfence serve${at}\`, or check the name; \`ringfence doctor\` lists what there is`
    case "exists":
    case "busy":
      return `\`ringfence doctor${at}\` shows who uses it; serve another one with --${
        region.includes("/") ? "path" : "region"
      }`
    case "corrupt":
    case "truncated":
      return `\`ringfence doctor${at} --repair\` removes it when no process uses it`
    case "versionMismatch":
      return `use the version of ringfence that made it; \`ringfence doctor${at} --repair\` removes it when no process uses it`
    case "foreignOwner":
      return "--allow-foreign uses it, if you trust that user and the group; a server needs another name"
    case "noSpace":
      return spaceHint(flagsOfSizes(sizes))
    case "notServing":
      return `start \`ringfence serve${at}\` again`
    case "full":
      return fullHint(detail)
    case "unsupported":
      return ""
    default:
      return hint
  }
}

const regionFailure = (error: RegionError): Failure => {
  const hint = oneLine(regionHint(error))
  return {
    _tag: error._tag,
    message: oneLine(new RegionError({ ...error, hint: "" }).message),
    ...(hint === "" ? {} : { hint }),
    fault: error.fault,
    region: error.region
  }
}

const ownHint = (error: unknown): string | undefined =>
  error instanceof Error && "hint" in error && typeof error.hint === "string" ? error.hint : undefined

// Errors that know what helps say so at the end of their message.
const withoutHint = (message: string, hint: string | undefined): string =>
  hint !== undefined && message.endsWith(` (${hint})`) ? message.slice(0, -hint.length - 3) : message

const fullHint = (detail: string): string => {
  if (detail.includes("topics of")) return "use one of them; `ringfence serve --topics` makes room for more"
  if (detail.includes("session")) {
    return "wait for others to end; `ringfence serve --clients` makes room for more sessions"
  }
  return "wait for others to end"
}

const spaceHint = (flags: ReadonlyArray<string>): string => {
  const more = "free some space there, or give it more, as `docker run --shm-size` does"
  return flags.length === 0 ? more : `${more}, or ask for less with ${flags.join(" or ")}`
}

/** Within the parentheses that end the message, where there are some. */
const withHint = (message: string, hint: string | undefined): string => {
  if (hint === undefined) return message
  return message.endsWith(")") ? `${message.slice(0, -1)}; ${hint})` : `${message} (${hint})`
}

/** Said already, or nobody is there to hear it. */
const silent = new Set(["ShowHelp", "OutputClosed"])

const codeOfSignal = ({ signal, untilTerminated }: ToldToEnd): number => {
  if (signal === undefined || signal === "SIGINT") return exitCode.interrupted
  if (untilTerminated) return exitCode.ok
  return signal === "SIGTERM" ? exitCode.terminated : exitCode.hungUp
}

export const codeOfError = (error: unknown): number => {
  const tag = tagOf(error)
  if (tag === undefined) return exitCode.internal
  if (tag === "ShowHelp" && Runtime.getErrorExitCode(error) === 0) return exitCode.ok
  if (error instanceof RegionError && error.fault === "invalid") return exitCode.usage
  if (error instanceof RegionError && error.fault === "notAnswering") return exitCode.timeout
  return (codes as Readonly<Record<string, number>>)[tag] ?? exitCode.internal
}

const tagOf = (error: unknown): string | undefined =>
  error instanceof Error && "_tag" in error && typeof error._tag === "string" ? error._tag : undefined

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, "; ")
