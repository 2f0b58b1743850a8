/**
 * Exit codes: the code of each kind of failure, and the one line that reports it.
 */
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import { placesMax } from "../../services/schema/Geometry.ts"
import { RegionError } from "../../services/schema/RegionError.ts"
import { reportsAs } from "./command-line.ts"
import { type Envelope, envelopeOf } from "./report.ts"
import { flagsOfSizes, withFlagOf } from "./size-settings.ts"
import { writeNotice } from "./streams.ts"
import { flagsTo } from "./target.ts"

/** The exit codes of every `ringfence` command. */
export const exitCode = {
  ok: 0,
  /** The program did its work, but a check failed or it found a problem. */
  checkFailed: 1,
  /** The command line, the configuration or the input is wrong. */
  usage: 2,
  /** There is no usable region, or no process serves it. */
  unavailable: 3,
  /** A deadline passed. */
  timeout: 4,
  /** The log, this session of it, or the swarm ended while it was in use. */
  regionLost: 5,
  /** Standard output could not be written. */
  output: 6,
  /** A defect of this program. */
  internal: 70,
  /** The process that started this program is gone, or the promised lifeline is missing. */
  ownerGone: 99,
  /**
   * The terminal was closed: SIGHUP. This and the two below are the codes that a shell reports for a program ended by
   * the signal.
   */
  hungUp: 129,
  /** Ctrl-C: SIGINT. */
  interrupted: 130,
  /** SIGTERM before the work was done. */
  terminated: 143
} as const

/** The exit codes as the help shows them. */
export const exitCodesText = "0 ok, 1 a check failed, 2 usage or input, 3 region unavailable, 4 timeout, 5 log or "
  + "swarm lost, 6 output failed, 70 internal error, 99 owner gone, 129 hung up, 130 interrupted, 143 terminated "
  + "(serve, replica and swarm, which run until then, end with 0 when they are hung up or terminated)"

/** The signals on which a program releases its resources and ends. */
export const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const
export type EndingSignal = typeof endingSignals[number]

/** The signal that told the program to end, if any. */
export interface ToldToEnd {
  readonly signal: EndingSignal | undefined
  /** True for `serve`, `replica` and `swarm`, which run until then: a service manager that stops one must see success. */
  readonly untilTerminated: boolean
}

export const exitCodeOf = (exit: Exit.Exit<unknown, unknown>, told: ToldToEnd): number => {
  if (Exit.isSuccess(exit)) return exitCode.ok
  return Cause.hasInterruptsOnly(exit.cause) ? codeOfSignal(told) : codeOfError(Cause.squash(exit.cause))
}

/** Why a program failed; under `--json` the `error` key. */
export interface Failure {
  readonly _tag: string
  readonly message: string
  /** The next step for the user. */
  readonly hint?: string
  /** The fault of a `RegionError`. */
  readonly fault?: string
  readonly region?: string
}

/** The error as JSON, with the keys that every report begins with. */
export interface FailureReport extends Envelope {
  readonly error: Failure
}

/** The failure to print; `undefined` for an interruption. */
export const failureOf = (cause: Cause.Cause<unknown>): Failure | undefined => {
  if (Cause.hasInterruptsOnly(cause)) return undefined
  const error = Cause.squash(cause)
  const tag = tagOf(error)
  if (tag !== undefined && silent.has(tag)) return undefined
  if (tag === undefined) {
    const message = `internal error: ${oneLine(error instanceof Error ? error.message : String(error))}`
    return { _tag: "InternalError", message, hint: "run it with RINGFENCE_DEBUG=true to see where" }
  }
  if (error instanceof RegionError) return regionFailure(error)
  const hint = ownHint(error) ?? hints[tag]
  const message = withoutHint(oneLine((error as Error).message), ownHint(error))
  return { _tag: tag, message, ...(hint === undefined ? {} : { hint }) }
}

/** The failure as one line of text. */
export const describeFailure = ({ hint, message }: Failure): string => `ringfence: ${withHint(message, hint)}`

/** The failure as one line of JSON. */
export const failureReport = (program: string, exitCode: number, error: Failure): FailureReport => ({
  ...envelopeOf(program, exitCode),
  error
})

