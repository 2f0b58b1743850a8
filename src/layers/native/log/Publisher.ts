/**
 * Publishers over shared memory: the client claims a session, the sequencer adopts it, and every broker grants it a
 * lane.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import {
  endReason,
  isFault,
  type NativeIdentityPlace,
  type NativeTopicPlace,
  type SessionHandle
} from "../../../native/binding.ts"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import {
  type OpenPublisherError,
  Publisher,
  PublisherFenced,
  type PublisherOptions
} from "../../../services/Publisher.ts"
import { processIdOf } from "../../../services/schema/ProcessId.ts"
import { type RegionError, sessionsFull } from "../../../services/schema/RegionError.ts"
import type { Topic } from "../../../services/schema/Topic.ts"
import { checkPublisherOptions } from "../../log/checkOptions.ts"
import { makePublisher } from "../../log/publisher/makePublisher.ts"
import type { ClientOptions } from "../../log/serverDeadline.ts"
import { type Admission, admitting, answered, type SessionOpening } from "../../log/sessionAdmission.ts"
import { claimed, claiming, whenFull } from "../region/Claiming.ts"
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
          Effect.andThen(
            checkPublisherOptions(region.info.name, topic, options),
            makePublisher(topic, (continues) => admitLanes(region, topic, options, continues), options)
          )
      }))
  )

type Region = ClientRegion

/**
 * Begins to open a session, whose lanes are there once the sequencer has adopted it. It ends with the scope. With an
 * identity it takes that from any other session, or `continues` an incarnation of it; then it fails if a newer session has
 * had it meanwhile.
 */
export const admitLanes = (
  region: Region,
  topic: Topic<any>,
  options?: PublisherOptions,
  continues = 0
): Effect.Effect<Admission, never, Scope.Scope> =>
  admitting(
    region.info.name,
    region.waiter,
    options,
    () => untakenSessions(region),
    (opening) => openingLanes(region, topic, { identity: options?.identity, continues }, opening)
  )

/**
 * Claims a session slot. Its lanes are usable once the sequencer has adopted it and every broker has granted its lane.
 */
export const claimSession = (
  region: Region,
  { generation, index }: NativeTopicPlace,
  identity: NativeIdentityPlace = noIdentity,
  continues = 0
): Effect.Effect<SessionHandle, RegionError, Scope.Scope> =>
  claimed(
    region,
    () => region.handle.openSession(index, generation, identity.index, identity.generation, continues),
    (session) => session.close()
  ).pipe(Effect.mapError((error) => error.fault === "full" ? fullOfSessions(region) : error))

// --- internal ---

const fullOfSessions = ({ handle, info }: Region): RegionError => {
  const quarantined = handle.snapshot().sessions.filter((session) => session.quarantined)
  const holders = quarantined.map((session) => ({ name: session.process, ...processIdOf(session) }))
  return sessionsFull(info.name, info.geometry.clients, holders)
}

const noIdentity: NativeIdentityPlace = { index: -1, generation: 0 }

/** What a session is claimed with: it takes the identity from any other, or `continues` an incarnation of it. */
interface Claim {
  readonly identity: string | undefined
  readonly continues: number
}

const openingLanes = (
  region: Region,
  topic: Topic<any>,
  claim: Claim,
  opening: SessionOpening
): Effect.Effect<NativeLanePort, OpenPublisherError, Scope.Scope> =>
  Effect.gen(function*() {
    yield* untilServed(region)
    const place = yield* openTopicOfLog(region, topic, false)
    opening.hasSlot = false
    const identity = yield* identityPlace(region, place, claim.identity)
    const session = identity === undefined ? undefined : yield* claimFreed(region, place, identity, claim, false)
    if (session === undefined) return yield* openingLanes(region, topic, claim, opening)
    opening.hasSlot = true
    const admitted = yield* answered(region.waiter, () => admission(session))
    if (admitted === "ready") return new NativeLanePort(region, session, claim.identity)
    session.close()
    if (admitted === "fenced") {
      return yield* new PublisherFenced({ topic: topic.name, identity: claim.identity ?? "", acknowledged: 0 })
    }
    return yield* openingLanes(region, topic, claim, opening)
  })

/**
 * `again` when the topic was freed before the sequencer adopted the session, or the session has ended before it was
 * ready: begin anew then.
 */
const admission = (session: SessionHandle): "ready" | "fenced" | "again" | undefined => {
  if (session.ready()) return "ready"
  const end = session.endReason()
  if (end === endReason.none) return undefined
  return end === endReason.fenced ? "fenced" : "again"
}

/** `undefined` when the topic has been freed. Waits while the log has no server. */
const identityPlace = (
  region: Region,
  { generation, index }: NativeTopicPlace,
  name: string | undefined
): Effect.Effect<NativeIdentityPlace | undefined, RegionError | RegionLost> => {
  if (name === undefined) return Effect.succeed(noIdentity)
  const declare = () => {
    try {
      return region.handle.declareIdentity(index, generation, name)
    } catch (error) {
      if (isFault(error) && error.fault === "gone") return "gone" as const
      if (isFault(error) && error.fault === "recovering") return "recovering" as const
      throw error
    }
  }
  return claiming(region, declare).pipe(
    whenFull("clients"),
    Effect.flatMap((found): Effect.Effect<NativeIdentityPlace | undefined, RegionError | RegionLost> => {
      if (found === "gone") return Effect.succeed(undefined)
      if (found !== "recovering") return Effect.succeed(found)
      const again = identityPlace(region, { generation, index }, name)
      return Effect.andThen(untilServed(region), Effect.andThen(Effect.sleep(retryMillis), again))
    })
  )
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
  identity: NativeIdentityPlace,
  claim: Claim,
  isLast: boolean
): Effect.Effect<SessionHandle, RegionError | RegionLost, Scope.Scope> =>
  Effect.catchIf(
    claimSession(region, topic, identity, claim.continues),
    ({ fault }) => fault === "full",
    (full) =>
      Effect.gen(function*() {
        yield* untilServed(region)
        const isNoneEnding = region.handle.sessionsEnding() === 0
        if (isNoneEnding && isLast) return yield* Effect.fail(full)
        if (!isNoneEnding) yield* Effect.sleep(retryMillis)
        return yield* claimFreed(region, topic, identity, claim, isNoneEnding)
      })
  )
