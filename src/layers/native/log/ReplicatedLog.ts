/**
 * Replicas of a log in shared memory.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ackLevel } from "../../../native/binding.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { ClientOptions } from "../../log/serverDeadline.ts"
import { ReplicatedLog } from "../../ports/ReplicatedLog.ts"
import type { NativeRegion } from "../region/NativeRegion.ts"
import { clientRegion } from "./ClientRegion.ts"
import { cursorsIn, restoreCursor } from "./Cursors.ts"
import { gateOf, topicOf } from "./Diagnostics.ts"
import { attached } from "./Subscriber.ts"
import { restoreIdentity, restoreTopic } from "./Topics.ts"

export const layer = (options: ClientOptions = {}): Layer.Layer<ReplicatedLog, RegionError, NativeRegion> =>
  Layer.effect(
    ReplicatedLog,
    Effect.map(clientRegion(options), (region) =>
      ReplicatedLog.of({
        region: region.info.name,
        waiter: region.waiter,
        topics: () =>
          region.handle.snapshot().topics
            .filter(({ ack }) => ack === ackLevel.durable)
            .map((topic) => topicOf(region, topic)),
        topicNames: () => region.handle.topics().filter(({ ack }) => ack === ackLevel.durable).map(({ name }) => name),
        gate: (name) => {
          const topic = region.handle.snapshot().topics.find((topic) => topic.name === name)
          const gate = topic === undefined ? undefined : gateOf(topic)
          return gate?.own === true ? gate.name : undefined
        },
        attach: (topic, { name, position, role }) =>
          attached(region, topic, { name, from: { position }, mustExist: true }, role),
        cursors: (topic) => cursorsIn(region, topic),
        restoreCursor: (topic, cursor, nowMillis) => restoreCursor(region, topic, cursor, nowMillis),
        restoreTopic: (topic, base) => restoreTopic(region, topic, base),
        restoreIdentity: (topic, name, committed) => restoreIdentity(region, topic, name, committed)
      }))
  )
