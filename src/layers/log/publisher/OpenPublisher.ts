/**
 * What the parts of one open publisher share.
 */
import * as Effect from "effect/Effect"
import type * as Latch from "effect/Latch"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { PublisherClosed, PublisherFenced } from "../../../services/Publisher.ts"
import type { Topic } from "../../../services/schema/Topic.ts"
import type { BatchBuilder } from "./BatchBuilder.ts"

export interface OpenPublisher {
  readonly topic: Topic<any>
  readonly identity: string | undefined
  readonly builder: BatchBuilder
  /** Open while there is no open claim. */
  readonly unclaimed: Latch.Latch
  /** Open while it does not resume. */
  readonly resumed: Latch.Latch
  /** Why the last attempt to resume failed, while it resumes. */
  resumeFailure: string | undefined
  readonly roomMillis: number
  readonly ackMillis: number
}

/** The error of a publisher that is closed, or whose session has ended for good. */
export const endedError = (
  { builder, identity = "", topic }: OpenPublisher,
  reason: PublisherClosed["reason"] | "fenced"
): PublisherClosed | PublisherFenced => {
  // What is committed stays so, also where replicas do not have it yet.
  const acknowledged = builder.committed
  if (reason === "fenced") return new PublisherFenced({ topic: topic.name, identity, acknowledged })
  return new PublisherClosed({ topic: topic.name, reason, acknowledged })
}

/** Returns the first value of `check`, which runs after each change of the log, and again when the publisher has resumed. */
export const untilResumed = <R>(
  publisher: OpenPublisher,
  check: () => R | undefined
): Effect.Effect<R, RegionLost> => {
  const { builder, resumed } = publisher
  const checkOrResume = () => check() ?? (builder.isResuming ? resuming : undefined)
  const waiting: Effect.Effect<R, RegionLost> = Effect.suspend(() => {
    const { waiter } = builder.lanes
    return Effect.flatMap(waiter.until(checkOrResume), (found) =>
      found === resuming
        ? Effect.andThen(Effect.raceFirst(resumed.await, waiter.untilLost), waiting)
        : Effect.succeed(found as R))
  })
  return waiting
}

// --- internal ---

const resuming = Symbol("resuming")
