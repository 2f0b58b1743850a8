/**
 * The in-memory backend.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Log from "../../../src/layers/Log.ts"
import { memoryDisk } from "../../../src/layers/memory/files/memoryDisk.ts"
import { HeapLog } from "../../../src/layers/memory/log/HeapLog.ts"
import { layerWithPorts } from "../../../src/layers/memory/log/layer.ts"
import { openLanes } from "../../../src/layers/memory/log/Publisher.ts"
import { layer as layerReplicated } from "../../../src/layers/memory/log/ReplicatedLog.ts"
import { openReader } from "../../../src/layers/memory/log/Subscriber.ts"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import { scopedPart } from "../../faults/manual.ts"
import { type Backend, type BackendOptions, OpenLanes, Relay } from "../log.ts"

export const memory: Backend = {
  name: "memory",
  disk: Effect.sync(() => ({ root: "", disk: memoryDisk() })),
  embedded: (options) => Log.layerMemory(optionsOf(options)),
  withLanes: (options) =>
    Layer.effect(
      OpenLanes,
      Effect.map(HeapLog, (log) =>
        OpenLanes.of({ open: (topic, options, continues) => openLanes(log, topic, options, continues) }))
    ).pipe(Layer.provideMerge(layerWithPorts(optionsOf(options)))),
  replicated: (options) => layerReplicated.pipe(Layer.provideMerge(layerWithPorts(optionsOf(options)))),
  relay: (options) =>
    Layer.effect(Relay, Effect.map(Log.MemoryServers, ({ kill, start }) => Relay.of({ end: kill, start }))).pipe(
      Layer.merge(layerReplicated),
      Layer.provideMerge(layerWithPorts({ ...options?.client, ...optionsOf(options) }))
    ),
  manual: (geometry, run) =>
    Effect.gen(function*() {
      const log = yield* HeapLog
      const sequencer = yield* Sequencer
      const { snapshot } = yield* Diagnostics
      return yield* run({
        open: (topic, claim) =>
          scopedPart(Effect.gen(function*() {
            const opening = yield* Effect.forkChild(
              openLanes(log, topic, { identity: claim?.identity }, claim?.continues),
              { startImmediately: true }
            )
            // An older session of the identity ends with the first step.
            for (let steps = claim === undefined ? 1 : 3; steps > 0 && opening.pollUnsafe() === undefined; steps -= 1) {
              yield* sequencer.step
              yield* Effect.yieldNow
            }
            return yield* Fiber.join(opening)
          })),
        attach: (topic, from) => scopedPart(openReader(log, topic, { from, name: "reader" })),
        step: sequencer.step,
        snapshot
      })
    }).pipe(Effect.scoped, Effect.provide(layerWithPorts({ geometry, drive: "manual" })))
}

// --- internal ---

const optionsOf = ({ disk, geometry, history, serve }: BackendOptions = {}): Log.MemoryOptions => ({
  ...serve,
  disk,
  geometry,
  history
})
