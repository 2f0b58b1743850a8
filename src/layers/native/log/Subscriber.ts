/**
 * Subscribers over shared memory: a reader publishes its cursor, and from then on nothing it has not released is reused.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { isFault, type NativeTopic, type ReaderHandle } from "../../../native/binding.ts"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import { unanswered } from "../../../services/schema/Server.ts"
import { defaultFrom, PositionTrimmed, Subscriber, type SubscriberOptions } from "../../../services/Subscriber.ts"
import { formatCount, formatMillis } from "../../../services/text/quantities.ts"
import { checkSubscriberOptions } from "../../log/checkOptions.ts"
import { makeSubscriber } from "../../log/makeSubscriber.ts"
import { claimed, whenFull } from "../region/Claiming.ts"
import { NativeRegion } from "../region/NativeRegion.ts"
import { beginning, NativeIndexPort } from "./IndexPort.ts"
import { openTopicOfLog, whileFreeing } from "./Topics.ts"

export const layer: Layer.Layer<Subscriber, never, NativeRegion> = Layer.effect(
  Subscriber,
  Effect.map(NativeRegion, (region) =>
    Subscriber.of({
      open: (topic, options) =>
        Effect.gen(function*() {
          yield* checkSubscriberOptions(region.info.name, options)
          const lost = region.waiter.lost()
          // What a server that ended in good order has left is whole: it is read to its end.
          if (lost !== undefined && (lost.reason === "died" || region.waiter.isClosed)) return yield* Effect.fail(lost)
          const mustExist = options?.mustExist === true || lost !== undefined
          const reader = yield* whileFreeing(region, `topic "${topic.name}" is being freed`, () =>
            Effect.flatMap(
              openTopicOfLog(region, topic, mustExist),
              (place) => openFreed(region, place.index, openReader(region, place, options))
            ))
          return yield* makeSubscriber(topic, reader, options)
        })
    }))
)

type Region = NativeRegion["Service"]

/** Attaches a reader, until the scope closes. `undefined` when the topic is freed. */
export const openReader = (
  region: Region,
  topic: NativeTopic,
  options: SubscriberOptions | undefined
): Effect.Effect<NativeIndexPort | undefined, RegionError | PositionTrimmed, Scope.Scope> => {
  const { handle } = region
  const [kind, position] = beginning(options?.from ?? defaultFrom)
  const name = options?.name ?? region.processName
  // A position that is trimmed away, and a topic that is freed, are answers, not failures of the memory.
  const open = () => {
    try {
      return handle.openReader(topic.index, topic.generation, name, kind, position)
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
    if (opened instanceof PositionTrimmed) return Effect.fail(opened)
    return Effect.succeed(opened === undefined ? undefined : new NativeIndexPort(region, opened))
  })
}

// --- internal ---

/** The sequencer ends dead readers several times a second, where it runs. */
const freedMillis = 3000
const lookMillis = 2
const wholeMillis = 250

// A line that is not whole may be one that the sequencer is in the middle of while the system has taken the processor from
// it; or it was damaged, and is written again within a tenth of a second.
const whenWhole = <A, R>(opening: Effect.Effect<A, RegionError, R>): Effect.Effect<A, RegionError, R> =>
  Effect.retry(opening, {
    while: ({ fault }) => fault === "corrupt",
    schedule: Schedule.upTo(Schedule.spaced(lookMillis), { duration: wholeMillis })
  })

// The place of a reader whose process is dead comes free when the sequencer has seen that: a full table is looked at again
// while there are such, and once more after the last of them was seen.
const openFreed = <A, E, R>(
  region: Region,
  topic: number,
  opening: Effect.Effect<A, E | RegionError, R>
): Effect.Effect<A, E | RegionError | RegionLost, R> =>
  Effect.flatMap(Clock.currentTimeMillis, (begun) => {
    const trial = (isLast: boolean): Effect.Effect<A, E | RegionError | RegionLost, R> =>
      Effect.catchIf(opening, isFull, (full) =>
        Effect.gen(function*() {
          const lost = region.waiter.lost()
          if (lost !== undefined) return yield* Effect.fail(lost)
          const dead = region.handle.readersEnding(topic)
          if (dead === 0 && isLast) return yield* Effect.fail(full)
          if ((yield* Clock.currentTimeMillis) - begun > freedMillis) return yield* notFreed(region, full, dead)
          if (dead > 0) yield* Effect.sleep(lookMillis)
          return yield* trial(dead === 0)
        }))
    return trial(false)
  })

const isFull = (error: unknown): error is RegionError => error instanceof RegionError && error.fault === "full"

const notFreed = ({ waiter }: Region, full: RegionError, dead: number): RegionError => {
  const { detail, hint } = unanswered(waiter.server())
  const held = `${full.detail}, ${formatCount(dead)} of them by readers that are dead, and were not freed within ${
    formatMillis(freedMillis)
  }`
  return new RegionError({ fault: "notAnswering", region: full.region, detail: `${held}: ${detail}`, hint })
}
