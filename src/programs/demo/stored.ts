/**
 * What a replica's files hold at the end of a demonstration, read as any process could: every byte verified against the
 * files' own checksums, and every record as subscribers look at it.
 */
import * as Effect from "effect/Effect"
import { readReplicaFiles } from "../../layers/files/readReplicaFiles.ts"
import type { StoredBatch, StoredTopic } from "../../layers/files/StoredTopic.ts"
import { damageOf, verify } from "../../layers/files/verify.ts"
import { nodeDisk } from "../../layers/node/NodeDisk.ts"
import { OrderCheck, type SessionCheck } from "../log-trial/order-check.ts"
import { demoTopicName } from "./jobs.ts"
import { SeenMacs } from "./seen-macs.ts"

export interface Stored {
  readonly records: number
  readonly bytes: number
  readonly batches: number
  /** Batches whose first position does not follow the previous batch. */
  readonly sparse: number
  /** As the subscribers'. */
  readonly orderMac: string
  readonly sessions: ReadonlyArray<SessionCheck & { readonly mac: string }>
  readonly segments: number
  readonly fileBytes: number
  /** What `ringfence files verify` calls damage, and what keeps the files from being read to their end; one line each. */
  readonly damage: ReadonlyArray<string>
}

export const readStored = (dir: string, macKey: string) =>
  Effect.gen(function*() {
    const report = yield* verify(nodeDisk, dir)
    const segments = report.topics.flatMap(({ segments }) => segments)
    const { unread, ...content } = yield* readContent(dir, macKey)
    return {
      ...content,
      segments: segments.length,
      fileBytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
      damage: [...new Set([...damageOf(report).map(({ message }) => message), ...unread])]
    } satisfies Stored
  })

// --- internal ---

const readContent = Effect.fnUntraced(function*(dir: string, macKey: string) {
  const { topics } = yield* readReplicaFiles(nodeDisk, dir)
  const macs = new SeenMacs(macKey)
  const order = new OrderCheck()
  const look = (batch: StoredBatch): void => {
    order.see(batch)
    macs.see(batch)
  }
  const stored = topics.get(demoTopicName)
  const read = stored === undefined ? Effect.void : Effect.scoped(readAll(stored, look))
  const unread = yield* Effect.match(read, { onFailure: ({ message }) => [message], onSuccess: () => [] })
  const { ofSession, order: orderMac } = macs.done()
  const { batches, bytes, records, sparse } = order
  const sessions = order.sessions().map((session) => ({ ...session, mac: ofSession(session.sessionId) }))
  return { records, bytes, batches, sparse, orderMac, sessions, unread }
})

const readAll = Effect.fnUntraced(function*(stored: StoredTopic, look: (batch: StoredBatch) => void) {
  const { start } = yield* stored.bounds
  const reader = yield* stored.read(start.position)
  for (let batches = yield* reader.pull; batches.length > 0; batches = yield* reader.pull) batches.forEach(look)
})
