/**
 * A swarm: processes that share a region, know each other, send messages and meet at barriers.
 *
 * @example
 * ```ts
 * import { Barrier, Swarm } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const main = Barrier.use((barrier) => barrier.enter("ready")).pipe(
 *   Effect.provide(Swarm.layerCoordinator({ region: "orchestra", name: "conductor" }))
 * )
 * ```
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Barrier } from "../services/Barrier.ts"
import { Coordinator } from "../services/Coordinator.ts"
import type { CxlMemory as Memory } from "../services/CxlMemory.ts"
import type { Messenger } from "../services/Messenger.ts"
import type { Ring } from "../services/Ring.ts"
import type { Geometry } from "../services/schema/Geometry.ts"
import type { CoordinatorLost } from "../services/schema/Member.ts"
import { RegionError } from "../services/schema/RegionError.ts"
import type { LifelineMissing, Spawner } from "../services/Spawner.ts"
import * as CxlMemory from "./CxlMemory.ts"
import type { HeapRegion } from "./memory/region/HeapRegion.ts"
import { CurrentHeapRegions, HeapRegions } from "./memory/region/HeapRegions.ts"
import { holdLifeline } from "./native/region/Lifeline.ts"
import type { NativeRegion } from "./native/region/NativeRegion.ts"
import * as ChildProcesses from "./node/ChildProcesses.ts"
import { takeOwnEnvironment } from "./node/OwnEnvironment.ts"
import type { RingPorts } from "./ports/RingPorts.ts"
import * as Rings from "./Rings.ts"
import * as Spawning from "./swarm/children/Spawner.ts"
import { layer } from "./swarm/layer.ts"
import type { CurrentSwarmMember, JoinError } from "./swarm/SwarmMember.ts"
import type { SwarmOptions } from "./swarm/SwarmOptions.ts"
import { ringsOfSwarm } from "./swarm/transport/FrameAddress.ts"

export { layer } from "./swarm/layer.ts"
export type { BarrierTrace, SwarmOptions } from "./swarm/SwarmOptions.ts"

/** The services of a member. */
export type Member = Coordinator | Messenger | Barrier | CurrentSwarmMember

export interface SwarmSizes {
  /** Members that may live at once. Default 16. */
  readonly members?: number | undefined
  /** Bytes of each ring; a member has three. A power of two, default 512 KiB, or less where free space is short. */
  readonly ringBytes?: number | undefined
  /** Further rings, for `Ring.writer` and `Ring.reader`. Default 8. */
  readonly plainRings?: number | undefined
}

/** Sizes of a region for a swarm, with the smallest log that a region can have. */
export const geometry = ({ members = 16, plainRings = 8, ringBytes = 512 * 1024 }: SwarmSizes = {}): Geometry => ({
  brokers: 1,
  clients: 1,
  topics: 1,
  readers: 1,
  laneSlots: 8,
  laneBytes: 32_768,
  batchBytes: 4096,
  indexEntries: 64,
  // The region's owner takes a slot of its own.
  processes: members + 1,
  rings: ringsOfSwarm(members + 1) + plainRings,
  ringReaders: members + 1,
  ringBytes
})

/** The sizes that may be reduced where free space is short: the rings', unless it was set. */
export const shrinkableSizes = ({ ringBytes }: SwarmSizes = {}): ReadonlyArray<CxlMemory.ShrinkableSize> =>
  ringBytes === undefined ? ["ringBytes"] : []

export interface CoordinatorOptions extends SwarmOptions, SwarmSizes {
  /** Name of the region: `/dev/shm/ringfence-<region>`. */
  readonly region: string
}

export interface MemberOptions extends SwarmOptions {
  readonly region: string
  /** Whether to join a region of another user. Default false. */
  readonly allowForeign?: boolean | undefined
}

type Native = Member | Ring | RingPorts | Memory | NativeRegion

/** Creates the region and coordinates its swarm. */
export const layerCoordinator = (options: CoordinatorOptions): Layer.Layer<Native, JoinError> =>
  layer({ ...options, coordinate: true }).pipe(
    Layer.provideMerge(Rings.layerNative),
    Layer.provideMerge(
      CxlMemory.layerShm({
        region: options.region,
        geometry: geometry(options),
        shrinkable: shrinkableSizes(options),
        processName: options.name,
        // A log of the same name is no swarm's.
        leftLog: "refuse"
      })
    )
  )

/** Attaches to the region and joins its swarm. */
export const layerMember = (options: MemberOptions): Layer.Layer<Native, JoinError> => {
  const { allowForeign, name: processName, region } = options
  return layer(options).pipe(
    Layer.provideMerge(Rings.layerNative),
    Layer.provideMerge(CxlMemory.layerAttach({ region, processName, allowForeign }))
  )
}

/**
 * Runs a program while the swarm exists: once the coordinator is dead and no standby takes over, it interrupts the
 * program and fails with `CoordinatorLost`.
 *
 * @example
 * ```ts
 * import { Coordinator, Swarm } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const worker = Coordinator.use((swarm) => swarm.publish("worker")).pipe(Effect.andThen(Effect.never), Effect.scoped)
 *
 * export const main = Swarm.run(worker).pipe(
 *   Effect.provide(Swarm.layerMember({ region: "orchestra", name: "worker" }))
 * )
 * ```
 */
