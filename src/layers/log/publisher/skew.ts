/**
 * Publishes each broker's batches late, by a random time, so that the batches of a session overtake each other.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"

/** One fiber a broker, so that batches on other brokers overtake the delayed one. */
export const publishingLate = Effect.fnUntraced(function*(
  brokers: number,
  skewMillis: number,
  publish: (broker: number) => void
) {
  const written = Array.from({ length: brokers }, () => Latch.makeUnsafe(false))
  const publishLate = (broker: number) =>
    Effect.gen(function*() {
      const latch = written[broker] as Latch.Latch
      while (true) {
        yield* latch.await
        latch.closeUnsafe()
        yield* Effect.sleep((yield* Random.next) * skewMillis)
        publish(broker)
      }
    })
  for (let broker = 0; broker < brokers; broker += 1) yield* Effect.forkScoped(publishLate(broker))
  return (broker: number): void => {
    written[broker]?.openUnsafe()
  }
})
