/**
 * The options of a member and their defaults: names, deadlines, and two switches for demonstration and for tracing.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { millisOf } from "../../services/input/DurationInput.ts"
import type { WaitStrategy } from "../../services/Ring.ts"
import type { BarrierMode } from "../../services/schema/BarrierArrival.ts"
import type { CoordinatorLost, MemberId } from "../../services/schema/Member.ts"

/** A fence's wait for one target, if tracing is switched on. */
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
   * The reader's position before the wait, and after it. For a processing fence the coordinator waits for all members'
   * readers, and this is the slowest one's.
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
  /** Whether it becomes the coordinator of this region, as exactly one member does. */
  readonly coordinate?: boolean | undefined
  /** Whether it may take over when the coordinator is gone. */
  readonly standby?: boolean | undefined
  /** The token of this process's invitation. */
  readonly invitation?: string | undefined
  /** 0 for the first life, incremented by each recovery. */
  readonly incarnation?: number | undefined
  /** `invitation` admits only invited processes. The coordinator's setting counts. Default `open`. */
  readonly admission?: "open" | "invitation" | undefined
  /**
   * How long joining may take. The coordinator's setting bounds its attempts to admit a process. Default 10 seconds.
   */
  readonly joinDeadline?: Duration.Input | undefined
  /**
   * How long a joining process's turn lasts before the next one's. The coordinator's setting counts. Default 1 second.
   */
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
   * How often a member checks which processes live. While nothing changes it checks a fifth as often, because a
   * sleeping member is woken when a process attaches or goes. The coordinator checks at least four times in
   * `suspectAfter`. Default 100 ms.
   */
  readonly livenessInterval?: Duration.Input | undefined
  /** How long a member may leave the coordinator's ring unread before it is a suspect. Default 1 second. */
  readonly suspectAfter?: Duration.Input | undefined
  /**
   * How this member waits for messages: `spin` polls its rings without end and takes a core, `adaptive` polls for as long
   * as that pays, at most about 100 microseconds, before it sleeps, and not while as many other processes of the region poll
   * as there are cores but one, `park` sleeps. Default `park`.
   */
  readonly strategy?: WaitStrategy | undefined
  /** `off` makes every fence a rendezvous. For tests and demonstration only; the coordinator's setting counts. */
  readonly drain?: "on" | "off" | undefined
  /** Called for each target of each fence that this member has waited for. Its errors are dropped. Default: none. */
  readonly trace?: ((event: BarrierTrace) => void) | undefined
  /**
   * Runs in a member when its coordinator is dead and no standby takes over. Default: logs a warning, because a program
   * that only waits would otherwise run on silently. `Coordinator.lost` ends such a program.
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

/** The options with every default filled in, and times in milliseconds. */
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

// A tracer only observes: its errors must not end a round.
const harmless = (trace: (event: BarrierTrace) => void) => (event: BarrierTrace): void => {
  try {
    trace(event)
  } catch {
    // Drop the tracer's error.
  }
}