export const run = <A, E, R>(
  program: Effect.Effect<A, E, R>
): Effect.Effect<A, E | CoordinatorLost, R | Coordinator> =>
  Coordinator.use(({ lost }) => Effect.raceFirst(program, lost))

export interface ChildOptions extends Omit<SwarmOptions, "coordinate" | "invitation" | "incarnation"> {
  /** Default: the region named in the environment. */
  readonly region?: string | undefined
  readonly allowForeign?: boolean | undefined
}

/**
 * Joins the swarm named in this process's environment, under the name and with the invitation given there. Attaches the
 * promised lifeline first: this process then ends, with exit code 99, once its owner is gone.
 */
export const layerChild = (options: ChildOptions = {}): Layer.Layer<Native, JoinError | LifelineMissing> =>
  Layer.unwrap(Effect.gen(function*() {
    const told = yield* takeOwnEnvironment
    if (told.lifeline !== undefined) yield* holdLifeline(told.lifeline)
    const { allowForeign, name = told.name, region, standby = told.standby, ...rest } = options
    const at = region === undefined ? told.at : { region }
    if (at === undefined) return yield* nowhere
    const { invitation, incarnation } = told
    return layer({ ...rest, name, standby, invitation, incarnation }).pipe(
      Layer.provideMerge(Rings.layerNative),
      Layer.provideMerge(CxlMemory.layerAttach({ ...at, processName: name, allowForeign }))
    )
  }))

export interface MemoryOptions extends SwarmOptions, SwarmSizes {
  /** Members of one test with the same region find each other. Default `memory`. */
  readonly region?: string | undefined
}

/**
 * A member in this heap, in plain TypeScript: provides what `layerCoordinator`, `layerMember` and `layerChild` provide,
 * by the same protocol, deterministic under `TestClock`. A test replaces only that layer.
 *
 * Members that name the same region are a swarm. The first member creates the region, and coordinates unless its
 * options say otherwise; the last one removes it, so nothing is left for the next test. Tests that run in one process
 * at the same time need different region names, or a set of regions each from {@link layerMemoryRegions}.
 *
 * @example
 * ```ts
 * import { Coordinator, Swarm } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const test = Coordinator.use(({ members }) => Effect.sync(members)).pipe(
 *   Effect.provide(Swarm.layerMemory({ name: "alone" }))
 * )
 * ```
 */
export const layerMemory = (
  options: MemoryOptions = {}
): Layer.Layer<Member | Ring | RingPorts | Memory, JoinError> => {
  const { members, name = "member", plainRings, region: regionName = "memory", ringBytes = 64 * 1024, ...rest } =
    options
  return Layer.unwrap(Effect.gen(function*() {
    const regions = yield* CurrentHeapRegions
    const sizes = { region: regionName, geometry: geometry({ members, plainRings, ringBytes }) }
    const { isNew, region } = yield* regions.use(regionName, sizes)
    return layerHeapMember(region, { ...rest, coordinate: rest.coordinate ?? isNew, name })
  }))
}

/** A separate set of regions for {@link layerMemory}, invisible outside the layer. */
export const layerMemoryRegions: Layer.Layer<never> = Layer.effect(
  CurrentHeapRegions,
  Effect.sync(() => new HeapRegions())
)

/**
 * For tests: kills the members of {@link layerMemory} with that name as SIGKILL would, without a message to other
 * members. Nothing that they or their finalizers do afterwards has any effect. True when such a member was alive.
 */
export const killMemoryMember = (
  { name, region = "memory" }: { readonly name: string; readonly region?: string | undefined }
): Effect.Effect<boolean> =>
  Effect.map(CurrentHeapRegions, (regions) => {
    const living = regions.find(region)?.processes.filter((process) => process.isAlive && process.name === name) ?? []
    for (const process of living) process.kill()
    return living.length > 0
  })

/**
 * Starts processes that become members, and invites others, from any member; the coordinator admits them. A layer graph
 * builds it anew for each member that it is provided with.
 */
export const layerSpawner: Layer.Layer<Spawner, never, CurrentSwarmMember | Memory> = Layer.fresh(
  Layer.provide(Spawning.layer, ChildProcesses.layer)
)

/** A member that is a fiber of this process, in a region in the heap: the same protocol without shared memory. */
export const layerHeapMember = (
  region: HeapRegion,
  options: SwarmOptions & { readonly name: string }
): Layer.Layer<Member | Ring | RingPorts | Memory, JoinError> =>
  layer(options).pipe(Layer.provideMerge(Rings.layerHeapProcess(region, { processName: options.name })))

/** A region in the heap for a swarm of these sizes. */
export const makeHeapRegion = (
  sizes: SwarmSizes & { readonly region?: string } = {}
): Effect.Effect<HeapRegion, RegionError> =>
  Rings.makeHeapRegion({ region: sizes.region, geometry: geometry({ ringBytes: 64 * 1024, ...sizes }) })

// --- internal ---

const nowhere = Effect.fail(
  new RegionError({
    fault: "invalid",
    region: "",
    detail: "the environment of this process names no swarm to join",
    hint: "set RINGFENCE_REGION to its region"
  })
)
