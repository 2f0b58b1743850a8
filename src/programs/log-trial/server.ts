/**
 * A child of a log trial: serves the log, or stands by for the process that does.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import * as Log from "../../layers/Log.ts"
import * as Topic from "../../services/schema/Topic.ts"
import { Sequencer } from "../../services/Sequencer.ts"
import { type Parent, runChild } from "../processes/child.ts"
import { type ServerJob, type TakeoverResult, TrialServer } from "./servers.ts"

// Ready when it serves, and before that when it stands by.
const serving = (parent: Parent<TakeoverResult>) =>
  Effect.gen(function*() {
    yield* parent.ready
    const { events } = yield* Sequencer
    return yield* events.pipe(
      Stream.runForEach((event) => event._tag === "TakenOver" ? parent.result(event) : Effect.void),
      Effect.andThen(Effect.never)
    )
  })

const layerOf = (job: ServerJob, parent: Parent<TakeoverResult>) => {
  const { coherence, geometry, name, region, unsafeIgnoreSessionOrder } = job
  const topics = job.topics.map(({ ack, name, order }) => Topic.make(name, { order, ack }))
  const memory = CxlMemory.layerShm({ region, geometry, coherence, share: true, processName: name })
  return Log.layerStandby({ topics, unsafeIgnoreSessionOrder, onWaiting: () => parent.ready }).pipe(
    Layer.provideMerge(memory)
  )
}

runChild(TrialServer, (job, parent) =>
  serving(parent).pipe(
    Effect.provide(layerOf(job, parent)),
    Effect.raceFirst(parent.end)
  ))
