/**
 * Measures a process's doorbell alone: the cost of waking another process's event loop without sending or reading data.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Doorbell as Bell } from "../../src/layers/native/region/Doorbell.ts"
import { attempt, nativeModule } from "../../src/layers/native/region/NativeError.ts"
import { type RegionHandle, sleepsFor } from "../../src/native/binding.ts"
import { RegionError } from "../../src/services/schema/RegionError.ts"

export class Doorbell {
  /** Two words that the processes of the region share: the number of the last request, and of the last answer. */
  readonly words: Int32Array
  /** Called on the event loop, at most once each time it was armed, sometimes spuriously. */
  rung: () => void = () => undefined
  readonly #handle: RegionHandle
  readonly #bell: Bell

  constructor(handle: RegionHandle) {
    this.#handle = handle
    // Use a lane's memory: no log is served in this region.
    this.words = new Int32Array(handle.laneBuffer(0), 0, 2)
    this.#bell = new Bell(handle, () => this.rung(), "fifo")
  }

  arm(): void {
    this.#bell.arm(sleepsFor.data)
  }

  /** Before the region is closed. */
  close(): void {
    this.#bell.close()
  }

  /** Wakes that process, if it is armed. */
  ring(slot: number): void {
    this.#handle.wakeProcess(slot)
  }

  /** The slot of the process with that name. */
  slotOf(name: string): number | undefined {
    return this.#handle.processes().find((process) => process.alive && process.name === name)?.slot
  }
}

/** Attaches to the region at this path, with a doorbell of its own. */
export const openDoorbell = (
  path: string,
  processName: string
): Effect.Effect<Doorbell, RegionError, Scope.Scope> =>
  Effect.flatMap(nativeModule, (native) =>
    Effect.acquireRelease(
      attempt(path, () => native.attachRegion(path, processName, false)),
      (handle) => Effect.sync(() => handle.close())
    ).pipe(Effect.flatMap((handle) =>
      Effect.acquireRelease(
        attempt(path, () => new Doorbell(handle)),
        (doorbell) => Effect.sync(() => doorbell.close())
      )
    )))

/** Rings the peer that many times, each time after it has rung back, and returns the round trips in microseconds. */
export const askBarely = (doorbell: Doorbell, peer: string, trips: number): Effect.Effect<Float64Array, RegionError> =>
  Effect.flatMap(slotOf(doorbell, peer), (slot) =>
    Effect.callback<Float64Array>((resume) => {
      const { words } = doorbell
      const micros = new Float64Array(trips)
      let trip = 0
      let atMillis = 0
      const ask = () => {
        doorbell.arm()
        Atomics.store(words, asked, trip + 1)
        doorbell.ring(slot)
      }
      doorbell.rung = () => {
        if (Atomics.load(words, answered) !== trip + 1) doorbell.arm()
        // Check again after arming: a request that arrived before did not ring.
        if (Atomics.load(words, answered) !== trip + 1) return
        const now = performance.now()
        micros[trip] = 1000 * (now - atMillis)
        atMillis = now
        trip += 1
        if (trip < trips) ask()
        else resume(Effect.succeed(micros))
      }
      atMillis = performance.now()
      ask()
    }))

/** Answers the requests of the other side. */
export const answerBarely = (doorbell: Doorbell, peer: string, trips: number): Effect.Effect<void, RegionError> =>
  Effect.flatMap(slotOf(doorbell, peer), (slot) =>
    Effect.callback<void>((resume) => {
      const { words } = doorbell
      let trip = 0
      doorbell.rung = () => {
        doorbell.arm()
        if (Atomics.load(words, asked) !== trip + 1) return
        trip += 1
        Atomics.store(words, answered, trip)
        doorbell.ring(slot)
        if (trip === trips) resume(Effect.void)
      }
      doorbell.rung()
    }))

// --- internal ---

const asked = 0
const answered = 1

const slotOf = (doorbell: Doorbell, peer: string): Effect.Effect<number, RegionError> =>
  Effect.suspend(() => {
    const slot = doorbell.slotOf(peer)
    if (slot !== undefined) return Effect.succeed(slot)
    return Effect.fail(
      new RegionError({ fault: "missing", region: "", detail: `no process "${peer}" is attached`, hint: "" })
    )
  })
