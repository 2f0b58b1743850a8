/**
 * Finds or declares the topics of a region, and refuses to open one under another declaration.
 */
import * as Effect from "effect/Effect"
import { ackLevel, type NativeTopic, orderLevel, serverState } from "../../../native/binding.ts"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import { unanswered } from "../../../services/schema/Server.ts"
import { type Topic, type TopicError, TopicUnknown, validate } from "../../../services/schema/Topic.ts"
import { formatMillis } from "../../../services/text/quantities.ts"
import { notRestored } from "../../log/restoring.ts"
import { topicMismatch } from "../../log/topicMismatch.ts"
import type { TopicBase } from "../../ports/ReplicatedLog.ts"
import { claiming, whenFull } from "../region/Claiming.ts"
import { attempt } from "../region/NativeError.ts"
import { ownTime } from "../region/OwnTime.ts"
import type { ClientRegion } from "./ClientRegion.ts"

type Region = ClientRegion

/** The topic's place in the region. Declares the topic if it does not exist, unless `mustExist`. */
export const openTopic = (
  region: Region,
  topic: Topic<any>,
  mustExist: boolean
): Effect.Effect<NativeTopic, TopicError | RegionError | RegionLost> =>
  Effect.gen(function*() {
    yield* validate(topic)
    yield* untilServedFirst(region)
    const known = yield* attempt(region.info.name, () => region.handle.topics())
    const there = known.find(({ name }) => name === topic.name)
    if (there === undefined && mustExist) {
      return yield* new TopicUnknown({ topic: topic.name, known: known.map(({ name }) => name) })
    }
    const found = there ?? (yield* declare(region, topic))
    const mismatch = topicMismatch(topic, { order: orderNameOf(found.order), ack: ackNameOf(found.ack) })
    return mismatch === undefined ? found : yield* mismatch
  })

/** Declares a topic whose counts go on at the base. */
export const restoreTopic = (
  region: Region,
  topic: Topic<any>,
  base: TopicBase
): Effect.Effect<void, TopicError | RegionError> =>
  Effect.andThen(
    validate(topic),
    restoring(region, `topic "${topic.name}"`, () =>
      region.handle.restoreTopic(
        topic.name,
        orderLevel[topic.order],
        ackLevel[topic.ack],
        base.batches,
        base.records,
        base.orderedMillis ?? 0
      )).pipe(whenFull("topics"))
  )

/** Names an identity of which so many records were committed before. */
export const restoreIdentity = (
  region: Region,
  topic: Topic<any>,
  name: string,
  committed: number
): Effect.Effect<void, TopicError | RegionError> =>
  Effect.gen(function*() {
    const known = yield* attempt(region.info.name, () => region.handle.topics())
    const there = known.find((found) => found.name === topic.name)
    if (there === undefined) return yield* new TopicUnknown({ topic: topic.name, known: known.map(({ name }) => name) })
    yield* restoring(
      region,
      `identity "${name}" of topic "${topic.name}"`,
      () => region.handle.restoreIdentity(there.index, there.generation, name, committed)
    ).pipe(whenFull("clients"))
  })

/** {@link openTopic} for clients. When all places are taken and the log is lost, fails with that loss. */
export const openTopicOfLog = (
  region: Region,
  topic: Topic<any>,
  mustExist: boolean
): Effect.Effect<NativeTopic, TopicError | RegionError | RegionLost> =>
  Effect.catchIf(
    openTopic(region, topic, mustExist),
    (error) => error._tag === "RegionError" && error.fault === "full",
    (full) => Effect.suspend(() => Effect.fail(region.waiter.lost() ?? full))
  )

/** Declares the topic if it does not exist, and tells this process's sequencer to keep it even while it is unused. */
export const keepTopic = (region: Region, topic: Topic<any>): Effect.Effect<void, TopicError | RegionError> =>
  Effect.catchTag(
    whileFreeing(
      region,
      `topic "${topic.name}" is being freed`,
      () =>
        Effect.flatMap(openTopic(region, topic, false), ({ generation, index }) =>
          attempt(
            region.info.name,
            () => region.handle.keepTopic(index, generation) ? true : undefined
          ))
    ).pipe(Effect.asVoid),
    "RegionLost",
    (lost) => {
      const failed = { region: region.info.name, detail: lost.message, hint: "start the server again" }
      return Effect.fail(new RegionError({ ...failed, fault: "notServing" }))
    }
  )

