/**
 * Subscribers over shared memory: a reader publishes its cursor, and from then on no memory is reused that it has not
 * released.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { isFault, type NativeTopic, type ReaderHandle } from "../../../native/binding.ts"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import { unanswered } from "../../../services/schema/Server.ts"
import { type Topic, TopicUnknown } from "../../../services/schema/Topic.ts"
import {
  defaultFrom,
  type OpenReaderError,
  PositionTrimmed,
  Subscriber,
  type SubscriberOptions
} from "../../../services/Subscriber.ts"
import { formatCount, formatMillis } from "../../../services/text/quantities.ts"
import { checkBounds, checkSubscriberOptions } from "../../log/checkOptions.ts"
import { openWithCursor } from "../../log/cursor/openWithCursor.ts"
import { openWithHistory } from "../../log/history/openWithHistory.ts"
import { makeSubscriber } from "../../log/makeSubscriber.ts"
import type { ClientOptions } from "../../log/serverDeadline.ts"
import type { History } from "../../ports/History.ts"
import type { ReplicaRole } from "../../ports/ReplicatedLog.ts"
import { claimed, whenFull } from "../region/Claiming.ts"
import { attempt } from "../region/NativeError.ts"
import type { NativeRegion } from "../region/NativeRegion.ts"
import { ownTime } from "../region/OwnTime.ts"
import { type ClientRegion, clientRegion } from "./ClientRegion.ts"
import { takeCursor } from "./Cursors.ts"
import { boundsIn } from "./Diagnostics.ts"
import { beginning, NativeIndexPort, NativeUngatedPort } from "./IndexPort.ts"
import { openTopic, openTopicOfLog, whileFreeing } from "./Topics.ts"

/** `history`: where it finds what memory no longer has. */
export const layer = (
  options?: ClientOptions,
  history?: (regionId: string) => History
): Layer.Layer<Subscriber, RegionError, NativeRegion> =>
  Layer.effect(
    Subscriber,
    Effect.map(clientRegion(options), (region) =>
      Subscriber.of({
        open: (topic, options) =>
          Effect.gen(function*() {
            yield* checkSubscriberOptions(region.info.name, topic, options)
            yield* region.waiter.untilServedOrLost
            const lost = region.waiter.lost()
            if (isUnreadable(region, lost)) return yield* Effect.fail(lost)
            const mustExist = options?.mustExist === true || lost !== undefined
            const take = takeCursor(region)
            const cursors = { take, waiter: region.waiter }
            return yield* openWithCursor(topic, { ...options, mustExist }, cursors, (options, holding) =>
              openWithHistory(topic, options, history?.(region.info.regionId), {
                open: (from) => attached(region, topic, { ...options, from, mustExist }),
                openUngated: (from) => attachedUngated(region, topic, { ...options, from, mustExist }),
                bounds: boundsOf(region, topic),
                waiter: region.waiter
              }).pipe(Effect.flatMap((reader) =>
                makeSubscriber(topic, reader, options, holding)
              )))
          }),
        bounds: (topic) => boundsOf(region, topic)
      }))
  )

type Region = ClientRegion

/** Declares the topic, unless it must exist, and attaches a reader until the scope closes. */
export const attached = (
  region: Region,
  topic: Topic<any>,
  options: SubscriberOptions,
  replica?: ReplicaRole
): Effect.Effect<NativeIndexPort, OpenReaderError, Scope.Scope> =>
  attachedAs(region, topic, options, (place) => openReader(region, place, options, replica))

/** The same for a reader that holds nothing back. */
const attachedUngated = (region: Region, topic: Topic<any>, options: SubscriberOptions) =>
  attachedAs(region, topic, options, (place) =>
    Effect.map(
      openHandle(region, place, options, { isLapped: true, ...subscriber }),
      (reader) => reader && new NativeUngatedPort(region, reader)
    ))

const attachedAs = <A>(
  region: Region,
  topic: Topic<any>,
  options: SubscriberOptions,
  open: (place: NativeTopic) => Effect.Effect<A | undefined, RegionError | PositionTrimmed, Scope.Scope>
) =>
  whileFreeing(region, `topic "${topic.name}" is being freed`, () =>
    Effect.flatMap(
      openTopicOfLog(region, topic, options.mustExist === true),
      (place) => openFreed(region, place.index, unlessRecovering(open(place)))
    ))

/** Attaches a reader until the scope closes. `undefined` when the topic has been freed. */
export const openReader = (
  region: Region,
  topic: NativeTopic,
  options: SubscriberOptions | undefined,
  replica?: ReplicaRole
): Effect.Effect<NativeIndexPort | undefined, RegionError | PositionTrimmed, Scope.Scope> =>
  Effect.map(
    openHandle(region, topic, options, { isLapped: false, ...replica ?? subscriber }),
    (reader) => reader && new NativeIndexPort(region, reader)
  )

interface ReaderKind extends ReplicaRole {
  readonly isLapped: boolean
}