/** Prints to standard error why the program failed, with the stack under `RINGFENCE_DEBUG=true`. */
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
  DamageFound: exitCode.checkFailed,
  ReplicaDamaged: exitCode.unavailable,
  ReplicaMissing: exitCode.unavailable,
  DiskError: exitCode.unavailable,
  GroupUnusable: exitCode.usage,
  RegionsOutOfReach: exitCode.unavailable,
  ConfigError: exitCode.usage,
  SettingInvalid: exitCode.usage,
  TargetAmbiguous: exitCode.usage,
  RestoreAmbiguous: exitCode.usage,
  InputUnreadable: exitCode.usage,
  TopicUnknown: exitCode.usage,
  TopicMismatch: exitCode.usage,
  TopicInvalid: exitCode.usage,
  RecordTooLarge: exitCode.usage,
  PositionTrimmed: exitCode.usage,
  RegionError: exitCode.unavailable,
  HistoryUnreadable: exitCode.unavailable,
  ReplicaBusy: exitCode.unavailable,
  ReplicaForeign: exitCode.usage,
  ReplicaDiverged: exitCode.unavailable,
  LogCorrupt: exitCode.unavailable,
  Backpressure: exitCode.timeout,
  AckTimeout: exitCode.timeout,
  RegionLost: exitCode.regionLost,
  Deposed: exitCode.regionLost,
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
  PublisherFenced: exitCode.regionLost,
  CursorTaken: exitCode.regionLost,
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
  InputTooShort: exitCode.usage,
  DurationInvalid: exitCode.usage,
  // Errors of the log and the swarm that only a wrong request of the program itself can cause.
  ArgumentInvalid: exitCode.internal,
  ArrivalRefused: exitCode.internal,
  EventClash: exitCode.internal,
  MessageTooLarge: exitCode.internal,
  ModeMismatch: exitCode.internal,
  ValueInvalid: exitCode.internal,
  // Errors of the command-line parser. Requested help ends with `ShowHelp` too.
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

/** An error with an exit code: an error that is missing from the table does not compile. */
export interface CodedError {
  readonly _tag: keyof typeof codes
}

/** Hints for users of the command line: the errors' own texts address programmers. */
const hints: Readonly<Record<string, string>> = {
  TopicUnknown: "declare it with `ringfence serve --topic NAME`, or publish to it first",
  TopicMismatch: "leave out --order and --ack to use it as declared",
  RecordTooLarge: "`ringfence serve --batch-bytes` sets their size",
  PositionTrimmed: "--from start begins with the oldest record kept",
  Backpressure: "--deadline waits longer",
  AckTimeout: "--deadline waits longer",
  LogCorrupt: "end its server, and start `ringfence serve` again"
}

/** Hints for the faults of a region, instead of the error's own; `at` are the flags that name the region. */
const regionHint = ({ fault, hint, region, sizes = [] }: RegionError): string => {
  const at = flagsTo(region.includes("/") ? { path: region } : { region })
  // The error already names the process that holds the lock, and the next step.
  if (fault === "busy" && hint.includes("kill -CONT")) return hint
  switch (fault) {
    case "missing":
      return `start \`ringfence serve${at}\`, or check the name; \`ringfence doctor\` lists all regions`
    case "exists":
    case "busy":
      return `\`ringfence doctor${at}\` shows its users; serve another one with --${
        region.includes("/") ? "path" : "region"
      }`
    case "corrupt":
    case "truncated":
    case "otherHost":
      return `\`ringfence doctor${at} --repair\` removes it when no process uses it`
    case "versionMismatch":
      return `use the version of ringfence that created it; \`ringfence doctor${at} --repair\` removes it when no process uses it`
    case "foreignOwner":
      return "--allow-foreign uses it, if you trust that user and the group; a server needs another name"
    case "noSpace":
      return spaceHint(flagsOfSizes(sizes))
    case "recoverable":
      return `\`ringfence serve${at}\` continues its log; \`ringfence doctor${at} --repair --fresh\` discards it`
    case "notServing":
      return `start \`ringfence serve${at}\` again`
    case "full":
      return fullHint(sizes)
    case "unsupported":
      return ""
    default:
      return hint
  }
}

const regionFailure = (error: RegionError): Failure => {
  const hint = oneLine(regionHint(error))
  const [size = ""] = error.fault === "invalid" ? error.sizes ?? [] : []
  return {
    _tag: error._tag,
    message: oneLine(new RegionError({ ...error, detail: withFlagOf(size, error.detail), hint: "" }).message),
    ...(hint === "" ? {} : { hint }),
    fault: error.fault,
    region: error.region
  }
}

const ownHint = (error: unknown): string | undefined =>
  error instanceof Error && "hint" in error && typeof error.hint === "string" ? error.hint : undefined

// Errors whose messages end with their own hint.
const withoutHint = (message: string, hint: string | undefined): string =>
  hint !== undefined && message.endsWith(` (${hint})`) ? message.slice(0, -hint.length - 3) : message

const fullHint = (sizes: ReadonlyArray<string>): string => {
  if (sizes.includes("topics")) {
    return `use one of them, or end the users of one; \`ringfence serve --topics\` makes room for ${placesMax.topics} at most`
  }
  if (sizes.includes("clients")) {
    return `wait for another session to end; \`ringfence serve --clients\` makes room for ${placesMax.clients} at most`
  }
  return "wait for another process to end"
}

const spaceHint = (flags: ReadonlyArray<string>): string => {
  const more = "free some space there, or give it more, as `docker run --shm-size` does"
  return flags.length === 0 ? more : `${more}, or use less with ${flags.join(" or ")}`
}

/** Appends the hint inside the parentheses that end the message, if any. */
const withHint = (message: string, hint: string | undefined): string => {
  if (hint === undefined) return message
  return message.endsWith(")") ? `${message.slice(0, -1)}; ${hint})` : `${message} (${hint})`
}

/** Errors that are not reported: the help has been printed, or the output's reader is gone. */
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
