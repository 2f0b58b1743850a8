/**
 * The options of a member and their defaults: names, deadlines, and two switches for demonstration and for tracing.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { millisOf } from "../../services/input/DurationInput.ts"
import type { WaitStrategy } from "../../services/Ring.ts"
import type { BarrierMode } from "../../services/schema/BarrierArrival.ts"
import type { CoordinatorLost, MemberId } from "../../services/schema/Member.ts"

/** What a fence saw of one target, where tracing is switched on. */
export interface BarrierTrace {
  readonly term: number
  readonly round: number
  readonly name: string
  readonly mode: BarrierMode
  readonly member: MemberId
  /** Whether this member waited as the coordinator, before the release, or for itself, after it. */
  readonly side: "coordinator" | "member"
  readonly ring: number
  readonly target: number
  /**
   * Where the reader was before it waited, and after. For a processing fence the coordinator looks at the readers of
   * all members: it is the position of the slowest.
   */
  readonly observed: number
  readonly reached: number
  /** Bytes of the ring between the reader and the target. */
  readonly backlogBefore: number
  readonly backlogAfter: number
  /** Messages that were delivered in this process meanwhile. */
  readonly messages: number
}

export interface SwarmOptions {
  /** The name that other members see. Default: the process's name. */
  readonly name?: string | undefined
  /** Becomes the coordinator of this region. Exactly one member does. */
  readonly coordinate?: boolean | undefined
  /** Takes over when the coordinator is gone. */
  readonly standby?: boolean | undefined
  /** The token by which this process was invited. */
  readonly invitation?: string | undefined
  /** 0 for the first life, incremented by each recovery. */
  readonly incarnation?: number | undefined
  /** `invitation` admits only processes that bring one. The coordinator's setting counts. Default `open`. */
  readonly admission?: "open" | "invitation" | undefined
  /** How long joining may take. The coordinator's setting says how long it tries to admit a process. Default 10 seconds. */
  readonly joinDeadline?: Duration.Input | undefined
  /** How long one process is admitted before the next one has its turn. The coordinator's setting counts. Default 1 second. */
  readonly joinTurn?: Duration.Input | undefined
  /** How long a sender waits for room before it fails. Default 30 seconds. */
  readonly roomDeadline?: Duration.Input | undefined
  /** Default 16 MiB. */
  readonly messageBytesMax?: number | undefined
  /** How long a request to the coordinator may take. Default 10 seconds. */
  readonly answerDeadline?: Duration.Input | undefined
  /** How long members wait for a standby. Default 2 seconds. */
  readonly failover?: Duration.Input | undefined
  /**
   * How often a member checks which processes live, and a fifth as often while nothing changes: a sleeping member is woken
   * when a process comes or goes. The coordinator checks at least four times in `suspectAfter`. Default 100 ms.
   */
  readonly livenessInterval?: Duration.Input | undefined
  /** How long a member that does not read the coordinator's ring is not yet suspect. Default 1 second. */
  readonly suspectAfter?: Duration.Input | undefined
  /**
   * How this member waits for messages: `spin` polls its rings without end and takes a core, `adaptive` polls for a
   * moment before it sleeps, `park` sleeps. Default `park`.
   */
  readonly strategy?: WaitStrategy | undefined
  /** `off` makes every fence a rendezvous. For tests and demonstration only; the coordinator's setting counts. */
  readonly drain?: "on" | "off" | undefined
  /** Called for each target of each fence that this member has waited for. What it throws is dropped. Default: none. */
  readonly trace?: ((event: BarrierTrace) => void) | undefined
  /**
   * Runs in a member when the swarm is lost to it: its coordinator is dead and no standby takes over. Default: a warning in
   * the log, because a program that only waits would run on without a word. `Coordinator.lost` ends such a program.
   */
  readonly onLost?: ((lost: CoordinatorLost) => Effect.Effect<void>) | undefined
  /** Runs in the coordinator when all members are ready to shut down, before any of them does. */
  readonly shutdownHook?: Effect.Effect<void> | undefined
}

type Switch = "trace" | "shutdownHook" | "onLost"

const defaultDurations = {
  joinDeadline: "10 seconds",
  joinTurn: "1 second",
  roomDeadline: "30 seconds",
  answerDeadline: "10 seconds",
  failover: "2 seconds",
  livenessInterval: "100 millis",
  suspectAfter: "1 second"
} as const satisfies Partial<SwarmOptions>

type Durations = keyof typeof defaultDurations

/** The same, with every default filled in, and times in milliseconds. */
export type ResolvedOptions =
  & { readonly [K in Exclude<keyof SwarmOptions, Switch | Durations>]-?: NonNullable<SwarmOptions[K]> }
  & { readonly [K in Durations as `${K}Millis`]: number }
  & {
    readonly trace: ((event: BarrierTrace) => void) | undefined
    readonly shutdownHook: Effect.Effect<void> | undefined
    readonly onLost: ((lost: CoordinatorLost) => Effect.Effect<void>) | undefined
  }

/** Throws `DurationInvalid`. */
export const resolveOptions = (options: SwarmOptions, processName: string): ResolvedOptions => ({
  name: options.name ?? processName,
  coordinate: options.coordinate ?? false,
  standby: options.standby ?? false,
  invitation: options.invitation ?? "",
  incarnation: options.incarnation ?? 0,
  admission: options.admission ?? "open",
  messageBytesMax: options.messageBytesMax ?? 16 * 1024 * 1024,
  joinDeadlineMillis: timeOf(options, "joinDeadline"),
  joinTurnMillis: timeOf(options, "joinTurn"),
  roomDeadlineMillis: timeOf(options, "roomDeadline"),
  answerDeadlineMillis: timeOf(options, "answerDeadline"),
  failoverMillis: timeOf(options, "failover"),
  // At least a millisecond, so that other fibers have a turn between two checks.
  livenessIntervalMillis: Math.max(1, timeOf(options, "livenessInterval")),
  suspectAfterMillis: timeOf(options, "suspectAfter"),
  strategy: options.strategy ?? "park",
  drain: options.drain ?? "on",
  trace: options.trace === undefined ? undefined : harmless(options.trace),
  shutdownHook: options.shutdownHook,
  onLost: options.onLost
})

// --- internal ---

const timeOf = (options: SwarmOptions, option: Durations): number =>
  millisOf(option, options[option] ?? defaultDurations[option])

// A tracer only observes: what it throws must not end a round.
const harmless = (trace: (event: BarrierTrace) => void) => (event: BarrierTrace): void => {
  try {
    trace(event)
  } catch {
    // Errors of the tracer are dropped.
  }
}