/**
 * Retries while the sequencer frees the place of a topic, and waits while there is no sequencer. If the place is not freed
 * in time, the error names the process that runs it.
 */
export const whileFreeing = <A, E, R>(
  region: Region,
  what: string,
  trial: (isAgain: boolean) => Effect.Effect<A | undefined, E, R>
): Effect.Effect<A, E | RegionError | RegionLost, R> =>
  Effect.gen(function*() {
    let waited = yield* ownTime
    for (let isAgain = false;; isAgain = true) {
      if (region.waiter.awaitsServer()) {
        yield* untilReadable(region)
        waited = yield* ownTime
      }
      const found = yield* trial(isAgain)
      if (found !== undefined) return found
      if ((yield* waited.look) > freeingMillis) return yield* notFreed(region, what)
      yield* Effect.sleep(retryMillis)
    }
  })

/** Waits while the log has no server. A log that has ended in good order can still be read. */
const untilReadable = ({ waiter }: Region): Effect.Effect<void, RegionLost> =>
  Effect.andThen(
    waiter.untilServedOrLost,
    Effect.suspend(() => {
      const lost = waiter.lost()
      return lost !== undefined && lost.reason !== "stopped" ? Effect.fail(lost) : Effect.void
    })
  )

/**
 * A level that this version does not know is named by its number, which matches no topic that this version declares.
 */
export const orderNameOf = (level: number): string => orderNames.get(level) ?? `level ${level}`

export const ackNameOf = (level: number): string => ackNames.get(level) ?? `level ${level}`

// --- internal ---

const orderNames = new Map(Object.entries(orderLevel).map(([name, level]) => [level as number, name]))
const ackNames = new Map(Object.entries(ackLevel).map(([name, level]) => [level as number, name]))

/**
 * The sequencer answers a request for a place with its next pass, and notices dead users within a tenth of a second.
 */
const freeingMillis = 3000
const retryMillis = 2

/** How long a client waits for the first server of a region, whose creator lives: a restore reads files. */
const startingMillis = 10_000

const declare = (region: Region, topic: Topic<any>): Effect.Effect<NativeTopic, RegionError | RegionLost> => {
  const { topics } = region.info.geometry
  const what = `all ${topics} topics of the region are declared, and the sequencer was asked to free one`
  return whileFreeing(region, what, (hasWished) =>
    claiming(region, () =>
      region.handle.declareTopic(
        topic.name,
        orderLevel[topic.order],
        ackLevel[topic.ack],
        hasWished
      ))).pipe(whenFull("topics"))
}

/**
 * A log that was never served may be about to be restored: a client that opened its topic meanwhile would find it empty, or
 * declare it and be in the way of its records. So clients wait until its creator serves it.
 */
const untilServedFirst = (region: Region): Effect.Effect<void, RegionError | RegionLost> => {
  const { handle, info, waiter } = region
  const isStarting = () => !info.owner && handle.server().state === serverState.unknown
  return Effect.gen(function*() {
    if (!isStarting()) return
    const waited = yield* ownTime
    while (isStarting()) {
      if (waiter.awaitsServer()) yield* untilReadable(region)
      else if ((yield* waited.look) > startingMillis) return yield* notServed(region)
      else yield* Effect.sleep(retryMillis)
    }
  })
}

const notServed = ({ info, waiter }: Region) =>
  Effect.suspend(() => {
    const { detail, hint } = unanswered(waiter.server())
    const late = `its log is not served after ${formatMillis(startingMillis)}`
    return Effect.fail(
      new RegionError({ fault: "notAnswering", region: info.name, detail: `${late}: ${detail}`, hint })
    )
  })

const restoring = <A>(region: Region, what: string, restore: () => A): Effect.Effect<A, RegionError> =>
  claiming(region, restore).pipe(
    Effect.mapError((error) => error.fault === "invalid" ? notRestored(region.info.name, what) : error)
  )

const notFreed = ({ info, waiter }: Region, what: string) =>
  Effect.suspend(() => {
    const { detail, hint } = unanswered(waiter.server())
    const late = `${what}, but has not finished within ${formatMillis(freeingMillis)}`
    return Effect.fail(
      new RegionError({ fault: "notAnswering", region: info.name, detail: `${late}: ${detail}`, hint })
    )
  })
