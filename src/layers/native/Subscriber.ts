/**
 * Subscribers over shared memory: a reader publishes its cursor, and from then on nothing it has not released is reused.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { isFault, type ReaderHandle } from "../../native/binding.ts"
import type { RegionError } from "../../services/CxlMemory.ts"
import {
  checkSubscriberOptions,
  defaultFrom,
  makeSubscriber,
  PositionTrimmed,
  Subscriber,
  type SubscriberOptions
} from "../../services/Subscriber.ts"
import { claimed, whenFull } from "./Claiming.ts"
import { beginning, NativeReader } from "./NativeReader.ts"
import { NativeRegion } from "./NativeRegion.ts"
import { openTopic } from "./NativeTopics.ts"

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
          const { index, name } = yield* openTopic(region, topic, options?.mustExist === true || lost !== undefined)
          const reader = yield* Effect.catchIf(
            openReader(region, index, name, options),
            (error) => error._tag === "RegionError" && error.fault === "full",
            (full) => Effect.fail(region.waiter.lost() ?? full)
          )
          return yield* makeSubscriber(topic, reader, options)
        })
    }))
)

type Region = NativeRegion["Service"]

/** Attaches a reader, until the scope closes. */
export const openReader = (
  region: Region,
  topic: number,
  topicName: string,
  options: SubscriberOptions | undefined
): Effect.Effect<NativeReader, RegionError | PositionTrimmed, Scope.Scope> => {
  const { handle, native } = region
  const [kind, position] = beginning(options?.from ?? defaultFrom)
  const name = options?.name ?? region.processName
  // A position that is trimmed away is an answer, not a failure of the memory.
  const open = () => {
    try {
      return native.openReader(handle, topic, name, kind, position)
    } catch (error) {
      if (!isFault(error) || error.fault !== "trimmed") throw error
      return new PositionTrimmed({ topic: topicName, requested: position, start: error.freeBytes })
    }
  }
  const close = (opened: ReaderHandle | PositionTrimmed) => {
    if (!(opened instanceof PositionTrimmed)) native.closeReader(opened)
  }
  return Effect.flatMap(
    claimed(region, open, close).pipe(whenFull("readers")),
    (opened) =>
      opened instanceof PositionTrimmed ? Effect.fail(opened) : Effect.succeed(new NativeReader(region, opened))
  )
}
