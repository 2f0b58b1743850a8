/**
 * Publishers over shared memory: the client claims a session, the sequencer adopts it, and every broker grants it a
 * lane.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { endReason, type NativeTopicPlace, type SessionHandle } from "../../../native/binding.ts"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { Publisher } from "../../../services/Publisher.ts"
import { processIdOf } from "../../../services/schema/ProcessId.ts"
import { type RegionError, sessionsFull } from "../../../services/schema/RegionError.ts"
import type { Topic, TopicError } from "../../../services/schema/Topic.ts"
import { checkPublisherOptions } from "../../log/checkOptions.ts"
import { makePublisher } from "../../log/makePublisher.ts"
import type { ClientOptions } from "../../log/serverDeadline.ts"
import { admittedInTime, type SessionOpening } from "../../log/sessionAdmission.ts"
import { claimed } from "../region/Claiming.ts"
import type { NativeRegion } from "../region/NativeRegion.ts"
import { type ClientRegion, clientRegion } from "./ClientRegion.ts"
import { untakenSessions } from "./Diagnostics.ts"
import { NativeLanePort } from "./LanePort.ts"
import { openTopicOfLog } from "./Topics.ts"

export const layer = (options?: ClientOptions): Layer.Layer<Publisher, RegionError, NativeRegion> =>
  Layer.effect(
    Publisher,
    Effect.map(clientRegion(options), (region) =>
      Publisher.of({
        open: (topic, options) =>
          Effect.gen(function*() {
            yield* checkPublisherOptions(region.info.name, options)
            const lanes = yield* admittedInTime(
              region.info.name,
              region.waiter,
              options,
              () => untakenSessions(region),
              (opening) => openLanes(region, topic, opening)
            )
            return yield* makePublisher(topic, lanes, options)
          })
      }))
  )

type Region = ClientRegion

/**
 * Claims a session slot. Its lanes are usable once the sequencer has adopted it and every broker has granted its lane.
 */
export const claimSession = (
  region: Region,
  { generation, index }: NativeTopicPlace
): Effect.Effect<SessionHandle, RegionError, Scope.Scope> =>
  claimed(
    region,
    () => region.handle.openSession(index, generation, -1, 0, 0),
    (session) => session.close()
  ).pipe(Effect.mapError((error) => error.fault === "full" ? fullOfSessions(region) : error))

// --- internal ---

const fullOfSessions = ({ handle, info }: Region): RegionError => {
  const quarantined = handle.snapshot().sessions.filter((session) => session.quarantined)
  const holders = quarantined.map((session) => ({ name: session.process, ...processIdOf(session) }))
  return sessionsFull(info.name, info.geometry.clients, holders)
}

const openLanes = (
  region: Region,
  topic: Topic<any>,
  opening: SessionOpening
): Effect.Effect<NativeLanePort, TopicError | RegionError | RegionLost, Scope.Scope> =>
  Effect.gen(function*() {
    yield* untilServed(region)
    const place = yield* openTopicOfLog(region, topic, false)
    opening.hasSlot = false
    const session = yield* claimFreed(region, place, false)
    opening.hasSlot = true
    const isAdmitted = yield* region.waiter.until(() => admission(session))
    if (isAdmitted) return new NativeLanePort(region, session)
    session.close()
    return yield* openLanes(region, topic, opening)
  })

/** False when the topic was freed before the sequencer adopted the session: declare it anew then. */
const admission = (session: SessionHandle): boolean | undefined => {
  if (session.ready()) return true
  return session.endReason() === endReason.topicGone ? false : undefined
}

// Claim nothing in a log without a server: no sequencer would free the place again.
const untilServed = ({ waiter }: Region): Effect.Effect<void, RegionLost> =>
  Effect.andThen(
    waiter.untilServedOrLost,
    Effect.suspend(() => {
      const lost = waiter.lost()
      return lost === undefined ? Effect.void : Effect.fail(lost)
    })
  )

const retryMillis = 2

// The sequencer frees the slots of closed sessions and dead clients with its next pass. So try a full table again while
// such slots remain, and once more after the last is gone.
const claimFreed = (
  region: Region,
  topic: NativeTopicPlace,
  isLast: boolean
): Effect.Effect<SessionHandle, RegionError | RegionLost, Scope.Scope> =>
  Effect.catchIf(
    claimSession(region, topic),
    ({ fault }) => fault === "full",
    (full) =>
      Effect.gen(function*() {
        yield* untilServed(region)
        const isNoneEnding = region.handle.sessionsEnding() === 0
        if (isNoneEnding && isLast) return yield* Effect.fail(full)
        if (!isNoneEnding) yield* Effect.sleep(retryMillis)
        return yield* claimFreed(region, topic, isNoneEnding)
      })
  )
