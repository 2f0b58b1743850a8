/**
 * Waits for room, with a deadline whose error names what holds it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { countRefused } from "../../../services/input/ArgumentInvalid.ts"
import {
  Backpressure,
  type Claim,
  PublisherClosed,
  PublisherFenced,
  type PublishError,
  RecordTooLarge
} from "../../../services/Publisher.ts"
import { showPid } from "../../../services/schema/ProcessId.ts"
import type { RoomHolder } from "../../ports/LanePort.ts"
import { describeUnanswered, noReplica } from "./acknowledging.ts"
import { endedError, type OpenPublisher, untilResumed } from "./OpenPublisher.ts"

export const waitToSend = (publisher: OpenPublisher, bytes: Uint8Array): Effect.Effect<void, PublishError> =>
  Effect.asVoid(waitForRoom(publisher, bytes.length, () => publisher.builder.append(bytes) ? true : undefined))

/** Sends each record with `sendNow`, which returns `undefined` when it need not wait. */
export const sendEach = <A>(
  records: Iterable<A>,
  sendNow: (record: A) => Effect.Effect<void, PublishError> | undefined
): Effect.Effect<void, PublishError> =>
  Effect.gen(function*() {
    let taken = 0
    for (const record of records) {
      const sending = sendNow(record)
      if (sending !== undefined) yield* sending
      taken += 1
      if (taken % recordsPerTurn === 0) yield* Effect.yieldNow
    }
  })

export const claimRecord = (
  publisher: OpenPublisher,
  bytes: number
): Effect.Effect<Claim, PublishError, Scope.Scope> => {
  const { builder, unclaimed } = publisher
  const take = () => {
    const room = builder.claim(bytes)
    if (room !== undefined) unclaimed.closeUnsafe()
    return room
  }
  const end = (give: () => void) => {
    give()
    unclaimed.openUnsafe()
  }
  return Effect.map(
    Effect.acquireRelease(
      Effect.map(waitForRoom(publisher, bytes, take), (room) => ({ room, open: true })),
      (claim) => Effect.sync(() => claim.open && end(() => builder.abortClaim())),
      { interruptible: true }
    ),
    (claim) => ({
      bytes: claim.room,
      commit: (length = bytes) => {
        if (!claim.open || builder.closed) return
        const refused = countRefused("commit", "length", length, bytes)
        if (refused !== undefined) throw refused
        claim.open = false
        end(() => builder.commitClaim(length))
      }
    })
  )
}

// --- internal ---

/** Records that `sendAll` accepts before it yields to other fibers. */
const recordsPerTurn = 1024

/** Waits until `attempt` finds room. Fails when the publisher is closed, its session ends or the server is lost. */
const waitForRoom = <R>(
  publisher: OpenPublisher,
  recordBytes: number,
  attempt: () => R | undefined
): Effect.Effect<R, PublishError> => {
  const { builder, unclaimed } = publisher
  const check = () => builder.claimed ? claimed : attempt() ?? refusal(publisher, recordBytes)
  return Effect.gen(function*() {
    builder.lanes.wantRoom()
    while (true) {
      if (builder.claimed) yield* Effect.raceFirst(unclaimed.await, builder.lanes.waiter.untilLost)
      const found = yield* untilResumed(publisher, check)
      if (isPublishError(found)) return yield* Effect.fail(found)
      if (found !== claimed) return found as R
    }
  }).pipe(
    Effect.timeoutOrElse({ duration: publisher.roomMillis, orElse: () => Effect.fail(backpressure(publisher)) })
  )
}

const claimed = Symbol("claimed")

const isPublishError = (found: unknown): found is RecordTooLarge | PublisherClosed | PublisherFenced =>
  found instanceof RecordTooLarge || found instanceof PublisherClosed || found instanceof PublisherFenced

/** Why waiting cannot help: the record never fits, or the publisher or its session has ended. */
const refusal = (publisher: OpenPublisher, recordBytes: number): PublishError | undefined => {
  const { builder, topic } = publisher
  if (recordBytes > builder.recordBytesMax) {
    return new RecordTooLarge({ topic: topic.name, recordBytes, limitBytes: builder.recordBytesMax })
  }
  if (builder.closed) return endedError(publisher, "closed")
  const end = builder.ended()
  return end === undefined ? undefined : endedError(publisher, end)
}

const backpressure = (publisher: OpenPublisher): Backpressure | RegionLost => {
  const { builder, roomMillis, topic } = publisher
  const lost = builder.lanes.waiter.lost()
  if (lost !== undefined) return lost
  const holder = holderOf(publisher)
  return new Backpressure({
    topic: topic.name,
    waitedMillis: roomMillis,
    waitingOn: describeHolder(publisher, holder),
    waitingOnOwnSubscriber: holder.kind === "reader" && holder.own
  })
}

type Holder = RoomHolder | { readonly kind: "claim" } | { readonly kind: "resume" }

const holderOf = ({ builder }: OpenPublisher): Holder => {
  if (builder.claimed) return { kind: "claim" }
  return builder.isResuming ? { kind: "resume" } : builder.lanes.roomHolder(builder.broker)
}

const describeHolder = (publisher: OpenPublisher, holder: Holder): string => {
  switch (holder.kind) {
    case "reader": {
      const where = holder.own ? `${showPid(holder)}, this process` : showPid(holder)
      return `${
        holder.replica ? "replica" : "subscriber"
      } "${holder.name}" (${where}), which has not released the batches lent to it`
    }
    case "gap":
      return `batch ${holder.batch} of this session on broker ${holder.broker}, which is not published yet`
    case "unreplicated":
      return `a replica of topic "${holder.topic}", whose records may not go before one has them: ${noReplica}`
    case "sequencer":
      return describeUnanswered(publisher)
    case "claim":
      return "a claim of this publisher, which is neither committed nor closed"
    case "resume":
      return `another session for this publisher, whose last one has outlived its lease${
        publisher.resumeFailure === undefined ? "" : `: ${publisher.resumeFailure}`
      }`
  }
}
