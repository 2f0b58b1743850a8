/**
 * A backend of rings under test: the same suites run over each.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { RingPorts } from "../../src/layers/ports/RingPorts.ts"
import { makeRing } from "../../src/layers/ring/makeRing.ts"
import type { CxlMemory } from "../../src/services/CxlMemory.ts"
import type { RingReaderOptions, RingWriterOptions } from "../../src/services/Ring.ts"
import type { Geometry } from "../../src/services/schema/Geometry.ts"
import type { RegionError } from "../../src/services/schema/RegionError.ts"
import { stamped } from "../suites/ring/stamps.ts"
import { smallestLog } from "./geometry.ts"

/** A process of the region: over shared memory an attachment of its own, in the heap a fiber's. */
export interface RingProcess {
  readonly memory: CxlMemory["Service"]
  readonly ring: RingPorts["Service"]
  /** Ends it as SIGKILL would: at once, and without a message. */
  readonly kill: Effect.Effect<void>
  /** Overwrites a ring's bytes at that position. */
  readonly poke: (ring: string, position: number, bytes: Uint8Array) => Effect.Effect<void>
  /** Flips those bits of a ring's bytes at that position. */
  readonly flip: (ring: string, position: number, bits: Uint8Array) => Effect.Effect<void>
}

export interface RingSwarm {
  readonly attach: (name: string) => Effect.Effect<RingProcess, RegionError, Scope.Scope>
}

export interface RingBackend {
  readonly name: string
  /** Lets that much time pass. */
  readonly elapse: (millis: number) => Effect.Effect<void>
  readonly usesTestClock: boolean
  readonly region: <A, E>(
    geometry: Partial<Geometry>,
    run: (swarm: RingSwarm) => Effect.Effect<A, E, Scope.Scope>
  ) => Effect.Effect<A, E | RegionError>
}

/** Overwrites a ring's bytes at that position with `bytes`. */
export const pokeAt = (ring: Uint8Array, position: number, ringBytes: number, bytes: Uint8Array): void => {
  ring.set(bytes, position % ringBytes)
}

/** Flips the bits that are set in `bits` in a ring's bytes, from that position on. */
export const flipAt = (ring: Uint8Array, position: number, ringBytes: number, bits: Uint8Array): void => {
  const at = position % ringBytes
  ring.set(bits.map((bit, i) => bit ^ (ring[at + i] as number)), at)
}

/** Rings of one page, so that suites reach every edge quickly. */
export const smallRings: Partial<Geometry> = {
  ...smallestLog,
  brokers: 1,
  processes: 8,
  rings: 4,
  ringReaders: 4,
  ringBytes: 4096
}

/** A test over one region, under the backend's clock. */
export const ringTest = <A, E>(
  backend: RingBackend,
  promise: string,
  run: (swarm: RingSwarm) => Effect.Effect<A, E, Scope.Scope>,
  geometry: Partial<Geometry> = {}
): void => {
  const test = backend.usesTestClock ? it.effect : it.live
  test(promise, () => backend.region({ ...smallRings, ...geometry }, run))
}

export const writerOf = (process: RingProcess, options: Partial<RingWriterOptions> = {}) =>
  makeRing(process.ring).writer({ name: "ring", ...options })

export const readerOf = (process: RingProcess, options: Partial<RingReaderOptions> = {}) =>
  makeRing(process.ring).reader({ name: "ring", strategy: "park", ...options })

/** Runs the opening in a scope of its own, which can be closed before the test ends. */
export const part = Effect.fnUntraced(function*<A, E>(opening: Effect.Effect<A, E, Scope.Scope>) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const port = yield* Scope.provide(opening, scope)
  return { port, close: Scope.close(scope, Exit.void) }
})

/**
 * Offers stamped messages, from `sequence` on, until one is refused, and returns its sequence. A ring of one page that
 * refuses nothing fails the test.
 */
export const fill = (offer: (message: Uint8Array) => boolean, sequence = 0, length = 96): number => {
  let next = sequence
  while (offer(stamped(next, length))) {
    next += 1
    assert.isBelow(next, sequence + 1000, "the ring is never full")
  }
  return next
}

/** Waits until it holds, and lets other fibers run in between. */
export const eventually = (backend: RingBackend, holds: () => boolean) =>
  Effect.gen(function*() {
    for (let i = 0; i < 2000 && !holds(); i += 1) yield* backend.elapse(1)
    assert.isTrue(holds(), "it never came true")
  })

/** Asserts that the fiber still runs after that much time. */
export const staysWaiting = Effect.fnUntraced(function*(
  backend: RingBackend,
  fiber: Fiber.Fiber<any, any>,
  millis = 20
) {
  yield* backend.elapse(millis)
  assert.isUndefined(fiber.pollUnsafe(), "it did not wait")
})
