/**
 * Detaches the reader of a replica that holds up publishers, once another replica's files are ahead of its own: so a slow
 * disk delays acknowledgements and not the order. Its writer need not run for that.
 *
 * A server does this for its own replicas when it sees a reader stall. A replica in a process of its own looks itself.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { ReplicatedLog } from "../../ports/ReplicatedLog.ts"
import type { Member, ReplicaWork } from "./Member.ts"
import { storedByPeers } from "./openMember.ts"

/** Looks until it is interrupted. */
export const lapping = ({ disk, log }: Pick<ReplicaWork, "disk" | "log">, member: Member): Effect.Effect<void> => {
  if (member.peers.length === 0) return Effect.void
  const since = new Map<string, number>()

  const isStalled = (topic: string, isLive: boolean, nowMillis: number): boolean => {
    if (!isLive || log.gate(topic) !== member.options.name) {
      since.delete(topic)
      return false
    }
    const begun = since.get(topic) ?? nowMillis
    since.set(topic, begun)
    return nowMillis - begun >= stallMillis
  }

  // Of what the peers have only the end is asked for, and only while publishers wait.
  const isBehind = (topic: string): Effect.Effect<boolean> =>
    Effect.gen(function*() {
      const own = member.syncedIn(topic)
      for (const { bounds } of yield* storedByPeers(disk, member.peers, topic)) {
        const found = yield* Effect.option(bounds)
        if (found._tag === "Some" && found.value.end.index > own) return true
      }
      return false
    })

  const look = Effect.gen(function*() {
    const nowMillis = yield* Clock.currentTimeMillis
    for (const [topic, { isLive }] of member.followers) {
      if (isStalled(topic, isLive, nowMillis) && (yield* isBehind(topic))) yield* member.lap(topic)
    }
  })
  return Effect.forever(Effect.andThen(Effect.sleep(lookMillis), look))
}

/**
 * For a server's own replicas, once it has seen this reader stall: looks until the reader is detached or holds up no publisher
 * any more. A stall is told once, and the other replica may be ahead only later.
 */
export const lapStalled = (
  log: ReplicatedLog["Service"],
  members: ReadonlyArray<Member>,
  topic: string,
  reader: string
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const member = members.find(({ options }) => options.name === reader)
    while (member?.followers.get(topic)?.isLive === true && log.gate(topic) === reader) {
      const own = member.syncedIn(topic)
      // Only a replica that is not alone may be left behind: the others have what it lacks.
      if (members.some((other) => other.syncedIn(topic) > own)) return yield* member.lap(topic)
      yield* Effect.sleep(lookMillis)
    }
  })

// --- internal ---

const lookMillis = 100

/** As long as a server lets a reader of its own hold up publishers. */
const stallMillis = 1000
