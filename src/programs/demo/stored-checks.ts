/**
 * The checks of what a replica's files hold: against their own checksums, and against the publishers' input and what the
 * subscribers saw in memory.
 */
import { type Check, check } from "../cli/checks.ts"
import { formatBytes, formatCount, plural } from "../cli/units.ts"
import type { Amount } from "../log-trial/checks.ts"
import type { Named } from "../log-trial/run.ts"
import type { DemoPlan } from "./plan.ts"
import type { DemoOutcome } from "./run.ts"
import type { Stored } from "./stored.ts"

/** By the log's own account, before the replicas ended. */
export const onAllDisks = (
  { options, records }: Pick<DemoPlan, "options" | "records">,
  { snapshot }: Pick<DemoOutcome, "snapshot">
): Check => {
  const durable = snapshot.topics.map(({ durability }) => durability)
  const required = Math.min(...durable.map((found) => found?.required ?? 0))
  const synced = durable.reduce((sum, found) => sum + (found?.records ?? 0), 0)
  return check(
    "what is acknowledged is on the disks of all replicas",
    required === options.replicas && synced === records,
    `${formatCount(synced)} of ${plural(records, "record")} durable, on ${formatCount(required)} of ${
      plural(options.replicas, "replica")
    }`
  )
}

export const storedChecks = (
  amount: Amount,
  outcome: DemoOutcome,
  { name, result }: Named<Stored>
): ReadonlyArray<Check> => [undamaged(name, result), whole(name, amount, result), equal(name, outcome, result)]

// --- internal ---

const undamaged = (name: string, { damage, fileBytes, segments }: Stored): Check =>
  check(
    `the files of ${name} are undamaged`,
    damage.length === 0 && segments > 0,
    damage.length === 0 ? `${plural(segments, "segment")} of ${formatBytes(fileBytes)} verified` : damage.join("; ")
  )

const whole = (name: string, amount: Amount, { bytes, records, sessions, sparse }: Stored): Check => {
  const count = (of: "disordered" | "missing" | "duplicates") => sessions.reduce((sum, session) => sum + session[of], 0)
  const [disordered, missing, duplicates] = [count("disordered"), count("missing"), count("duplicates")]
  const isWhole = records === amount.records && bytes === amount.bytes
  return check(
    `the files of ${name} hold every record once, in order`,
    isWhole && sparse + disordered + missing + duplicates === 0,
    `${formatCount(records)} of ${plural(amount.records, "record")}, ${plural(sparse, "gap")}, ${
      plural(duplicates, "duplicate")
    }, ${formatCount(disordered)} out of order, ${formatCount(missing)} missing`
  )
}

const equal = (name: string, { publishers, subscribers }: DemoOutcome, { orderMac, sessions }: Stored): Check => {
  // A session that published nothing is in no file.
  const wanted = publishers.filter(({ result }) => result.records > 0)
  const equal =
    wanted.filter(({ result }) =>
      sessions.some(({ mac, sessionId }) => sessionId === result.sessionId && mac === result.mac)
    ).length
  const sameOrder = subscribers.filter(({ result }) => result.orderMac === orderMac).length
  return check(
    `the files of ${name} equal the input and what memory held`,
    equal === wanted.length && sessions.length === wanted.length && sameOrder === subscribers.length,
    `${formatCount(equal)} of ${formatCount(wanted.length)} contents are equal, and the order of ${
      formatCount(sameOrder)
    } of ${plural(subscribers.length, "subscriber")}`
  )
}
