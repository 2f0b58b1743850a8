/**
 * The native backend over anonymous shared memory.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as CxlMemory from "../../../src/layers/CxlMemory.ts"
import { GivenDisk, type ReplicaDisk } from "../../../src/layers/files/replica/ReplicaDisk.ts"
import * as Log from "../../../src/layers/Log.ts"
import { type ClientRegion, clientRegion } from "../../../src/layers/native/log/ClientRegion.ts"
import { layer as layerDiagnostics } from "../../../src/layers/native/log/Diagnostics.ts"
import { NativeLanePort } from "../../../src/layers/native/log/LanePort.ts"
import { admitLanes, claimSession } from "../../../src/layers/native/log/Publisher.ts"
import { layer as layerReplicated } from "../../../src/layers/native/log/ReplicatedLog.ts"
import * as NativeSequencer from "../../../src/layers/native/log/Sequencer.ts"
import { openReader } from "../../../src/layers/native/log/Subscriber.ts"
import { openTopic } from "../../../src/layers/native/log/Topics.ts"
import { nativeFileLock } from "../../../src/layers/native/region/FileLock.ts"
import { nodeDisk } from "../../../src/layers/node/NodeDisk.ts"
import * as Regions from "../../../src/layers/Regions.ts"
import { endReason } from "../../../src/native/binding.ts"
import type { Coherence } from "../../../src/services/CxlMemory.ts"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { PublisherFenced } from "../../../src/services/Publisher.ts"
import type { Topic } from "../../../src/services/schema/Topic.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import { type IdentityClaim, scopedPart } from "../../faults/manual.ts"
import { lanesOf } from "../lanes.ts"
import { type Backend, OpenLanes, Relay, type RelayOptions } from "../log.ts"

const onDisk = (disk: ReplicaDisk["Service"] | undefined) => Layer.provide(Layer.succeed(GivenDisk, disk))

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "ring-replicas-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const over = (coherence: Coherence): Backend => ({
  name: coherence === "coherent" ? "native" : "native, flushed",
  disk: Effect.map(temporaryFolder, (root) => ({ root, disk: { disk: nodeDisk, lock: nativeFileLock } })),
  embedded: (options) =>
    Log.layerClient({ history: options?.history }).pipe(
      Layer.provideMerge(Log.layerServe(options?.serve)),
      Layer.provideMerge(CxlMemory.layerAnonymous({ geometry: options?.geometry, coherence })),
      onDisk(options?.disk)
    ),
  withLanes: (options) =>
    Layer.effect(
      OpenLanes,
      Effect.map(clientRegion(), (region) =>
        OpenLanes.of({
          open: (topic, options, continues) => lanesOf(admitLanes(region, topic, options, continues)),
          admit: (topic, options, continues) => admitLanes(region, topic, options, continues)
        }))
    ).pipe(
      Layer.provideMerge(Log.layerEmbedded(options?.serve)),
      Layer.provideMerge(CxlMemory.layerAnonymous({ geometry: options?.geometry, coherence }))
    ),
  replicated: (options) =>
    layerReplicated().pipe(
      Layer.provideMerge(Log.layerEmbedded(options?.serve)),
      Layer.provideMerge(CxlMemory.layerAnonymous({ geometry: options?.geometry, coherence }))
    ),
  relay: (options = {}) => relay(coherence, options),
  manual: (geometry, run) =>
    Effect.gen(function*() {
      const region = yield* clientRegion()
      const sequencer = yield* Sequencer
      const { snapshot } = yield* Diagnostics
      return yield* run({
        open: (topic, claim) => scopedPart(openLanes(region, sequencer, topic, claim)),
        attach: (topic, from) =>
          scopedPart(Effect.gen(function*() {
            const place = yield* openTopic(region, topic, false)
            const reader = yield* openReader(region, place, { from, name: "reader" })
            return reader ?? (yield* Effect.die("the topic was freed"))
          })),
        step: sequencer.step,
        snapshot
      })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(NativeSequencer.layer({ drive: "manual" }), layerDiagnostics).pipe(
          Layer.provideMerge(CxlMemory.layerAnonymous({ geometry, coherence }))
        )
      )
    )
})

export const native = over("coherent")
export const nativeFlushed = over("flushed")

// --- internal ---

let relays = 0

// Each server is an attachment of its own, as if it were a process; the last one ends the log.
const relay = (coherence: Coherence, { client, disk, geometry, history, serve }: RelayOptions) =>
  Layer.unwrap(Effect.gen(function*() {
    const region = `test-relay-${process.pid}-${relays += 1}`
    const scope = yield* Effect.scope
    yield* Effect.addFinalizer(() => Effect.ignore(Regions.removeDead(CxlMemory.regionPath(region), { discard: true })))
    const memory = (processName: string) =>
      CxlMemory.layerShm({ region, geometry, coherence, processName, share: true })
    const server = Log.layerServe({ ...serve, keep: true }).pipe(
      Layer.provide(Layer.fresh(memory("server"))),
      onDisk(disk)
    )
    let serving = yield* Scope.fork(scope)
    const start = Effect.suspend(() => Layer.build(Layer.fresh(server)).pipe(Scope.provide(serving), Effect.asVoid))
    const end = Effect.gen(function*() {
      yield* Scope.close(serving, Exit.void)
      serving = yield* Scope.fork(scope)
    })
    yield* start
    return Layer.merge(Log.layerClient({ ...client, history }), layerReplicated()).pipe(
      Layer.provide(Layer.fresh(memory("client"))),
      onDisk(disk),
      Layer.merge(Layer.succeed(Relay, Relay.of({ end, start })))
    )
  }))

// Does by hand what the layers wait for: one step adopts the session, then every broker grants its lane.
const openLanes = Effect.fnUntraced(function*(
  region: ClientRegion,
  sequencer: Sequencer["Service"],
  topic: Topic,
  claim: IdentityClaim | undefined
) {
  const place = yield* openTopic(region, topic, false)
  const identity = claim && region.handle.declareIdentity(place.index, place.generation, claim.identity)
  const session = yield* claimSession(region, place, identity, claim?.continues)
  // An older session of the identity ends with the first step.
  for (let steps = claim === undefined ? 1 : 3; steps > 0 && !session.ready(); steps -= 1) {
    yield* sequencer.step
    for (let broker = 0; broker < region.info.geometry.brokers; broker += 1) region.handle.grantLanes(broker)
  }
  if (session.endReason() === endReason.fenced) {
    return yield* new PublisherFenced({ topic: topic.name, identity: claim?.identity ?? "", acknowledged: 0 })
  }
  if (!session.ready()) return yield* Effect.die("the session was not adopted by one step")
  return new NativeLanePort(region, session, claim?.identity)
})
