/**
 * A session's lanes in shared memory.
 */
import {
  endReason,
  frontierFields,
  type NativeTopicState,
  type RegionHandle,
  type SessionHandle
} from "../../../native/binding.ts"
import type { ReaderState } from "../../../services/Diagnostics.ts"
import type { Frontiers } from "../../../services/schema/Frontiers.ts"
import type { SessionEnd } from "../../../services/Sequencer.ts"
import type { Incarnation, LanePort, RoomHolder, SealedBatch, UncommittedBatch } from "../../ports/LanePort.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"
import type { ClientRegion } from "./ClientRegion.ts"
import { gateOf, readersBeside, topicBeside } from "./Diagnostics.ts"

export class NativeLanePort implements LanePort {
  readonly sessionId: number
  readonly identity: Incarnation | undefined
  readonly brokers: number
  readonly isOrdered: boolean
  readonly isDurable: boolean
  readonly batchBytes: number
  readonly readersMax: number
  readonly waiter: LogWaiter
  readonly #region: RegionHandle
  readonly #session: SessionHandle
  readonly #payload: ReadonlyArray<ArrayBuffer>
  #committedBatches = 0
  #committedMessages = 0
  readonly #frontiers = new Float64Array(frontierFields)

  /** `identity`: the name with which the session was claimed. */
  constructor(region: ClientRegion, session: SessionHandle, identity?: string) {
    const { geometry } = region.info
    const { durable, ordered, sessionId, slot } = session.info()
    this.sessionId = sessionId
    this.identity = identity === undefined ? undefined : { name: identity, ...session.identity() }
    this.brokers = geometry.brokers
    this.isOrdered = ordered
    this.isDurable = durable
    this.batchBytes = geometry.batchBytes
    this.readersMax = geometry.readers
    this.waiter = region.waiter
    this.#region = region.handle
    this.#session = session
    this.#payload = Array.from(
      { length: geometry.brokers },
      (_, broker) => region.handle.laneBuffer(broker * geometry.clients + slot)
    )
  }

  begin(broker: number, batchSequence: number): Uint8Array | undefined {
    const offset = this.#session.begin(broker, batchSequence)
    return offset < 0 ? undefined : new Uint8Array(this.#payload[broker] as ArrayBuffer, offset, this.batchBytes)
  }

  seal(broker: number, batch: SealedBatch): boolean {
    const sealed = this.#session.seal(
      broker,
      batch.batchSequence,
      batch.firstMessage,
      batch.messageCount,
      batch.payloadBytes,
      batch.uniformBytes,
      batch.lengths
    )
    // An ended session accepts no batches; any other refusal means that the batch was never begun.
    if (!sealed && this.ended() === undefined) throw new RangeError(`batch ${batch.batchSequence} was not begun`)
    return sealed
  }

  readers(): ReadonlyArray<ReaderState> {
    return readersBeside(this.#region, this.sessionId)
  }

  requiredCopies(): number {
    return topicBeside(this.#region, this.sessionId)?.replicasRequired ?? 1
  }

  publish(broker: number): void {
    this.#session.publish(broker)
  }

  wantRoom(): void {
    this.#session.wantRoom()
  }

  inFlight(broker: number): number {
    return this.#session.inFlight(broker)
  }

  written(broker: number): number {
    return this.frontiers(broker).written
  }

  published(broker: number): number {
    return this.frontiers(broker).published
  }

  // After the session's end its line belongs to the slot's next session: keep the last value seen.
  committedBatches(): number {
    return this.#committedBatches = Math.max(this.#committedBatches, this.#session.committedBatches())
  }

  committedMessages(): number {
    return this.#committedMessages = Math.max(this.#committedMessages, this.#session.committedMessages())
  }

  commitPoint(): number | undefined {
    const entries = this.#session.commitPoint()
    return entries < 0 ? undefined : entries
  }

  durableIndex(): number {
    return this.#session.durableEntries()
  }

  ended(): SessionEnd | undefined {
    return sessionEndOf(this.#session.endReason())
  }

  uncommitted(): ReadonlyArray<UncommittedBatch> {
    return this.#session.uncommitted()
  }

  leave(): void {
    this.#session.close()
  }

  fullEvents(): number {
    return this.#session.fullEvents()
  }

  roomHolder(_broker: number): RoomHolder {
    const gap = this.gap()
    if (gap !== undefined && gap.broker !== undefined) return { kind: "gap", batch: gap.batch, broker: gap.broker }
    const { sessions, topics } = this.#region.snapshot()
    const own = sessions.find(({ sessionId }) => sessionId === this.sessionId)?.topic ?? -1
    for (const topic of topics.toSorted((a, b) => Number(b.index === own) - Number(a.index === own))) {
      if (topic.unreplicated) return { kind: "unreplicated", topic: topic.name }
      const reader = gateOf(topic)
      if (reader !== undefined) return { kind: "reader", ...reader, replica: isReplica(topic) }
    }
    return { kind: "sequencer" }
  }

  gap(): { readonly batch: number; readonly broker: number | undefined; readonly heldBehind: number } | undefined {
    const heldBehind = this.#session.held()
    if (heldBehind === 0) return undefined
    const batch = this.committedBatches()
    const broker = this.#session.brokerHolding(batch)
    return { batch, broker: broker < 0 ? undefined : broker, heldBehind }
  }

  frontiers(broker: number): Frontiers {
    const at = this.#frontiers
    this.#session.frontiers(broker, at)
    return {
      written: at[0] as number,
      published: at[1] as number,
      scanned: at[2] as number,
      held: at[4] as number,
      ordered: at[5] as number,
      acknowledged: at[5] as number,
      delivered: at[7] as number,
      orderedMessages: at[6] as number,
      acknowledgedMessages: at[6] as number,
      deliveredMessages: at[8] as number,
      duplicates: at[9] as number,
      purged: at[10] as number
    }
  }
}

// Of the reader that holds the topic's room.
const isReplica = ({ gatingReader, readers }: NativeTopicState): boolean =>
  readers.some(({ reader, replica }) => reader + 1 === gatingReader && replica > 0)

/** Why a session has ended; `undefined` while it has not. */
export const sessionEndOf = (reason: number): SessionEnd | undefined => {
  switch (reason) {
    case endReason.none:
      return undefined
    case endReason.closed:
      return "closed"
    case endReason.died:
      return "died"
    case endReason.outlived:
      return "outlived"
    case endReason.fenced:
      return "fenced"
    default:
      return "corrupt"
  }
}