const openHandle = (
  region: Region,
  topic: NativeTopic,
  options: SubscriberOptions | undefined,
  { isLapped, key, required }: ReaderKind
): Effect.Effect<ReaderHandle | undefined, RegionError | PositionTrimmed, Scope.Scope> => {
  const { handle } = region
  const [kind, position] = beginning(options?.from ?? defaultFrom)
  const name = options?.name ?? region.processName
  // A trimmed position and a freed topic are results, not faults of the memory.
  const open = () => {
    try {
      const isDurable = options?.isolation === "durable"
      return handle.openReader(topic.index, topic.generation, name, kind, position, isDurable, key, required, isLapped)
    } catch (error) {
      if (isFault(error) && error.fault === "gone") return undefined
      if (!isFault(error) || error.fault !== "trimmed") throw error
      return new PositionTrimmed({ topic: topic.name, requested: position, start: error.freeBytes })
    }
  }
  const close = (opened: ReaderHandle | PositionTrimmed | undefined) => {
    if (opened !== undefined && !(opened instanceof PositionTrimmed)) opened.close()
  }
  return Effect.flatMap(claimed(region, open, close).pipe(whenWhole, whenFull("readers")), (opened) => {
    return opened instanceof PositionTrimmed ? Effect.fail(opened) : Effect.succeed(opened)
  })
}

// --- internal ---

const subscriber: ReplicaRole = { key: 0, required: 0 }

// A server that was shut down has committed everything: its log can still be read to the end.
const isUnreadable = ({ waiter }: Region, lost: RegionLost | undefined): lost is RegionLost =>
  lost !== undefined && (lost.reason !== "stopped" || waiter.isClosed)

const boundsOf = Effect.fnUntraced(function*(region: Region, topic: Topic<any>) {
  yield* checkBounds(region.info.name, topic)
  yield* region.waiter.untilServedOrLost
  const lost = region.waiter.lost()
  if (isUnreadable(region, lost)) return yield* Effect.fail(lost)
  const place = yield* openTopic(region, topic, true)
  const { topics } = yield* attempt(region.info.name, () => region.handle.snapshot())
  const found = topics.find(({ generation, index }) => index === place.index && generation === place.generation)
  if (found !== undefined) return boundsIn(found)
  return yield* new TopicUnknown({ topic: topic.name, known: topics.map(({ name }) => name) })
})

/** A running sequencer ends dead readers several times a second. */
const freedMillis = 3000
const retryMillis = 2
const wholeMillis = 250

// The sequencer was writing a torn line when the system preempted it, or the line is damaged, which the
// sequencer writes again within a tenth of a second: retry before reporting damage.
const whenWhole = <A, R>(opening: Effect.Effect<A, RegionError, R>): Effect.Effect<A, RegionError, R> =>
  Effect.retry(opening, {
    while: ({ fault }) => fault === "corrupt",
    schedule: Schedule.upTo(Schedule.spaced(retryMillis), { duration: wholeMillis })
  })

// The sequencer frees the places of dead readers once it has noticed their death. So try a full table again while such
// places remain, and once more after the last is gone.
const openFreed = <A, E, R>(
  region: Region,
  topic: number,
  opening: Effect.Effect<A, E | RegionError, R>
): Effect.Effect<A, E | RegionError | RegionLost, R> =>
  Effect.flatMap(ownTime, ({ look }) => {
    const trial = (isLast: boolean): Effect.Effect<A, E | RegionError | RegionLost, R> =>
      Effect.catchIf(opening, isFull, (full) =>
        Effect.gen(function*() {
          yield* region.waiter.untilServedOrLost
          const lost = region.waiter.lost()
          if (lost !== undefined) return yield* Effect.fail(lost)
          const dead = region.handle.readersEnding(topic)
          if (dead === 0 && isLast) return yield* Effect.fail(full)
          if ((yield* look) > freedMillis) return yield* notFreed(region, full, dead)
          if (dead > 0) yield* Effect.sleep(retryMillis)
          return yield* trial(dead === 0)
        }))
    return trial(false)
  })

// `undefined`: the log's server is gone, and so the attachment has to be tried again when another serves it.
const unlessRecovering = <A, E, R>(
  opening: Effect.Effect<A, E | RegionError, R>
): Effect.Effect<A | undefined, E | RegionError, R> =>
  Effect.catchIf(opening, isRecovering, () => Effect.succeed(undefined))

const isRecovering = (error: unknown): error is RegionError =>
  error instanceof RegionError && error.fault === "recovering"

const isFull = (error: unknown): error is RegionError => error instanceof RegionError && error.fault === "full"

const notFreed = ({ waiter }: Region, full: RegionError, dead: number): RegionError => {
  const { detail, hint } = unanswered(waiter.server())
  const held = `${full.detail}, ${formatCount(dead)} of them by dead readers, which were not freed within ${
    formatMillis(freedMillis)
  }`
  return new RegionError({ fault: "notAnswering", region: full.region, detail: `${held}: ${detail}`, hint })
}
