/**
 * A region in this heap that several processes share. Its processes are fibers: each attaches for itself, has its slot
 * and its generation, and can die without a word.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type AttachedProcess, type RegionInfo, RegionLost } from "../../../services/CxlMemory.ts"
import type { Waiter } from "../../../services/Lane.ts"
import type { Geometry } from "../../../services/schema/Geometry.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import type { HeapRing } from "../ring/HeapRing.ts"
import { ChangeSignal } from "./ChangeSignal.ts"
import { resolveGeometry } from "./HeapGeometry.ts"

export interface HeapRegionOptions {
  /** What reports and errors call it. Default `memory`. */
  readonly region?: string | undefined
  /** Sizes that differ from the small ones of this backend. Without `rings` there are none. */
  readonly geometry?: Partial<Geometry> | undefined
}

/** What waits are for: nobody is woken by what does not concern it. */
export type WaitsFor = "frames" | "room" | "cursor"

export class HeapRegion {
  readonly name: string
  readonly geometry: Geometry
  /** By slot: the process that has it, or had it last. */
  readonly processes: Array<HeapProcess> = []
  readonly rings: Array<HeapRing> = []

  #lives = 0

  constructor(name: string, geometry: Geometry) {
    this.name = name
    this.geometry = geometry
  }

  isAlive(slot: number, generation: number): boolean {
    const process = this.processes[slot]
    return process?.generation === generation && process.isAlive
  }

  /** Counts the times that processes came or went. */
  get lives(): number {
    return this.#lives
  }

  livesChanged(): void {
    this.#lives += 1
    this.ring("frames", "room", "cursor")
  }

  /** Those of all processes that wait for one of these look again. */
  ring(...reasons: ReadonlyArray<WaitsFor>): void {
    for (const process of this.processes) for (const reason of reasons) process.ring(reason)
  }
}

/** A process of a heap region. Once it is dead, nothing that it or its finalizers do has any effect. */
export class HeapProcess {
  readonly region: HeapRegion
  readonly slot: number
  readonly generation: number
  readonly name: string
  #state: "attached" | "detached" | "killed" = "attached"

  constructor(region: HeapRegion, slot: number, generation: number, name: string) {
    this.region = region
    this.slot = slot
    this.generation = generation
    this.name = name
  }

  get isAlive(): boolean {
    return this.#state === "attached"
  }

  get isKilled(): boolean {
    return this.#state === "killed"
  }

  /** The slot comes free. What this process waits for ends with `RegionLost`. */
  detach(): void {
    this.#end("detached")
  }

  /** Dies as by SIGKILL: its fibers are where they were, but what they wait for never comes. */
  kill(): void {
    this.#end("killed")
  }

  readonly #bells: Readonly<Record<WaitsFor, ChangeSignal>> = {
    frames: new ChangeSignal(),
    room: new ChangeSignal(),
    cursor: new ChangeSignal()
  }

  /** Nobody rings for the dead. */
  ring(reason: WaitsFor): void {
    if (this.isAlive) this.#bells[reason].ring()
  }

  // In a turn of its own each: whoever rings goes on first, as it would if those who wait were in other processes.
  readonly #waiterFor = (reason: WaitsFor): Waiter => ({
    until: <A>(check: () => A | undefined) => {
      const attempt: Effect.Effect<A, RegionLost> = Effect.suspend(() => {
        const round = this.#bells[reason].round
        if (this.#state === "detached") {
          return Effect.fail(new RegionLost({ region: this.region.name, reason: "stopped" }))
        }
        const found = this.isAlive ? check() : undefined
        if (found !== undefined) return Effect.succeed(found)
        return round.await.pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(attempt))
      })
      return attempt
    }
  })

  /** Rung when something was written to a ring that this process reads, and when a ring gets or loses its writer. */
  readonly waiter: Waiter = this.#waiterFor("frames")
  /** Rung when a reader gives room back to a writer of this process that wants it. */
  readonly roomWaiter: Waiter = this.#waiterFor("room")
  /** Rung when a reader gets further, comes, goes or is evicted. */
  readonly cursorWaiter: Waiter = this.#waiterFor("cursor")

  #end(state: "detached" | "killed"): void {
    if (!this.isAlive) return
    this.#state = state
    // Those of a process that was killed wait on for ever, and are not looked at again.
    if (state === "detached") { for (const bell of Object.values(this.#bells)) bell.ring() }
    this.region.livesChanged()
  }
}

export const makeHeapRegion = (options: HeapRegionOptions = {}): Effect.Effect<HeapRegion, RegionError> => {
  const name = options.region ?? "memory"
  return Effect.map(resolveGeometry(name, options.geometry), (geometry) => new HeapRegion(name, geometry))
}

/** A process takes the first slot whose last owner is gone, and gives it up with the scope. */
export const attachHeap = (
  region: HeapRegion,
  processName: string
): Effect.Effect<HeapProcess, RegionError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const free = region.processes.findIndex(({ isAlive }) => !isAlive)
      const slot = free < 0 ? region.processes.length : free
      if (slot >= region.geometry.processes) return Effect.fail(full(region))
      const generation = (region.processes[slot]?.generation ?? 0) + 1
      const process = new HeapProcess(region, slot, generation, processName)
      region.processes[slot] = process
      region.livesChanged()
      return Effect.succeed(process)
    }),
    (process) => Effect.sync(() => process.detach())
  )

export const heapInfoOf = ({ generation, region, slot }: HeapProcess): RegionInfo => ({
  name: region.name,
  path: "",
  backing: "heap",
  regionId: region.name,
  bytes: region.geometry.rings * region.geometry.ringBytes,
  geometry: region.geometry,
  owner: slot === 0 && generation === 1
})

export const heapProcessesOf = ({ processes }: HeapRegion): ReadonlyArray<AttachedProcess> =>
  processes.map(({ generation, isAlive, name, slot }) => ({ slot, generation, pid: process.pid, name, alive: isAlive }))

// --- internal ---

const full = ({ geometry, name }: HeapRegion) =>
  new RegionError({
    fault: "full",
    region: name,
    detail: `all ${geometry.processes} process slots are taken`,
    hint: "close some, or create the region with room for more"
  })
