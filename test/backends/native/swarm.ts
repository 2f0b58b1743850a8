/**
 * Swarms over shared memory: each member of a test is an attachment of its own.
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
import * as Swarm from "../../../src/layers/Swarm.ts"
import type { Coherence } from "../../../src/services/CxlMemory.ts"
import { freshRegion } from "../../processes/harness.ts"
import { flipAt } from "../ring.ts"
import type { SwarmBackend, SwarmProcess } from "../swarm.ts"
import { change } from "./ring.ts"

// Flushed memory is rung by threads, so that both doorbells pass the suites.
const over = (coherence: Coherence): SwarmBackend => ({
  name: coherence === "coherent" ? "native" : "native, flushed",
  usesTestClock: false,
  elapse: (millis) => Effect.sleep(millis),
  region: (sizes, run) =>
    Effect.gen(function*() {
      const region = freshRegion("swarm")
      const geometry = Swarm.geometry(sizes)
      yield* Layer.build(CxlMemory.layerShm({ region, geometry, coherence, processName: "owner" }))
      return yield* run((processName) => attach(region, processName))
    }).pipe(Effect.scoped, Effect.provideService(DoorbellKind, coherence === "coherent" ? "fifo" : "thread"))
})

export const nativeSwarms = over("coherent")
export const nativeSwarmsFlushed = over("flushed")

// --- internal ---

const attach = (
  region: string,
  processName: string
): Effect.Effect<SwarmProcess, CxlMemory.RegionError, Scope.Scope> =>
  Effect.gen(function*() {
    const attached = CxlMemory.layerAttach({ region, processName })
    const context = yield* Layer.build(layerRing.pipe(Layer.provideMerge(attached)))
    const state = { dead: false }
    const native = Context.get(context, NativeRegion)
    return {
      memory: Context.get(context, CxlMemory.CxlMemory),
      ring: asLongAsItLives(Context.get(context, RingPorts), state),
      kill: kill(native, state),
      flip: (ring, position, bits) =>
        change(native, ring, (bytes, ringBytes) => flipAt(bytes, position, ringBytes, bits))
    }
  })

// Blinds the fibers of a killed member that still run in this process: a killed process has none.
const asLongAsItLives = (ring: RingPorts["Service"], state: { readonly dead: boolean }): RingPorts["Service"] => ({
  ...ring,
  openWriter: (name) => state.dead ? Effect.interruptible(Effect.never) : ring.openWriter(name),
  openReader: (name, reader) => state.dead ? Effect.interruptible(Effect.never) : ring.openReader(name, reader),
  openings: () => state.dead ? 0 : ring.openings(),
  lives: () => state.dead ? 0 : ring.lives(),
  rings: Effect.suspend(() => state.dead ? Effect.succeed([]) : ring.rings),
  readers: (index) => state.dead ? [] : ring.readers(index),
  isAlive: (process, generation) => !state.dead && ring.isAlive(process, generation)
})

// Releases what the operating system releases for a dead process, and runs nothing of the process itself.
const kill = ({ handle, waiter }: NativeRegion["Service"], state: { dead: boolean }) =>
  Effect.sync(() => {
    state.dead = true
    waiter.close()
    handle.close()
  })
