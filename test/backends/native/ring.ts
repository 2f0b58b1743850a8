/**
 * Rings over shared memory: each process of a test is an attachment of its own.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as CxlMemory from "../../../src/layers/CxlMemory.ts"
import { DoorbellKind } from "../../../src/layers/native/region/Doorbell.ts"
import { NativeRegion } from "../../../src/layers/native/region/NativeRegion.ts"
import { layer as layerRing } from "../../../src/layers/native/ring/Ring.ts"
import { RingPorts } from "../../../src/layers/ports/RingPorts.ts"
import type { Coherence } from "../../../src/services/CxlMemory.ts"
import { freshRegion } from "../../processes/harness.ts"
import { flipAt, pokeAt, type RingBackend, type RingProcess } from "../ring.ts"

// Flushed memory is rung by threads, so that both doorbells pass the suites.
const over = (coherence: Coherence): RingBackend => ({
  name: coherence === "coherent" ? "native" : "native, flushed",
  usesTestClock: false,
  elapse: (millis) => Effect.sleep(millis),
  region: (geometry, run) =>
    Effect.gen(function*() {
      const region = freshRegion("rings")
      yield* Layer.build(CxlMemory.layerShm({ region, geometry, coherence, processName: "owner" }))
      return yield* run({ attach: (processName) => attach(region, processName) })
    }).pipe(Effect.scoped, Effect.provideService(DoorbellKind, coherence === "coherent" ? "fifo" : "thread"))
})

export const nativeRings = over("coherent")
export const nativeRingsFlushed = over("flushed")

// --- internal ---

const attach = (
  region: string,
  processName: string
): Effect.Effect<RingProcess, CxlMemory.RegionError, Scope.Scope> =>
  Effect.gen(function*() {
    const attached = CxlMemory.layerAttach({ region, processName })
    const context = yield* Layer.build(layerRing.pipe(Layer.provideMerge(attached)))
    const native = Context.get(context, NativeRegion)
    return {
      memory: Context.get(context, CxlMemory.CxlMemory),
      ring: Context.get(context, RingPorts),
      kill: kill(native),
      poke: (name, position, bytes) =>
        change(native, name, (ring, ringBytes) => pokeAt(ring, position, ringBytes, bytes)),
      flip: (name, position, bits) => change(native, name, (ring, ringBytes) => flipAt(ring, position, ringBytes, bits))
    }
  })

// Releases what the operating system releases for a dead process, and runs nothing of the process itself.
const kill = ({ handle, waiter }: NativeRegion["Service"]) =>
  Effect.sync(() => {
    waiter.close()
    handle.close()
  })

/** Writes to a ring's bytes as a hostile process might. */
export const change = (
  { handle, info }: NativeRegion["Service"],
  ring: string,
  write: (bytes: Uint8Array, ringBytes: number) => void
): Effect.Effect<void> =>
  Effect.sync(() => {
    const reader = handle.openRingReader(ring, "change")
    write(new Uint8Array(reader.buffer()), info.geometry.ringBytes)
    reader.close()
  })
