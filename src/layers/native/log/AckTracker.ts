/**
 * The acknowledgements of each session of the region: the committed prefix, by the brokers that carried it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { NativeSessionState, NativeSnapshot } from "../../../native/binding.ts"
import { AckTracker, type SessionAcks } from "../../../services/AckTracker.ts"
import { NativeRegion } from "../region/NativeRegion.ts"

export const layer: Layer.Layer<AckTracker, never, NativeRegion> = Layer.effect(
  AckTracker,
  Effect.map(NativeRegion, (region) =>
    AckTracker.of({
      sessions: Effect.sync(() => {
        const snapshot = region.handle.snapshot()
        return snapshot.sessions.map((session) => acksOf(session, topicName(snapshot, session)))
      })
    }))
)

export const acksOf = (session: NativeSessionState, topic: string): SessionAcks => {
  const published = session.lanes.reduce((sum, lane) => sum + lane.publishedMessages, 0)
  const waits = !session.ended && session.gap
  return {
    sessionId: session.sessionId,
    topic,
    published,
    acknowledged: session.messages,
    byBroker: session.lanes.map((lane) => lane.orderedMessages),
    waitingOn: waits
      ? {
        broker: session.gapBroker < 0 ? undefined : session.gapBroker,
        batch: session.batches,
        heldBehind: session.held
      }
      : undefined
  }
}

/** The session's topic; `undefined` for an ended session whose topic was freed, as another topic may have its place. */
export const topicUsedBy = ({ topics }: NativeSnapshot, { topic, topicGeneration }: NativeSessionState) =>
  topics.find(({ generation, index }) => index === topic && generation === topicGeneration)

export const topicName = (snapshot: NativeSnapshot, session: NativeSessionState): string =>
  topicUsedBy(snapshot, session)?.name ?? `#${session.topic}`
